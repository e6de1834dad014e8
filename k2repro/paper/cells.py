"""Every published cell beside what is known of it: published | recomputed | mini | real | verdict.

`cells.toml` says how a cell follows from other facts and which rows measure it. A cell that nothing
has measured yet names the row that it waits for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.paper.confidence import COMPUTED_HERE, UNCHECKED
from k2repro.paper.facts import Fact, FactBook
from k2repro.paper.loading import load_facts
from k2repro.paper.outcome import CONTRADICTED, DERIVED, NOT_TESTABLE, RECOMPUTED, UNRESOLVED
from k2repro.paper.recompute import operand
from k2repro.paper.tables import Cell, PaperTable, table
from k2repro.reading import shipped_toml
from k2repro.results import Row

SECTIONS = {
    "recompute": {"table", "rows", "columns", "operand", "per_cent"},
    "measure": {"table", "rows", "columns", "levels", "mini", "real"},
    "outside": {"table", "reason"},
}
DIGITISED = "figure-digitised"
PERCENT = "%"
# Figure 4 was read off a screenshot to this fraction (fig4_rl_curves_digitised.csv, column confidence).
READING_ACCURACY = 0.005
MINI_NOTE = "mini-K2's own score; see the claims for what it shows"


@dataclass(frozen=True)
class Standing:
    """One cell with everything that stands beside it.

    recomputed   what other facts give, None where nothing follows; `formula` with numbers filled in
    mini, real   measured rows, None while not measured; `waits_for` names those that are missing
    note         why the verdict is what it is
    """

    row: str
    column: str
    published: Cell
    recomputed: float | None
    formula: str
    mini: Row | None
    real: Row | None
    waits_for: tuple[str, ...]
    verdict: str
    note: str

    def record(self) -> dict[str, str]:
        """The cell as a line of a table."""
        fact = self.published.fact
        decimals = fact.decimals if fact else 2
        return {
            "row": self.row,
            "column": self.column,
            "published": self.published.display,
            "recomputed": "" if self.recomputed is None else f"{self.recomputed:.{max(decimals, 2)}f}",
            "mini": _measured(self.mini, fact),
            "real": _measured(self.real, fact),
            "verdict": self.verdict,
            "why": self.note,
        }


@dataclass(frozen=True)
class _Plan:
    """What `cells.toml` says of one cell."""

    operand: Mapping[str, Any] | None = None
    per_cent: bool = False
    mini: str | None = None
    real: str | None = None
    outside: str = ""


def standings(
    name: int | str, rows: Mapping[str, Row] | None = None, book: FactBook | None = None
) -> list[Standing]:
    """All cells of a table, in reading order, beside recomputation and measured rows.

    rows     measured rows by id, from every notebook of the run; default none
    Raises K2ReproError for an unknown table, or when `cells.toml` names what does not exist.
    """
    book = book or load_facts()
    found = table(name, book)
    return [
        _stand(found.cell(row, column), row, column, _plan(found, row, column), rows or {}, book)
        for row in found.rows
        for column in found.columns
        if found.cell(row, column).fact is not None
    ]


def _stand(
    cell: Cell, row: str, column: str, plan: _Plan, rows: Mapping[str, Row], book: FactBook
) -> Standing:
    mini = rows.get(plan.mini) if plan.mini else None
    real = rows.get(plan.real) if plan.real else None
    waits = tuple(name for name in (plan.mini, plan.real) if name and name not in rows)
    value, formula, unchecked = _recompute(plan, book)
    verdict, note = _judge(cell, value, formula, unchecked, real, waits, plan)
    if mini is not None:
        note = "; ".join(filter(None, (note, MINI_NOTE)))
    return Standing(row, column, cell, value, formula, mini, real, waits, verdict, note)


def _recompute(plan: _Plan, book: FactBook) -> tuple[float | None, str, bool]:
    """Value in the cell's own unit, formula, and whether a recalled, unchecked number went in."""
    if plan.operand is None:
        return None, "", False
    with book.tracing() as used:
        quantity = operand(book, plan.operand)
    value = quantity.value / 100 if plan.per_cent else quantity.value
    unchecked = any(book.fact(key).confidence == UNCHECKED for key in used)
    return value, quantity.formula, unchecked


def _judge(
    cell: Cell,
    value: float | None,
    formula: str,
    unchecked: bool,
    real: Row | None,
    waits: tuple[str, ...],
    plan: _Plan,
) -> tuple[str, str]:
    """The verdict on one cell, with its reason."""
    stated = cell.value
    if stated is None:
        return UNRESOLVED, "no source that was read prints this cell"
    if real is not None:
        times = _scale(real, cell.fact)
        low, high = real.interval or (real.value, real.value)
        inside = times * low <= stated <= times * high
        words = f"measured on real weights: {_measured(real, cell.fact)}"
        return (RECOMPUTED if inside else CONTRADICTED), words
    if value is not None:
        assert cell.fact is not None
        return _agree(cell.fact, stated, value, f"{formula} = {value:.5g}", unchecked)
    if waits:
        return UNRESOLVED, f"waits for {', '.join(waits)}"
    return NOT_TESTABLE, plan.outside


