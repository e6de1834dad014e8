"""How far apart two published benchmark scores must be before their order means something.

Scores of 30 problems move by several points from one drawing of problems to the next. The rule is the
same for "near" and for "far": two standard errors of the difference, each score taken as a binomial
proportion over the problems of its set. Runs that were averaged, and that both models met the same
problems, would narrow it; per-problem results were not published, so the wide bound is what is known.
"""

import math
from collections.abc import Mapping

from k2repro.paper.facts import FactBook
from k2repro.paper.quantity import Operand
from k2repro.paper.recompute import MATHS, operand, problem_counts

STANDARD_ERRORS = 2.0


def noise_of(book: FactBook, a: Operand, b: Operand) -> float | None:
    """Half-width in points of the interval around the difference of two scores; None for other numbers."""
    first, second = _variance(book, a), _variance(book, b)
    if first is None or second is None:
        return None
    return STANDARD_ERRORS * math.sqrt(first + second)


def _variance(book: FactBook, of: Operand) -> float | None:
    """Variance of one score in squared points; None when its number of problems is not known."""
    problems = _problems(book, of)
    if problems is None:
        return None
    share = min(max(operand(book, of).value / 100, 0.0), 1.0)
    return 1e4 * share * (1 - share) / problems


def _problems(book: FactBook, of: Operand) -> float | None:
    """A cell of a maths benchmark, or a micro-average over all of them; nothing else is a proportion."""
    column = of.rpartition("/")[2] if isinstance(of, str) else ""
    if column in MATHS:
        return problem_counts(book)[column]
    averaged = isinstance(of, Mapping) and of.get("of") == "micro_average"
    if averaged or column.startswith("Math micro-average"):
        return sum(problem_counts(book).values())
    return None
