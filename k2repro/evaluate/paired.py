"""A against B on the same problems: paired bootstrap, swap test, exact McNemar.

Two scores on the same problems share the luck of the problem draw. Comparing them as if they came
from different problems throws that away and calls real differences noise.

McNemar 1947, Psychometrika 12(2); mid-p: Fagerland, Lydersen and Laake 2013, BMC Medical Research
Methodology 13:91; swap (randomisation) test: Fisher 1935, "The Design of Experiments", section 21.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from k2repro.errors import K2ReproError
from k2repro.evaluate.bootstrap import TIE, interval_of_rows, statistics_of_random_rows
from k2repro.evaluate.checks import Outcomes, Statistic, finite_numbers, one_whole_number
from k2repro.evaluate.intervals import Interval
from k2repro.evaluate.problems import Problems, as_problems


@dataclass(frozen=True)
class PairedDifference:
    """statistic(a) - statistic(b) on the same problems."""

    difference: float  # positive: a scores higher
    interval: Interval  # of the difference, from resampling problems in pairs
    p_value: float | None  # two-sided swap test; None unless asked for
    n: int  # problems


def paired_difference(
    a: Outcomes,
    b: Outcomes,
    statistic: Statistic | None = None,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 10_000,
    method: str = "percentile",
    p_value: bool = False,
) -> PairedDifference:
    """Difference of a statistic between two systems scored on the same problems, in the same order.

    a, b       outcomes by problem, as in `bootstrap_by_problem`. Mappings from problem id are matched
               by id; otherwise position is trusted and the numbers of problems must agree. The
               numbers of generations may differ.
    statistic  as in `bootstrap_by_problem`; None is the mean over problems of each problem's mean
    p_value    also test "a and b are alike": swap a and b within problems at random. All
               2^problems swaps are counted if they are no more than `resamples`. The interval is
               the same with and without it.

    Raises K2ReproError where the two are not on the same problems.

    >>> a, b, generator = [1, 1, 1, 0, 1, 1], [1, 0, 0, 0, 1, 0], np.random.default_rng(0)
    >>> paired = paired_difference(a, b, generator=generator, p_value=True)
    >>> paired.difference, paired.p_value
    (0.5, 0.25)
    """
    first, second = _same_problems(a, b)
    problems = len(first)

    def difference(index: NDArray[np.intp]) -> NDArray[np.float64]:
        return first.statistics(index, statistic) - second.statistics(index, statistic)

    interval = interval_of_rows(
        difference, problems, generator=generator, level=level, resamples=resamples, method=method
    )
    observed = float(difference(np.arange(problems)[None, :])[0])
    chance = None
    if p_value:
        chance = _swap_test(first, second, statistic, observed, resamples, generator)
    return PairedDifference(observed, interval, chance, n=problems)


def discordant_pairs(a: ArrayLike, b: ArrayLike) -> tuple[int, int]:
    """(problems only a got right, problems only b got right): the two counts McNemar's test needs.

    a, b   (problems,)   0 or 1, one verdict for each problem, in the same order
    """
    first, second = finite_numbers("a", a), finite_numbers("b", b)
    if first.ndim != 1 or first.shape != second.shape:
        raise K2ReproError(
            "a and b must hold one verdict for each of the same problems, got shapes "
            f"{first.shape} and {second.shape}"
        )
    for name, verdicts in (("a", first), ("b", second)):
        if not np.isin(verdicts, (0.0, 1.0)).all():
            raise K2ReproError(
                f"{name} must hold 0 or 1 for each problem; usual cause: means over several "
                "generations: compare those with paired_difference"
            )
    return int((first > second).sum()), int((second > first).sum())


def mcnemar_exact(b: int, c: int, *, mid_p: bool = False) -> float:
    """Two-sided exact McNemar p-value for b problems only A got right and c only B got right.

    Under "A and B are alike" b is binomial(b + c, 1/2). The p-value is the chance of a split at
    least as uneven; with mid_p equally uneven splits count half, which is less conservative. No
    discordant problem at all gives 1 (mid-p: 1/2). Exact in integers, one rounding at the end.

    >>> mcnemar_exact(1, 5)
    0.21875
    """
    only_a, only_b = one_whole_number("b", b), one_whole_number("c", c)
    trials, fewer = only_a + only_b, min(only_a, only_b)
    sides = 1 if only_a == only_b else 2
    ways, tail = 1, 0  # C(trials, i), and its sum over i < fewer
    for drawn in range(fewer):
        tail += ways
        ways = ways * (trials - drawn) // (drawn + 1)
    doubled = 2 * (2 * tail) + (1 if mid_p else 2) * sides * ways
    return doubled / 2 ** (trials + 1)


def _same_problems(a: Outcomes, b: Outcomes) -> tuple[Problems, Problems]:
    """Both sides by problem, refused where they cannot be the same problems."""
    if isinstance(a, Mapping) != isinstance(b, Mapping):
        raise K2ReproError("a and b must both be mappings from problem id, or neither")
    if isinstance(a, Mapping) and isinstance(b, Mapping) and a.keys() != b.keys():
        strangers = sorted(set(a) ^ set(b))
        raise K2ReproError(
            f"a and b must cover the same problems; {len(strangers)} are in one only, such as "
            f"{strangers[0]!r}"
        )
    first, second = as_problems("a", a), as_problems("b", b)
    if len(first) != len(second):
        raise K2ReproError(
            f"a and b must cover the same problems, got {len(first)} and {len(second)}; usual "
            "cause: a run that stopped early, or swapped axes: problems come first"
        )
    return first, second


def _swap_test(
    first: Problems,
    second: Problems,
    statistic: Statistic | None,
    observed: float,
    resamples: int,
    generator: np.random.Generator,
) -> float:
    """Share of swaps within problems whose difference is at least as large, either way."""
    problems = len(first)
    # Both systems side by side: position p is a's problem p, position problems + p is b's.
    both = _side_by_side(first, second, statistic)
    here = np.arange(problems)

    def difference(swap: NDArray[np.intp]) -> NDArray[np.float64]:
        as_a, as_b = here + problems * swap, here + problems * (1 - swap)
        return both.statistics(as_a, statistic) - both.statistics(as_b, statistic)

    exact = 2**problems <= resamples
    if exact:
        swapped = difference(np.arange(2**problems)[:, None] >> here & 1)
    else:
        shape = (resamples, problems)
        swapped = statistics_of_random_rows(difference, shape, below=2, generator=generator)
    slack = TIE * float(np.abs(swapped).max(initial=abs(observed)))  # equal up to rounding
    hits = int((np.abs(swapped) >= abs(observed) - slack).sum())
    # A random set of swaps counts the observed one too, so p is never 0 (Phipson and Smyth 2010).
    return hits / len(swapped) if exact else (hits + 1) / (len(swapped) + 1)


def _side_by_side(first: Problems, second: Problems, statistic: Statistic | None) -> Problems:
    """One collection with first's problems, then second's."""
    means = np.concatenate([first.means, second.means])
    a, b = first.values, second.values
    if isinstance(a, list) and isinstance(b, list):
        return Problems([*a, *b], means)
    if not isinstance(a, list) and not isinstance(b, list) and a.shape[1:] == b.shape[1:]:
        return Problems(np.concatenate([a, b]), means)
    if statistic is None:  # only the means are looked at
        return Problems(means, means)
    raise K2ReproError(
        "p_value with a statistic of your own swaps outcomes between a and b, so both must have one "
        "form: arrays with equally many generations, or lists with one array for each problem"
    )
