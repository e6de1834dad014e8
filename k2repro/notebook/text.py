"""Words, tables and code that are read from rows and from the package: `tell`, `show_table`, `show_code`.

Everything written here is a pure function of its arguments, so nbval can compare it byte by byte.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.results.rows import Row
from k2repro.tables import Table, format_number

FIELD = re.compile(r"\{([a-z0-9._-]+)(?::([^{}]*))?\}")
PERCENT_UNITS = {"percent", "%"}
POINT_UNITS = {"points", *PERCENT_UNITS}
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Bundle:
    """One display in several forms; a frontend takes the richest it knows, a terminal the plain one."""

    data: Mapping[str, Any]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return dict(self.data)

    def __repr__(self) -> str:
        return str(self.data["text/plain"])


def check_records(records: object, what: str) -> list[str]:
    """The common keys of a list of records, in order; raises K2ReproError when they are not a table."""
    if not isinstance(records, list) or not records:
        raise K2ReproError(
            f"{what}: expected a non-empty list of dicts, got {type(records).__name__} {records!r:.60}"
        )
    for number, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise K2ReproError(f"{what}: record {number} is {type(record).__name__}, not a dict")
        if set(record) != set(records[0]):
            odd = sorted(map(str, set(record) ^ set(records[0])))
            raise K2ReproError(
                f"{what}: record {number} differs from record 0 in the keys {', '.join(odd)}. "
                "Every record needs the same keys; write None where a value is missing"
            )
    return list(records[0])


def display_markdown(text: str) -> None:
    """Display Markdown, which a terminal shows as it is."""
    from IPython.display import display

    display(Bundle({"text/markdown": text, "text/plain": text}))


def show_code(*functions: Callable[..., Any]) -> None:
    """Display the source of functions as it stands in the package: what is read is what runs.

    Raises K2ReproError for something without a source, such as a built-in.
    """
    from IPython.display import display

    texts = [_code_of(function) for function in functions]
    markdown = "\n".join(f"```python\n{text}```" for text in texts)
    display(Bundle({"text/markdown": markdown, "text/plain": "\n".join(texts)}))


def _code_of(function: Callable[..., Any]) -> str:
    """The source of one function, with its docstring and comments."""
    try:
        return inspect.getsource(function)
    except (TypeError, OSError):
        raise K2ReproError(
            f"show_code: {function!r} has no source. Pass a function of this package"
        ) from None


def show_table(
    records: list[dict[str, Any]], caption: str, columns: Sequence[str] | None = None, *, folded: bool = False
) -> None:
    """Display records as a table: HTML with headers, and aligned plain text.

    records   list of dicts with the same keys; None or NaN is printed as a dash
    caption   one line that says what the table holds
    columns   the keys to show, in order; default: all
    folded    show the caption alone, and the table on a click: for long lists to look things up in

    Raises K2ReproError on an empty list, unequal keys, an unknown column or an empty caption.
    """
    from IPython.display import display

    known = check_records(records, "show_table")
    if not caption.strip():
        raise K2ReproError("show_table: the caption is empty; say in one line what the table holds")
    for name in columns or ():
        if name not in known:
            raise unknown("column", name, map(str, known))
    chosen = list(columns or known)
    table = Table.of_records(records, chosen, caption)
    html = table.as_html()
    if folded:
        summary = f"{escape(caption)} ({len(records)})"
        html = f"<details><summary>{summary}</summary>\n{html}</details>"
    display(Bundle({"text/html": html, "text/plain": table.as_text()}))


def expected(sentence: str, holds: bool) -> None:
    """Display a sentence about results and whether it holds, decided by code and not by the author.

    sentence   what a reader should find; what was predicted before a run stands in the predictions instead
    holds      the predicate on rows or records, evaluated
    Raises K2ReproError when `holds` is no truth value: a number would always count as true.
    """
    if not isinstance(holds, bool):
        raise K2ReproError(f"expected: {sentence!r} is decided by {holds!r}, not by True or False")
    outcome = "It holds." if holds else "It does **not** hold."
    display_markdown(f"*Checked:* {sentence.strip()} {outcome}")


def tell(rows: Mapping[str, Row], template: str) -> None:
    """Display Markdown whose numbers are taken from rows; see `fill` for the fields."""
    display_markdown(fill(rows, template))


def fill(rows: Mapping[str, Row], template: str) -> str:
    """Put rows into a text.

    `{id}`         the value: thousands separators, up to six significant digits
    `{id:spec}`    the value in a Python format spec
    `{id:pct}`     in percent, one decimal; a row whose unit is percent is not multiplied
    `{id:pts}`     a difference of percentages, "+6.9 points"; only a level is told in percent
    `{id:ci}`      "value [low, high], n=…"; a spec may follow: `{id:ci .2f}`, `{id:ci pts}`

    Raises K2ReproError for an unknown row, a spec that does not fit and a brace that is no field.
    """
    rest = FIELD.sub("", template)
    if "{" in rest or "}" in rest:
        start = max(rest.find("{"), 0)
        raise K2ReproError(
            f"tell: a brace that is no field near {rest[start : start + 30]!r}. Fields are {{row.id}} or "
            "{row.id:spec} with a lower-case id; formulas with braces belong into a markdown cell"
        )

    def value_of(match: re.Match[str]) -> str:
        name, spec = match.group(1), (match.group(2) or "").strip()
        if name not in rows:
            raise unknown("row", name, rows)
        return format_row(rows[name], spec)

    return FIELD.sub(value_of, template)


def format_row(row: Row, spec: str) -> str:
    """One row as text, in a spec of `fill`."""
    if spec == "ci" or spec.startswith("ci "):
        if row.interval is None:
            raise K2ReproError(f"row {row.id!r} has no interval, so it cannot be told as 'ci'")
        inner = spec[2:].strip() or ".3g"
        low, high = (_format_value(row, end, inner) for end in row.interval)
        count = "" if row.n is None else f", n={row.n:,}"
        unit = " points" if inner == "pts" else ""
        return f"{_format_value(row, row.value, inner)}{unit} [{low}, {high}]{count}"
    return _format_value(row, row.value, spec) + (" points" if spec == "pts" else "")


def _format_value(row: Row, value: float, spec: str) -> str:
    if not spec:
        return format_number(value)
    if spec == "pts":
        return f"{value if row.unit in POINT_UNITS else 100 * value:+.1f}"
    if spec == "pct":
        return f"{value:.1f}%" if row.unit in PERCENT_UNITS else f"{value:.1%}"
    try:
        return format(value, spec)
    except ValueError as error:
        raise K2ReproError(
            f"row {row.id!r}: the format spec {spec!r} does not fit {value!r} ({error}). "
            "Known besides Python's: ci, pct, pts"
        ) from None
