"""The paper's Tables 1 to 3, its safety table and the values behind Figures 1 to 4, cell by cell.

    table(2).cell("+ Plan only", "AIME 2024").display      # "85.21"
    table(1).cell("GPT-OSS 120B", "HLE").display           # "(18.58)ᵘ", never bare

A cell that exists without a known value shows a dash; a cell that the table does not have is empty.
"""

from collections.abc import Callable
from dataclasses import dataclass

from k2repro.errors import unknown
from k2repro.paper.facts import Fact, FactBook
from k2repro.paper.loading import load_facts

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


def table_names() -> list[str]:
    """What `table` accepts, as text."""
    return [str(name) for name in BUILDERS]


def table(name: int | str, book: FactBook | None = None) -> PaperTable:
    """Table 1, 2, 3, "safety", or "figure1" to "figure4"; raises K2ReproError for any other."""
    known = {str(key): key for key in BUILDERS}
    if str(name) not in known:
        raise unknown("table", name, known)
    return BUILDERS[known[str(name)]](book or load_facts())


def _grid(name: str, title: str, caption: str, facts: list[Fact]) -> PaperTable:
    """A table whose rows and columns are those of its facts, in the order of the file."""
    rows = tuple(dict.fromkeys(fact.row for fact in facts))
    columns = tuple(dict.fromkeys(fact.column for fact in facts))
    by_place = {(fact.row, fact.column): fact for fact in facts}
    cells = {(r, c): Cell(by_place.get((r, c))) for r in rows for c in columns}
    return PaperTable(name, title, caption, rows, columns, cells)


def _table_1(book: FactBook) -> PaperTable:
    caption = (
        "Maths, code and science scores. K2-Think's cells are those of the whole system "
        "with plan and best-of-3, not of the weights alone."
    )
    return _grid("1", "Table 1", caption, book.in_table("table1_main_results"))


def _table_2(book: FactBook) -> PaperTable:
    caption = (
        "What plan and best-of-3 add to the trained checkpoint. "
        "The two averages are computed here, weighted by problems and unweighted."
    )
    return _grid("2", "Table 2", caption, book.in_table("table2_test_time_ablation"))


def _table_3(book: FactBook) -> PaperTable:
    caption = (
        "Mean response length. Only the relative changes are published; token counts are recalled and marked."
    )
    return _grid("3", "Table 3", caption, book.in_table("table3_response_length"))


def _safety(book: FactBook) -> PaperTable:
    """Four surfaces with their parts, beside the superseded first card."""
    facts = book.in_table("table4_safety")
    now, before = "model card", "first model card"
    cells: dict[tuple[str, str], Cell] = {}
    rows: list[str] = []
    for macro in (fact for fact in facts if fact.row == "macro"):
        rows.append(macro.column)
        cells[macro.column, now] = Cell(macro)
        cells[macro.column, before] = Cell(book.fact(f"{macro.table}/{FIRST_CARD}/{macro.column}"))
        for part in (fact for fact in facts if fact.row == macro.column):
            name = f"{macro.column}: {part.column}"
            rows.append(name)
            cells[name, now], cells[name, before] = Cell(part), Cell(None)
    caption = "Safety scores between 0 and 1, four surfaces and the parts that are known by name."
    return PaperTable("safety", "Safety table", caption, tuple(rows), (now, before), cells)


def _figure_1(book: FactBook) -> PaperTable:
    caption = "Maths composite against model size, read off the picture to about 1.5 points."
    return _grid("figure1", "Figure 1", caption, book.in_table("fig1_math_composite_scatter"))


def _scalars(n: int, caption: str) -> Callable[[FactBook], PaperTable]:
    def build(book: FactBook) -> PaperTable:
        facts = [f for f in book.in_table("fig2_3_4_scalars") if f.row.startswith(f"Fig {n} ")]
        return _grid(f"figure{n}", f"Figure {n}", caption, facts)

    return build


BUILDERS: dict[int | str, Callable[[FactBook], PaperTable]] = {
    1: _table_1,
    2: _table_2,
    3: _table_3,
    "safety": _safety,
    "figure1": _figure_1,
    "figure2": _scalars(2, "Where the scores settle during supervised fine-tuning."),
    "figure3": _scalars(3, "Where pass@k of the fine-tuned model saturates."),
    "figure4": _scalars(4, "Start, peak and last point of the reinforcement-learning curves."),
}
