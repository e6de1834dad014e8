"""Bootstrap by problem: the interval of a pooled score or curve point.

Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 13
(percentile) and 14 (BCa). The resampled unit is the problem: the K2-Think tables average few problems
over many runs.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.evaluate.checks import (
    Outcomes,
    Statistic,
    check_generator,
    check_level,
    check_method,
    check_resamples,
)
from k2repro.evaluate.intervals import Interval, normal_probability, normal_quantile
from k2repro.evaluate.problems import as_problems

METHODS = ("percentile", "bca")
# Maps rows of problem positions, (rows, problems drawn), to one number for each row, (rows,).
RowStatistic = Callable[[NDArray[np.intp]], NDArray[np.float64]]
# Positions held at once, 8 bytes each: few enough for a core's own cache, which halves the time.
CHUNK = 25_000
# Two replicates closer than this, relative to their spread, differ only by rounding.
TIE = 1e-9


def bootstrap_by_problem(
    outcomes: Outcomes,
    statistic: Statistic | None = None,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 10_000,
    method: str = "percentile",
) -> Interval:
    """Confidence interval of a statistic, from resampling whole problems with replacement.

    outcomes   (problems,), (problems, generations), a list with one array per problem, or a mapping
               from problem id; see `k2repro.evaluate.problems.as_problems`
    statistic  called with resampled outcomes in the same form, returns one number; None is the mean
               over problems of each problem's mean, so that every problem weighs the same
    method     "percentile", or "bca": corrected for bias and skewness
    returns    Interval with n = number of problems

    If every resample agrees (all problems right, say) the interval has zero width: the data show no
    variation to resample. Its method then ends in "no variation"; for a proportion of problems
    report `wilson_interval` instead. Raises K2ReproError for fewer than two problems, outcomes or
    results that are not finite, and a "bca" whose bias correction is infinite.

    >>> scores = [[1, 1], [0, 1], [0, 0], [1, 1]]
    >>> tuple(bootstrap_by_problem(scores, generator=np.random.default_rng(0)))
    (0.25, 1.0)
    """
    problems = as_problems("outcomes", outcomes)
    return interval_of_rows(
        lambda index: problems.statistics(index, statistic),
        len(problems),
        generator=generator,
        level=level,
        resamples=resamples,
        method=method,
    )


def interval_of_rows(
    row_statistic: RowStatistic,
    problems: int,
    *,
    generator: np.random.Generator,
    level: float,
    resamples: int,
    method: str,
) -> Interval:
    """Bootstrap interval of anything that can be computed from rows of problem positions."""
    check_generator(generator)
    check_level(level)
    check_resamples(resamples, level)
    check_method(method, METHODS)
    replicates = statistics_of_random_rows(
        row_statistic, (resamples, problems), below=problems, generator=generator
    )
    tails = np.array([(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    label = f"bootstrap by problem, {method}"
    if _spread(replicates) == 0.0:
        tails, label = np.array([0.0, 1.0]), f"{label}, no variation"
    elif method == "bca":
        tails = _bca_tails(tails, replicates, row_statistic, problems)
    low, high = np.quantile(replicates, tails)
    return Interval(float(low), float(high), method=label, level=level, n=problems)


def statistics_of_random_rows(
    row_statistic: RowStatistic, shape: tuple[int, int], *, below: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """The statistic of each row of random integers in [0, below), a bounded number at a time.

    shape     (rows, problems)
    returns   (rows,)
    """
    rows, problems = shape
    step = max(1, CHUNK // problems)
    parts = []
    for start in range(0, rows, step):
        size = (min(step, rows - start), problems)
        parts.append(row_statistic(generator.integers(0, below, size=size)))
    return np.concatenate(parts)


def _bca_tails(
    tails: NDArray, replicates: NDArray, row_statistic: RowStatistic, problems: int
) -> NDArray[np.float64]:
    """Tail probabilities corrected for bias z0 and acceleration (Efron and Tibshirani, 14.10)."""
    everything = np.arange(problems)
    estimate = row_statistic(everything[None, :])[0]
    slack = TIE * _spread(replicates)
    # Scores of few problems tie often; half of the ties count as below, as scipy does.
    below = (replicates < estimate - slack).mean()
    below = (below + (replicates <= estimate + slack).mean()) / 2.0
    if not 0.0 < below < 1.0:
        raise K2ReproError(
            f"bca: all resamples lie on one side of the estimate {estimate:.6g}, its correction is "
            "infinite; usual cause: a statistic such as a maximum: use method='percentile'"
        )
    z0 = normal_quantile(float(below))
    without = np.concatenate([row_statistic(np.delete(everything, one)[None, :]) for one in range(problems)])
    pull = without.mean() - without
    scale = 6.0 * (pull**2).sum() ** 1.5
    acceleration = (pull**3).sum() / scale if scale > 0.0 else 0.0
    shifted = [z0 + normal_quantile(float(tail)) for tail in tails]
    return np.array([normal_probability(z0 + z / (1.0 - acceleration * z)) for z in shifted])


def _spread(replicates: NDArray) -> float:
    """Range of the replicates; 0 where they differ by rounding alone."""
    spread = float(np.ptp(replicates))
    return spread if spread > TIE * float(np.abs(replicates).max()) else 0.0
