"""The tables of answers beside the tests: gold, answer, verdict, kind."""

import csv
from pathlib import Path

HERE = Path(__file__).parent
# kinds: by hand, kind by kind, before the grammar was first run on them; reports: from public issue threads;
# second attack: kinds that were left, and all that was near what fell to it.
TABLES = {
    "answer_pairs.csv": 362,
    "answer_pairs_kinds.csv": 520,
    "answer_pairs_reports.csv": 529,
    "answer_pairs_attack.csv": 400,
    "answer_pairs_second_attack.csv": 1254,
    "answer_pairs_regressions.csv": 101,
}


def pairs(table: str = "answer_pairs.csv") -> list[dict[str, str]]:
    """Rows of kind, verdict (equal, unequal, malformed), gold, answer."""
    with (HERE / table).open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))
