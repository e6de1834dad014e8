"""Notebook sources: notebooks/src/NN_name.py (py:percent), what people edit and review."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from k2repro.errors import K2ReproError, unknown
from k2repro.results.places import Places
from k2repro.results.rowbook import reads_rows

PARAMETERS_TAG = "parameters"


def source_names(places: Places) -> list[str]:
    """Names of all notebook sources in the order in which they run.

    Notebooks that read the rows of others come after all that do not.
    """
    paths = sorted(places.sources.glob("[0-9][0-9]_*.py"), key=lambda path: (reads_rows(path), path.name))
    return [path.stem for path in paths]


def find_source(places: Places, name: str) -> Path:
    """The source of a notebook given by number, name or path: "01", "01_architecture", "x/01_a.ipynb".

    Raises K2ReproError with the names that exist.
    """
    stem = Path(name).stem
    matches = [known for known in source_names(places) if known == stem or known.split("_")[0] == stem]
    if len(matches) != 1:
        raise unknown("notebook", name, source_names(places))
    return places.sources / f"{matches[0]}.py"


def read_source(path: Path) -> nbformat.NotebookNode:
    """The notebook without outputs that a source stands for."""
    import jupytext  # a second to load

    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata.pop("jupytext", None)
    return notebook


def declared_parameters(path: Path) -> dict[str, Any]:
    """Names and default values in the one cell tagged `parameters`; anything but literals raises.

    Papermill's own inspection misses a parameter whose comment holds `=`, so the cell is parsed here.
    """
    cells = [c for c in read_source(path).cells if PARAMETERS_TAG in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise K2ReproError(f"{path.name}: {len(cells)} cells are tagged 'parameters'; exactly one is needed")
    values: dict[str, Any] = {}
    for node in ast.parse(cells[0].source).body:
        if not (
            isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        ):
            raise K2ReproError(f"{path.name}: parameters cell line {node.lineno} is not `name = literal`")
        try:
            values[node.targets[0].id] = ast.literal_eval(node.value)
        except ValueError:
            raise K2ReproError(
                f"{path.name}: parameter {node.targets[0].id!r} is not a literal. "
                "Derive values in the next cell: papermill overrides literals only"
            ) from None
    if "profile" not in values:
        raise K2ReproError(f"{path.name}: the parameters cell lacks `profile`")
    return values


def resolve_parameters(path: Path, profile: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults of the source, overridden; unknown names and changed types raise K2ReproError."""
    declared = declared_parameters(path)
    values = {**declared, "profile": profile}
    for name, value in overrides.items():
        if name not in declared:
            raise unknown(f"parameter of {path.stem}", name, declared)
        default = declared[name]
        both_numbers = isinstance(value, int | float) and isinstance(default, int | float)
        if type(value) is not type(default) and not (both_numbers and not isinstance(value, bool)):
            raise K2ReproError(
                f"{path.stem}: parameter {name} = {value!r} is {type(value).__name__}, "
                f"its default {default!r} is {type(default).__name__}"
            )
        values[name] = value
    return values
