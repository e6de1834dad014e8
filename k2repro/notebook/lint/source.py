"""Rules for notebook sources (notebooks/src/*.py) and for a student's own copy of the same form."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from k2repro.notebook.lint.code import code_messages
from k2repro.notebook.lint.finding import Finding
from k2repro.notebook.lint.links import link_targets
from k2repro.notebook.lint.markdown import (
    filler_words,
    heading_levels,
    open_expectations,
    pictures_without_alt,
    typed_numbers,
)

MOST_LINES = 20
MOST_COLUMNS = 76
Message = tuple[str, str]


def lint_notebook_source(path: Path) -> list[Finding]:
    """Findings in one py:percent source, cell by cell."""
    from k2repro.notebook.source import read_source

    cells = read_source(path).cells
    findings = []
    for number, cell in enumerate(cells, start=1):
        check = _markdown_messages if cell.cell_type == "markdown" else _cell_messages
        for rule, message in check(cell, path):
            findings.append(Finding(str(path), f"cell {number}", rule, message))
    for rule, message in _whole_messages(cells, path):
        findings.append(Finding(str(path), "all", rule, message))
    return findings


def _markdown_messages(cell: Any, path: Path) -> Iterator[Message]:
    for message in typed_numbers(cell.source):
        yield "typed-number", message
    for picture in pictures_without_alt(cell.source):
        yield "picture-alt", f"{picture!r} has no alternative text; say what one sees"
    for word in filler_words(cell.source):
        yield "filler-word", f"{word!r}: leave it out; it tells a struggling reader that this is easy"
    for sentence in open_expectations(cell.source):
        message = f"{sentence!r} is tied to no row; use expected(sentence, holds=...) below the cell"
        yield "expectation", message
    for target in link_targets(cell.source):
        if not _link_exists(path.parent.parent, target):
            yield "link", f"{target!r} does not exist beside the built notebook"


def _link_exists(folder: Path, target: str) -> bool:
    """Links are followed from the built notebook; one that is not built yet has a source."""
    if (folder / target).exists():
        return True
    return target.endswith(".ipynb") and (folder / "src" / target).with_suffix(".py").exists()


def _cell_messages(cell: Any, path: Path) -> Iterator[Message]:
    lines = cell.source.splitlines()
    if len(lines) > MOST_LINES:
        yield "cell-length", f"{len(lines)} lines, at most {MOST_LINES}: one idea per cell"
    widest = max(map(len, lines), default=0)
    if widest > MOST_COLUMNS:
        yield "cell-width", f"{widest} columns, at most {MOST_COLUMNS}, so that no reader scrolls sideways"
    yield from code_messages(cell.source)


def _whole_messages(cells: list[Any], path: Path) -> Iterator[Message]:
    yield from _heading_messages(cells)
    yield from _parameter_messages(path)
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    if re.search(r"\bopen_rows\(", code) and not re.search(r"\brows\w*\.save\(\)", code):
        yield "rows-saved", "rows are opened but never saved; end with rows.save()"


def _heading_messages(cells: list[Any]) -> Iterator[Message]:
    levels = [level for c in cells if c.cell_type == "markdown" for level in heading_levels(c.source)]
    first = heading_levels(cells[0].source) if cells and cells[0].cell_type == "markdown" else []
    if 1 not in first:
        yield "heading", "the first cell holds no heading of level 1 (`# Title`)"
    if levels.count(1) > 1:
        yield "heading", f"{levels.count(1)} headings of level 1; a notebook has one title"
    for before, after in zip(levels, levels[1:], strict=False):
        if after > before + 1:
            yield "heading", f"a heading of level {after} follows one of level {before}; do not skip levels"


def _parameter_messages(path: Path) -> Iterator[Message]:
    from k2repro.errors import K2ReproError
    from k2repro.notebook.source import declared_parameters

    try:
        declared_parameters(path)
    except (K2ReproError, SyntaxError) as error:
        yield "parameters", str(error)
