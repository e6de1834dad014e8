"""What was published, and what became of it: facts, tables, figures, claims and their verdicts.

    from k2repro.paper import load_facts, table, figure_series, evaluate_claims

No torch. The data and its confidence words are explained in `data/README.md`.
"""

from k2repro.paper.claims import Claim, find_claim, load_claims
from k2repro.paper.confidence import CONFIDENCE, Confidence, legend
from k2repro.paper.facts import Fact, FactBook
from k2repro.paper.figures import FigurePoint, FigureSeries, figure_series
from k2repro.paper.ledger import ClaimVerdict, count_verdicts, evaluate_claims, ledger_as_json, ledger_records
from k2repro.paper.ledger_text import cli_claims, render_claim, render_ledger
from k2repro.paper.loading import load_facts
from k2repro.paper.outcome import VERDICTS
from k2repro.paper.quantity import Quantity
from k2repro.paper.recompute import QUANTITIES
from k2repro.paper.tables import Cell, PaperTable, table, table_names

__all__ = [
    "CONFIDENCE",
    "QUANTITIES",
    "VERDICTS",
    "Cell",
    "Claim",
    "Confidence",
    "Fact",
    "FactBook",
    "FigureSeries",
    "PaperTable",
    "FigurePoint",
    "Quantity",
    "ClaimVerdict",
    "cli_claims",
    "count_verdicts",
    "evaluate_claims",
    "figure_series",
    "find_claim",
    "ledger_as_json",
    "ledger_records",
    "legend",
    "load_claims",
    "load_facts",
    "render_claim",
    "render_ledger",
    "table",
    "table_names",
]
