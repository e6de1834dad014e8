"""One way to print a table: aligned text for a terminal, Markdown for a file, HTML for a page.

    Table.of_records([{"model": "base", "solved": 0.25}], caption="Solved").as_text()

Numbers are spelled in one way everywhere (`format_number`) and stand to the right. A cell may be ready
HTML: an object with a method `__html__`, such as markupsafe's Markup, which `as_html` does not escape.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from numbers import Integral, Real
from typing import Any

from k2repro.errors import K2ReproError, unknown

MISSING = "—"
# With the marks that the paper's tables use: brackets, and small raised letters.
NUMERAL = re.compile(r"\(?[-+−]?[\d,]*\.?\d+(e[-+]?\d+)?\s?%?\)?[\u02b0-\u02ff\u1d2c-\u1d6a*†‡]*")
LONGEST_UNBROKEN = 100
LARGEST_EXACT = 1e15


def is_missing(value: object) -> bool:
    """None and NaN: nothing was measured."""
    return value is None or (isinstance(value, Real) and math.isnan(value))


def is_number(value: object) -> bool:
    """Python or numpy number, truth values excluded."""
    return isinstance(value, Real) and not isinstance(value, bool)


def format_number(value: Any) -> str:
    """One spelling for one value: thousands separators, six significant digits, a dash for missing.

    >>> format_number(32763876352), format_number(0.123456789), format_number(None)
    ('32,763,876,352', '0.123457', '—')
    """
    if is_missing(value):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        number = float(value)
        if math.isinf(number):
            return "∞" if number > 0 else "−∞"
        whole = abs(number) < LARGEST_EXACT and (number.is_integer() or abs(number) >= 1e6)
        return f"{number:,.0f}" if whole else f"{number:,.6g}"
    return str(value)


@dataclass(frozen=True)
class Table:
    """A table: one header for each column, and rows of as many cells.

    columns   what the headers say
    rows      cells: numbers, texts, None and NaN (a dash), or ready HTML
    caption   one line that says what the table holds; may be empty
    numeric   the columns that stand to the right; None: those that hold numbers, or texts that read as one

    Raises K2ReproError for a row of another length, a header that stands twice and an unknown column.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    numeric: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if len(set(self.columns)) < len(self.columns):
            twice = max(self.columns, key=list(self.columns).count)
            raise K2ReproError(f"table {self.caption!r}: the column {twice!r} stands twice")
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise K2ReproError(
                    f"table {self.caption!r}: row {number} has {len(row)} cells "
                    f"for {len(self.columns)} columns"
                )
        for name in self.numeric or ():
            if name not in self.columns:
                raise unknown("column", name, self.columns)

    @classmethod
    def of_records(
        cls, records: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None, caption: str = ""
    ) -> "Table":
        """A table of dicts: the keys in `columns`, or all in order of appearance; a lacking key is a dash."""
        chosen = list(columns or dict.fromkeys(key for record in records for key in record))
        return cls([str(key) for key in chosen], [[r.get(key) for key in chosen] for r in records], caption)

    def as_text(self, *, rule: bool = True) -> str:
        """Aligned columns without trailing spaces; `rule` draws a line under the headers."""
        cells = self._texts()
        widths = [max(map(len, column)) for column in zip(self.columns, *cells, strict=True)]
        right = self._right()

        def line(values: Iterable[str]) -> str:
            padded = [
                text.rjust(width) if to_right else text.ljust(width)
                for text, width, to_right in zip(values, widths, right, strict=True)
            ]
            return "  ".join(padded).rstrip()

        head = [self.caption] if self.caption else []
        under = ["  ".join("-" * width for width in widths)] if rule else []
        return "\n".join([*head, line(self.columns), *under, *map(line, cells)])

    def as_markdown(self) -> str:
        """A GitHub table without the caption, which Markdown cannot hold; bars in cells are escaped."""
        rule = ["---:" if to_right else "---" for to_right in self._right()]
        lines = [self.columns, rule, *([_one_line(text) for text in row] for row in self._texts())]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def as_html(self) -> str:
        """A table that a screen reader can walk: caption, headers of columns and rows, numbers to the right.

        Alignment is written into the tags, since a notebook has no style sheet of ours.
        """
        right = self._right()
        sides = ["right" if to_right else "left" for to_right in right]
        head = "".join(
            f'<th scope="col" style="text-align:{side}">{escape(name)}</th>'
            for name, side in zip(self.columns, sides, strict=True)
        )
        body = []
        for row in self.rows:
            cells = []
            for place, (cell, side) in enumerate(zip(row, sides, strict=True)):
                style = f"text-align:{side}"
                if place == 0 and not right[0]:
                    cells.append(f'<th scope="row" style="{style};font-weight:normal">{_html(cell)}</th>')
                else:
                    cells.append(f'<td style="{style}">{_html(cell)}</td>')
            body.append(f"<tr>{''.join(cells)}</tr>")
        return (
            f"<table>{self._html_caption()}\n<thead><tr>{head}</tr></thead>\n"
            f"<tbody>\n{chr(10).join(body)}\n</tbody></table>"
        )

    def _html_caption(self) -> str:
        if not self.caption:
            return ""
        # A caption is as wide as its table; a short one would break in pieces above a narrow table.
        unbroken = ";white-space:nowrap" if len(self.caption) <= LONGEST_UNBROKEN else ""
        return f'<caption style="text-align:left{unbroken}">{escape(self.caption)}</caption>'

    def _texts(self) -> list[list[str]]:
        return [[format_number(cell) for cell in row] for row in self.rows]

    def _right(self) -> list[bool]:
        """Which columns stand to the right."""
        if self.numeric is not None:
            return [name in self.numeric for name in self.columns]
        return [_holds_numbers([row[place] for row in self.rows]) for place in range(len(self.columns))]


def _html(cell: Any) -> str:
    ready = getattr(cell, "__html__", None)
    return escape(format_number(cell)) if ready is None else ready()


def _one_line(text: str) -> str:
    """A cell of a Markdown table: no bar and no line end may break the row."""
    return " ".join(text.split("\n")).replace("|", "\\|")


def _holds_numbers(values: Sequence[Any]) -> bool:
    """Numbers, or texts that are numbers (given with the digits their author wants)."""
    present = [value for value in values if not is_missing(value) and value not in ("", MISSING)]
    return bool(present) and all(is_number(value) or _reads_as_number(value) for value in present)


def _reads_as_number(value: object) -> bool:
    return isinstance(value, str) and bool(NUMERAL.fullmatch(value))
