"""Who answers, who plans, who judges; and which selections need whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from k2repro.best_of_n import SELECTORS
from k2repro.engine.backend import Backend
from k2repro.errors import K2ReproError
from k2repro.solve.reading import Reader

COMPARISONS = ("knock-out", "round-robin")
SELECTIONS = (*COMPARISONS, *SELECTORS)
NEEDS_JUDGE = {"judge", "judge+own", "weighted-vote", *COMPARISONS}
NEEDS_LOGPROBS = {"own-sum", "own-mean", "judge+own", "process"}
NEEDS_CERTAINTY = {"self-certainty"}
# Whose reading it is: of a judge, or of the solver itself.
JUDGE_READS, SOLVER_READS = "judge", "solver"


@dataclass(frozen=True)
class Roles:
    """Who answers, who plans, who judges; may be one backend or three.

    planner: None to read the plan off the solver's own first passes, where the dialect can. judge: None for
    the selectors that need none. readers: models that read candidates instead of talking about them;
    JUDGE_READS: a judge's likelihood in the place of its marks, SOLVER_READS: the solver's self-certainty.
    """

    solver: Backend
    planner: Backend | None = None
    judge: Backend | None = None
    readers: Mapping[str, Reader] = field(default_factory=dict)


def check_roles(roles: Roles, select: str, n: int) -> None:
    """K2ReproError when the selection needs somebody who is not there."""
    if n < 2:
        return
    if select in COMPARISONS and roles.judge is None and JUDGE_READS in roles.readers:
        raise K2ReproError(
            f"selector {select!r} needs a judge that says which of two answers is better; the judge here "
            f"only reads. Choose among {', '.join(sorted(NEEDS_JUDGE - set(COMPARISONS)))}"
        )
    if select in NEEDS_JUDGE and roles.judge is None and JUDGE_READS not in roles.readers:
        able = sorted(set(SELECTIONS) - NEEDS_JUDGE)
        raise K2ReproError(f"selector {select!r} needs a judge: name one, or choose among {', '.join(able)}")
    if select in NEEDS_CERTAINTY and SOLVER_READS not in roles.readers:
        raise K2ReproError(
            f"selector {select!r} needs the probabilities of the whole vocabulary at every token, which "
            "servers do not tell: it is for models in this process, such as mini-K2"
        )
