"""Rules for built notebooks: they were run, they are small, and they speak to everybody."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.notebook.folding import call_name, statements
from k2repro.notebook.lint.finding import Finding

# GitHub draws a notebook of this size, and Lab opens it in a few seconds on a school laptop. Half of it
# left no room for a figure with frames in a notebook that has eight already.
LARGEST_BYTES = 1_000_000
SPEAKING = {"show", "show_table", "tell", "print", "display"}
DATA_URI = re.compile(r"data:[a-z/+]+;base64,[A-Za-z0-9+/=]+")
# What `expected` displays where the rows say otherwise.
CONTRADICTED = "It does **not** hold."
MACHINE = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|Users|work|var)/[^\s\"'<]+|\bat 0x[0-9a-f]{4,}")
IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
ALT = re.compile(r"\balt=(\"[^\"]*[^\"\s][^\"]*\"|'[^']*[^'\s][^']*')", re.IGNORECASE)
MUTE_PICTURES = ("image/png", "image/jpeg", "image/svg+xml")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
Message = tuple[str, str]


def lint_built(path: Path) -> list[Finding]:
    """Findings in one executed notebook."""
    from k2repro.notebook.stamp import read_built

    try:
        notebook = read_built(path)
    except K2ReproError as error:
        return [Finding(str(path), "all", "damaged", str(error))]
    findings = []
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        message = f"{size:,} bytes, at most {LARGEST_BYTES:,}"
        findings.append(Finding(str(path), "all", "size", message))
    if "widgets" in notebook.metadata:
        message = "widget state is stored in the metadata; execute with store_widget_state=False"
        findings.append(Finding(str(path), "all", "widget-state", message))
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code" and cell.source.strip():
            for rule, message in _cell_messages(cell):
                findings.append(Finding(str(path), f"cell {number}", rule, message))
    return findings


def _cell_messages(cell: Any) -> Iterator[Message]:
    if cell.execution_count is None:
        yield "not-run", "the cell was never run (execution_count is null)"
    elif _speaks(cell.source) and not cell.outputs:
        yield "no-output", "the cell prints or shows something, but no output is stored"
    allowed_to_fail = "raises-exception" in cell.metadata.get("tags", [])
    for output in cell.outputs:
        if output.output_type == "error" and not allowed_to_fail:
            yield "error-output", f"the cell failed with {output.ename}: {output.evalue[:80]}"
        yield from _output_messages(output)


def _speaks(source: str) -> bool:
    """Whether a statement at the top level of the cell calls something that displays."""
    calls = [s.value for s in statements(source) if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
    return any(call_name(call.func).split(".")[-1] in SPEAKING for call in calls)


def _output_messages(output: Any) -> Iterator[Message]:
    data = output.get("data", {})
    for text in [output.get("text", ""), *_strings(data)]:
        for match in MACHINE.finditer(DATA_URI.sub("", text)):
            yield "machine-path", f"{match.group()[:60]!r} belongs to one machine"
    said = data.get("text/plain", "")
    if isinstance(said, str) and said.endswith(CONTRADICTED):
        yield "not-as-said", f"{said[:90]!r}: the text disagrees with its rows; say what came out"
    html = data.get("text/html", "")
    for image in IMAGE.findall(html):
        if not ALT.search(image):
            yield "picture-alt", f"{image[:40]!r} has no alternative text"
    for kind in MUTE_PICTURES:
        if kind in data:
            yield "picture-alt", f"an {kind} output cannot carry alternative text; use show()"
    if "<table" in html and "<caption" not in html:
        yield "table-caption", "a table without a caption; use show_table()"
    if WIDGET_VIEW in data:
        yield "widget-view", "a widget view without its state shows an error; leave static output"


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
