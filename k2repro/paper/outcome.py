"""What a predicate gets and what it gives back: evidence in, verdict with its reason out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from k2repro.paper.facts import FactBook
from k2repro.paper.quantity import Quantity
from k2repro.paper.recompute import operand
from k2repro.results import Row

RECOMPUTED = "recomputed"
CONSISTENT = "consistent as printed"
DERIVED = "derived"
MINI = "reproduced at mini scale"
DIRECTION = "direction only"
CONTRADICTED = "contradicted"
UNRESOLVED = "unresolved"
NOT_TESTABLE = "not testable here"

VERDICTS = {
    RECOMPUTED: "computed here from other facts or real weights, and it agrees",
    CONSISTENT: "the printed numbers say so; not computed, or within chance",
    DERIVED: "compared with this kit's own arithmetic: no evidence",
    MINI: "measured on mini-K2 with an interval beyond zero",
    DIRECTION: "the sign agrees, the published size does not",
    CONTRADICTED: "recorded facts or a measurement say otherwise",
    UNRESOLVED: "not enough evidence yet; the reason names what is missing",
    NOT_TESTABLE: "nothing that runs here can decide it",
}
DECISIVE = (RECOMPUTED, CONSISTENT, DERIVED, MINI, DIRECTION, CONTRADICTED)


@dataclass(frozen=True)
class Judgement:
    """Verdict, one or two sentences of reason with the numbers filled in, and those numbers by name."""

    verdict: str
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """What a predicate may look at: the facts, the rows that exist, and the row ids it waits for.

    asked   every quantity that it looked at, so that the ledger knows whether anything was computed
    """

    book: FactBook
    rows: Mapping[str, Row]
    needs: tuple[str, ...]
    asked: list[Quantity] = field(default_factory=list)

    def quantity(self, of: object) -> Quantity:
        """The number of an operand; see `quantity.resolve`."""
        self.asked.append(operand(self.book, of))
        return self.asked[-1]

    def row(self) -> Row | None:
        """The first needed row, or None while no notebook has written it."""
        return self.rows.get(self.needs[0]) if self.needs else None
