"""Student copies: the same notebook with stubs where the solutions stood. One source, two copies.

A code cell tagged `exercise` holds its solution between two markers, the spelling of nbgrader:

    def kv_bytes(layers, kv_heads):
        ### BEGIN SOLUTION
        return 2 * layers * kv_heads
        ### END SOLUTION

In the student copy a function's solution becomes `raise NotImplementedError`, a number's becomes dots.
The cell after it, tagged `check`, stays as it is and loses its output.
"""

import ast
import copy
import re
from typing import Any

import nbformat

from k2repro.errors import K2ReproError
from k2repro.notebook.normalise import as_bytes
from k2repro.notebook.source import read_source
from k2repro.results.atomic import write_bytes
from k2repro.results.places import Places

EXERCISE, CHECK = "exercise", "check"
SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION[ \t]*$", re.M | re.S)
MARKER = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION[ \t]*\n?", re.M)


def has_exercises(notebook: nbformat.NotebookNode) -> bool:
    return any(EXERCISE in _tags(cell) for cell in notebook.cells)


def solution_of(source: str) -> str:
    """The cell as the instructor's copy shows it: without the markers.

    Raises K2ReproError when an exercise has no marked solution.
    """
    _check_marked(source)
    return MARKER.sub("", source).rstrip("\n")


def stub_of(source: str) -> str:
    """The cell as a student gets it; raises K2ReproError when an exercise has no marked solution."""
    _check_marked(source)
    return SOLUTION.sub(_stub, source)


def _check_marked(source: str) -> None:
    if not SOLUTION.search(source):
        raise K2ReproError(
            f"an exercise cell without ### BEGIN SOLUTION and ### END SOLUTION: {source[:60]!r}. "
            "The student copy would hold the solution"
        )


def _stub(match: re.Match[str]) -> str:
    indent, solution = match[1], match[2]
    if indent:
        return f'{indent}raise NotImplementedError("your lines here")'
    names = [
        target.id
        for statement in ast.parse(solution).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]
    if not names:
        raise K2ReproError(f"a solution outside a function sets no name: {solution[:60]!r}")
    return f"{names[-1]} = ...  # your number"


def student_copy(source: nbformat.NotebookNode, built: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The student's notebook: cells of `built`, exercises as stubs, their outputs and checks' removed.

    source   as read from notebooks/src, with the markers; built: executed, without them
    """
    if len(source.cells) != len(built.cells):
        raise K2ReproError(f"source has {len(source.cells)} cells, the built notebook {len(built.cells)}")
    result = copy.deepcopy(built)
    for mine, cell in zip(source.cells, result.cells, strict=True):
        tags = _tags(mine)
        if EXERCISE in tags:
            cell.source = stub_of(mine.source)
            cell.metadata = nbformat.from_dict({"tags": tags})
        if EXERCISE in tags or CHECK in tags:
            cell.outputs, cell.execution_count = [], None
    result.metadata["k2repro"] = built.metadata.get("k2repro", {}) | {"copy": "student"}
    return result


def without_markers(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The instructor's notebook, changed in place: exercise cells hold the bare solution."""
    for cell in notebook.cells:
        if EXERCISE in _tags(cell):
            cell.source = solution_of(cell.source)
    return notebook


def write_student_copies(places: Places) -> list[str]:
    """notebooks/student/ from the built notebooks that have exercises; returns the names written."""
    written = []
    for built in sorted(places.notebooks.glob("[0-9][0-9]_*.ipynb")):
        source = read_source(places.sources / f"{built.stem}.py")
        if has_exercises(source):
            copied = student_copy(source, nbformat.read(built, as_version=4))
            write_bytes(places.notebooks / "student" / built.name, as_bytes(copied))
            written.append(built.stem)
    return written


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))