def _agree(fact: Fact, stated: float, value: float, words: str, unchecked: bool) -> tuple[str, str]:
    """A recomputed number against the printed one; a picture decides within its accuracy."""
    if unchecked or fact.confidence == UNCHECKED:
        return UNRESOLVED, f"{words}; rests on recalled numbers (ᵘ)"
    if fact.confidence == DIGITISED:
        if abs(value - stated) <= READING_ACCURACY:
            return RECOMPUTED, f"{words}; within the reading accuracy of {READING_ACCURACY}"
        return UNRESOLVED, f"{words}; two readings of one picture, further apart than {READING_ACCURACY}"
    holds = round(value, fact.decimals) == round(stated, fact.decimals)
    if holds and fact.confidence == COMPUTED_HERE:
        return DERIVED, f"{words}; the cell itself is this kit's arithmetic (ᵈ)"
    return (RECOMPUTED if holds else CONTRADICTED), words


def _measured(row: Row | None, fact: Fact | None) -> str:
    """A measured row beside a published number, in that number's unit."""
    if row is None:
        return ""
    times = _scale(row, fact)
    unit = row.unit if times == 1 else PERCENT
    if row.interval is None:
        return f"{times * row.value:.4g} {unit}"
    return f"{times * row.value:.4g} [{times * row.interval[0]:.4g}, {times * row.interval[1]:.4g}] {unit}"


def _scale(row: Row, fact: Fact | None) -> int:
    """What a row is multiplied with to stand beside a fact: a fraction beside a percentage, 100."""
    return 100 if fact is not None and fact.unit == PERCENT and row.unit == "fraction" else 1


@cache
def _content() -> dict[str, list[dict[str, Any]]]:
    """`cells.toml`, checked: unknown sections, keys, tables, rows or columns raise K2ReproError."""
    content = shipped_toml("k2repro.paper", "cells.toml")
    for section, blocks in content.items():
        if section not in SECTIONS:
            raise unknown("section of cells.toml", section, SECTIONS)
        for block in blocks:
            _check_block(section, block)
    return content


def _check_block(section: str, block: Mapping[str, Any]) -> None:
    for key in block:
        if key not in SECTIONS[section]:
            raise unknown(f"key of [[{section}]] in cells.toml", key, SECTIONS[section])
    named = table(block["table"])
    for kind, known in (("row", named.rows), ("column", named.columns)):
        for name in block.get(f"{kind}s", ()):
            if name not in known:
                raise unknown(f"{kind} of {named.title} in cells.toml", name, known)


def _plan(named: PaperTable, row: str, column: str) -> _Plan:
    """Everything `cells.toml` says of one cell, `{row}`, `{column}`, `{part}` and `{level}` filled in."""
    content = _content()
    recompute = _only(content["recompute"], named, row, column)
    measure = _only(content["measure"], named, row, column)
    part = measure["columns"][column] if measure else ""
    level = measure.get("levels", {}).get(column, part) if measure else ""
    outside = [block["reason"] for block in content["outside"] if block["table"] == named.name]
    return _Plan(
        operand=_fill(recompute["operand"], row, column) if recompute else None,
        per_cent=bool(recompute and recompute.get("per_cent")),
        mini=measure["mini"].format(part=part, level=level) if measure and "mini" in measure else None,
        real=measure["real"].format(part=part) if measure and "real" in measure else None,
        outside=outside[0] if outside else "nothing here measures it",
    )


def _only(blocks: list[dict[str, Any]], named: PaperTable, row: str, column: str) -> dict[str, Any] | None:
    matching = [
        block
        for block in blocks
        if block["table"] == named.name
        and row in block.get("rows", [row])
        and column in block.get("columns", [column])
    ]
    if len(matching) > 1:
        raise K2ReproError(f"cells.toml speaks twice of {named.title}, {row!r}, {column!r}")
    return matching[0] if matching else None


def _fill(value: Any, row: str, column: str) -> Any:
    """`{row}` and `{column}` in every text of a nested operand."""
    if isinstance(value, str):
        return value.replace("{row}", row).replace("{column}", column)
    if isinstance(value, list):
        return [_fill(item, row, column) for item in value]
    if isinstance(value, dict):
        return {key: _fill(item, row, column) for key, item in value.items()}
    return value
