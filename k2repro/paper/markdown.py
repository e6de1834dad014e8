"""results/<profile>/tables: the paper's tables as Markdown files, rendered from facts and rows."""

from collections.abc import Mapping

from k2repro.paper.cells import standings
from k2repro.paper.tables import table, table_names
from k2repro.results import Row
from k2repro.tables import Table

COLUMNS = ("row", "column", "published", "recomputed", "mini", "real", "verdict", "why")
MARKS = (
    "Marks: — no source prints it; ᵐ recalled, agrees with another print; (…)ᵘ recalled only; "
    "~ read off a picture; ˢ second-hand."
)


def render_tables(rows: Mapping[str, Row]) -> dict[str, str]:
    """File name -> Markdown, for every table and figure of the paper."""
    return {f"{_file_name(name)}.md": _render(name, rows) for name in table_names()}


def _file_name(name: str) -> str:
    return f"table{name}" if name.isdigit() else name


def _render(name: str, rows: Mapping[str, Row]) -> str:
    named = table(name)
    lines = [f"# {named.title}", "", named.caption, "", MARKS, ""]
    records = [standing.record() for standing in standings(name, rows)]
    cells = Table(COLUMNS, [[record[key] for key in COLUMNS] for record in records], numeric=frozenset())
    return "\n".join([*lines, cells.as_markdown()]) + "\n"
