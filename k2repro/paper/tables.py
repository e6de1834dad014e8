"""The paper's Tables 1 to 3, its safety table and the values behind Figures 1 to 4, cell by cell.

    table(2).cell("+ Plan only", "AIME 2024").display      # "85.21"
    table(1).cell("GPT-OSS 120B", "HLE").display           # "(18.58)ᵘ", never bare

A cell that exists without a known value shows a dash; a cell that the table does not have is empty.
"""

from dataclasses import dataclass
from functools import cache

from k2repro.errors import unknown
from k2repro.paper.facts import Fact, FactBook
from k2repro.paper.loading import load_facts
from k2repro.reading import shipped_toml

FIRST_CARD = "macro, FIRST version of the model card (superseded)"


@dataclass(frozen=True)
class Cell:
    """One cell; `fact` is None where the table has no such cell."""

    fact: Fact | None

    @property
    def display(self) -> str:
        """The number as printed, inside the mark that its confidence asks for."""
        if self.fact is None:
            return ""
        if not self.fact.printed:
            return "—"
        return self.fact.trust.template.format(self.fact.printed)

    @property
    def value(self) -> float | None:
        """The number, or None where it is missing, textual or absent."""
        value = self.fact.value if self.fact else None
        return value if isinstance(value, float) else None


@dataclass(frozen=True)
class PaperTable:
    """A published table; `caption` is in our own words."""

    name: str
    title: str
    caption: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]

    def cell(self, row: str, column: str) -> Cell:
        """The cell; raises K2ReproError for a row or column that the table does not have."""
        if row not in self.rows:
            raise unknown(f"row of {self.title}", row, self.rows)
        if column not in self.columns:
            raise unknown(f"column of {self.title}", column, self.columns)
        return self.cells[row, column]

    def records(self, head: str = "row") -> list[dict[str, str]]:
        """One record per row, every cell as displayed."""
        return [
            {head: row, **{column: self.cells[row, column].display for column in self.columns}}
            for row in self.rows
        ]


@cache
def _content() -> dict[str, dict[str, str]]:
    return shipped_toml("k2repro.paper", "tables.toml")


def table_names() -> list[str]:
    """What `table` accepts, as text."""
    return list(_content())


def table(name: int | str, book: FactBook | None = None) -> PaperTable:
    """Table 1, 2, 3, "safety", or "figure1" to "figure4"; raises K2ReproError for any other.

    Rows and columns are those of the table's facts, in the order of the file.
    """
    if str(name) not in _content():
        raise unknown("table", name, _content())
    name = str(name)
    about = _content()[name]
    book = book or load_facts()
    facts = [fact for fact in book.in_table(about["facts"]) if fact.row.startswith(about.get("rows", ""))]
    found = _surfaces(facts, book) if name == "safety" else {(f.row, f.column): Cell(f) for f in facts}
    rows, columns = (tuple(dict.fromkeys(place[axis] for place in found)) for axis in (0, 1))
    cells = {(r, c): found.get((r, c), Cell(None)) for r in rows for c in columns}
    return PaperTable(name, about["title"], about["caption"], rows, columns, cells)


def _surfaces(facts: list[Fact], book: FactBook) -> dict[tuple[str, str], Cell]:
    """The four surfaces of the safety table with their parts, beside the superseded first card."""
    cells: dict[tuple[str, str], Cell] = {}
    for macro in (fact for fact in facts if fact.row == "macro"):
        cells[macro.column, "model card"] = Cell(macro)
        first = book.fact(f"{macro.table}/{FIRST_CARD}/{macro.column}")
        cells[macro.column, "first model card"] = Cell(first)
        for part in (fact for fact in facts if fact.row == macro.column):
            cells[f"{macro.column}: {part.column}", "model card"] = Cell(part)
    return cells
