"""The interval type, and Wilson's interval for a proportion.

Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22(158).
With 30 problems, as in AIME 2024, the textbook (Wald) interval p +- z sqrt(p(1-p)/n) has zero width
at 30 of 30 and claims certainty; Wilson's does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

from k2repro.errors import K2ReproError
from k2repro.evaluate.checks import check_level, one_whole_number


@dataclass(frozen=True)
class Interval:
    """A confidence interval, with what a row must say about it; unpacks as `low, high`."""

    low: float
    high: float
    method: str  # e.g. "wilson"; goes to a row's interval_method
    level: float  # confidence, a fraction such as 0.95
    n: int  # independent units behind it: trials for Wilson, problems for a bootstrap

    def __iter__(self) -> Iterator[float]:
        yield self.low
        yield self.high

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def width(self) -> float:
        """high - low, in the unit of the statistic."""
        return self.high - self.low


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson score interval for a proportion of `successes` among `n` independent trials.

    Trials must be independent: several generations of one problem are not, use
    `bootstrap_by_problem` for those. Raises K2ReproError for n = 0 and successes > n.

    >>> [round(bound, 3) for bound in wilson_interval(30, 30)]
    [0.886, 1.0]
    """
    right = one_whole_number("successes", successes)
    trials = one_whole_number("n", n)
    check_level(level)
    if trials == 0:
        raise K2ReproError("n must be at least 1, got 0; usual cause: a filter removed every trial")
    if right > trials:
        raise K2ReproError(
            f"successes must not exceed n, got {right} of {trials}; usual cause: the arguments are "
            "in another order, it is wilson_interval(successes, n)"
        )
    z = normal_quantile(0.5 + level / 2.0)
    share = right / trials
    shrink = 1.0 + z * z / trials
    centre = (share + z * z / (2.0 * trials)) / shrink
    half = z * sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials)) / shrink
    # At the ends the formula gives 0 and 1 exactly; floating point misses them by an ulp.
    low = 0.0 if right == 0 else max(0.0, centre - half)
    high = 1.0 if right == trials else min(1.0, centre + half)
    return Interval(low, high, method="wilson", level=level, n=trials)


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution, for a probability in (0, 1)."""
    return NormalDist().inv_cdf(probability)


def normal_probability(quantile: float) -> float:
    """Distribution function of the standard normal."""
    return NormalDist().cdf(quantile)
