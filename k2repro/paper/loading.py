"""Read the package's data files into a `FactBook`; nothing is dropped, nothing is filled in."""

import csv
from functools import cache
from importlib import resources

from k2repro.errors import K2ReproError
from k2repro.paper.facts import Fact, FactBook
from k2repro.reading import REPAIR, shipped_text

FIGURE_4 = "fig4_rl_curves_digitised.csv"
INVENTORY = "article_inventory.csv"
FACT_COLUMNS = ["table", "row", "column", "value", "unit", "source", "confidence", "note"]
INVENTORY_COLUMNS = ["heading", "statement", "tokens", "claim", "reason"]
_CURVE_HEADER = "table,panel,series,metric,gradient_update_step,value,unit,source,confidence"
CURVE_COLUMNS = _CURVE_HEADER.split(",")


def read_records(name: str, columns: list[str]) -> list[dict[str, str]]:
    """Records of one data file; raises K2ReproError when the header or a line has other columns."""
    text = shipped_text("k2repro.paper", f"data/{name}")
    reader = csv.DictReader(text.splitlines())
    if reader.fieldnames != columns:
        raise K2ReproError(f"{name}: columns {reader.fieldnames}; expected {columns}")
    records = list(reader)
    if not records:
        raise K2ReproError(f"{name} holds no lines below its header. {REPAIR}")
    for number, record in enumerate(records, start=2):
        if None in record or None in record.values():
            raise K2ReproError(
                f"{name} record {number}: not {len(columns)} fields. Usual cause: an unquoted comma"
            )
    return records


def article_inventory() -> list[dict[str, str]]:
    """Every number of the article in order: heading, paraphrase, tokens, then a claim or a reason."""
    return read_records(INVENTORY, INVENTORY_COLUMNS)


def fact_files() -> list[str]:
    """The data files that hold facts in the common columns, by name."""
    folder = resources.files("k2repro.paper") / "data"
    names = (entry.name for entry in folder.iterdir() if entry.name.endswith(".csv"))
    return sorted(name for name in names if name not in (FIGURE_4, INVENTORY))


def _curve_facts() -> list[Fact]:
    """Figure 4's points as facts; the row is as `TL: RL from base, AIME`, the column is the step."""
    facts = []
    for record in read_records(FIGURE_4, CURVE_COLUMNS):
        # "figure-digitised (+/-0.005 y, +/-30 steps)": the word, then how exact the reading is.
        word, _, accuracy = record["confidence"].partition(" ")
        facts.append(
            Fact(
                table=record["table"],
                row=f"{record['panel']}: {record['series']}, {record['metric']}",
                column=record["gradient_update_step"],
                printed=record["value"],
                unit=record["unit"],
                source=record["source"],
                confidence=word,
                note=accuracy.strip("()"),
            )
        )
    return facts


@cache
def load_facts() -> FactBook:
    """Every published cell that the package holds, read once."""
    facts = [
        Fact(printed=record.pop("value"), **record)
        for name in fact_files()
        for record in read_records(name, FACT_COLUMNS)
    ]
    return FactBook([*facts, *_curve_facts()])
