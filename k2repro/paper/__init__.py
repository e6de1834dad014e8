"""What was published, and what became of it: facts, tables, figures, claims and their verdicts.

    from k2repro.paper import load_facts, table, figure_series, evaluate_claims

No torch. The data and its confidence words are explained in `data/README.md`.
"""

from k2repro.paper.claims import find_claim, load_claims
from k2repro.paper.confidence import CONFIDENCE, legend
from k2repro.paper.facts import Fact, FactBook
from k2repro.paper.figures import figure_series
from k2repro.paper.ledger import count_verdicts, evaluate_claims, ledger_as_json
from k2repro.paper.ledger_text import cli_claims
from k2repro.paper.loading import load_facts
from k2repro.paper.outcome import VERDICTS
from k2repro.paper.recompute import QUANTITIES
from k2repro.paper.tables import table, table_names

__all__ = [
    "CONFIDENCE",
    "QUANTITIES",
    "VERDICTS",
    "Fact",
    "FactBook",
    "cli_claims",
    "count_verdicts",
    "evaluate_claims",
    "figure_series",
    "find_claim",
    "ledger_as_json",
    "legend",
    "load_claims",
    "load_facts",
    "table",
    "table_names",
]
