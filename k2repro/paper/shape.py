"""The paper's Table 2 in the shape in which it was printed: systems down, benchmarks across, ours beside it.

Every cell holds the published score and mini-K2's on the tier that stands beside that benchmark, both in
per cent with one decimal, and beside each the change against the first row. Scores cannot be compared
across the two; changes can, in their sign.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from k2repro.paper.cells import Standing, standings
from k2repro.paper.facts import FactBook
from k2repro.results import Row

PERCENT = ("%", "percent")
MICRO = "Math micro-average (derived)"
MACRO = "Math macro-average (derived)"
SAME, OPPOSITE, FLAT = "same sign", "opposite sign", "not decided"
WAITS, START = "not measured yet", "the start"
SIGNS = {SAME: "▲▲", OPPOSITE: "▲▼", FLAT: "▲?", WAITS: "·", START: ""}


@dataclass(frozen=True)
class ShapeCell:
    """One cell of the printed table.

    published   as displayed, with its mark        change       in points against the first row
    mini        percent, None while not measured   mini_change  the same for mini-K2
    agreement   whether the two changes have one sign, in words
    """

    published: str
    change: float | None
    mini: float | None
    mini_change: float | None
    agreement: str

    def __str__(self) -> str:
        ours = "mini —" if self.mini is None else f"mini {self.mini:.1f}{_points(self.mini_change)}"
        return f"{self.published}{_points(self.change)} | {ours} | {self.agreement}"

    def __html__(self) -> str:
        ours = "—" if self.mini is None else f"{self.mini:.1f}"
        return (
            f"<b>{escape(self.published)}</b>{_points(self.change)}"
            f"<br><small>mini {ours}{_points(self.mini_change)}</small>"
            f"<br><small>{SIGNS[self.agreement]} {self.agreement}</small>"
        )


def _points(change: float | None) -> str:
    return "" if change is None else f" ({change:+.1f})"


@dataclass(frozen=True)
class TableShape:
    """Rows by columns of `ShapeCell`."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[str, str], ShapeCell]

    def records(self, head: str = "system") -> list[dict[str, object]]:
        """One record for each system, ready for a table."""
        return [{head: r} | {_title(c): self.cells[r, c] for c in self.columns} for r in self.rows]

    @property
    def measured(self) -> int:
        """How many cells mini-K2 has measured."""
        return sum(cell.mini is not None for cell in self.cells.values())


def _title(column: str) -> str:
    return "micro-averageᵈ" if column == MICRO else column


def ablation_shape(rows: Mapping[str, Row], book: FactBook | None = None) -> TableShape:
    """Table 2 with mini-K2's rows beside it; a cell whose row is missing says so."""
    found = {(s.row, s.column): s for s in standings(2, rows, book) if s.column != MACRO}
    names = tuple(dict.fromkeys(row for row, _ in found))
    columns = tuple(dict.fromkeys(column for _, column in found))
    cells = {}
    for row, column in found:
        first, here = found[names[0], column], found[row, column]
        cells[row, column] = _cell(here, first, row == names[0])
    return TableShape(names, columns, cells)


def _cell(here: Standing, first: Standing, is_start: bool) -> ShapeCell:
    now, before = here.published.value, first.published.value
    change = None if is_start or now is None or before is None else now - before
    ours, start = _percent(here.mini), _percent(first.mini)
    mini_change = None if is_start or ours is None or start is None else ours - start
    if is_start:
        agreement = START
    elif mini_change is None or change is None:
        agreement = WAITS
    elif _reaches_zero(here.mini, first.mini):
        agreement = FLAT
    else:
        agreement = SAME if change * mini_change > 0 else OPPOSITE
    return ShapeCell(here.published.display, change, ours, mini_change, agreement)


def _percent(row: Row | None) -> float | None:
    if row is None:
        return None
    return float(row.value) * (1 if row.unit in PERCENT else 100)


def _reaches_zero(here: Row | None, first: Row | None) -> bool:
    """Overlapping intervals leave the sign open; without intervals nothing is known about chance."""
    if here is None or first is None or here.interval is None or first.interval is None:
        return True
    return here.interval[0] <= first.interval[1] and first.interval[0] <= here.interval[1]
