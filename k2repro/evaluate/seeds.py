"""Intervals of statements about training, whose unit is the seed: two levels at once, and Student's t.

Every seed is asked the same problems, so values form a table of seeds by problems, and both are samples: of
trainings that could have been, and of problems that could have been asked. Resampling rows and columns
independently (Owen 2007, "The pigeonhole bootstrap", arXiv 0712.1111) counts both. With k seeds, resampled
rows spread (k - 1) / k too little, which matters for three and little for ten; the t interval corrects for
that, and knows nothing of the problems. Show both.
"""

from collections.abc import Callable, Iterator, Sequence
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from k2repro.errors import K2ReproError
from k2repro.evaluate.bootstrap import CHUNK
from k2repro.evaluate.checks import check_generator, check_level, check_resamples, finite_numbers
from k2repro.evaluate.intervals import Interval
from k2repro.student_t import t_quantile


def two_level_interval(
    values: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], float] | None = None,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Percentile interval of a statistic, from resampling its seeds and its problems.

    values     float [seeds, problems] or [seeds, problems, columns]; for a comparison the paired differences,
               each seed with its own start
    statistic  of an array [problems] or [problems, columns], the mean over the drawn seeds of the drawn
               problems; returns one number. None is the mean over problems
    returns    Interval with n = number of problems

    A resample draws seeds and problems with replacement; all drawn seeds are asked the same drawn problems,
    as all seeds were. Raises K2ReproError for fewer than two seeds or problems.

    >>> table = [[0.1, 0.3, 0.2], [0.5, 0.7, 0.6]]
    >>> interval = two_level_interval(table, generator=np.random.default_rng(0), resamples=4000)
    >>> round(interval.low, 2), round(interval.high, 2)
    (0.13, 0.67)
    """
    table = finite_numbers("values", values)
    check_generator(generator)
    check_level(level)
    check_resamples(resamples, level)
    if table.ndim not in (2, 3) or min(table.shape[:2]) < 2:
        raise K2ReproError(
            f"values have shape {table.shape}: must be [seeds, problems], at least two of each. One seed "
            "says nothing about training"
        )
    seeds, problems = table.shape[:2]
    means: dict[tuple[int, ...], NDArray[np.float64]] = {}
    found = np.empty(resamples)
    for at, (drawn_seeds, drawn) in enumerate(_draws(seeds, problems, resamples, generator)):
        # Few seeds are drawn alike again and again: the mean of each draw of them is taken once.
        if drawn_seeds not in means:
            # A count of each seed, not copies of it: their mean is one product.
            shares = np.bincount(drawn_seeds, minlength=seeds) / seeds
            means[drawn_seeds] = np.einsum("s,s...->...", shares, table)
        mean = means[drawn_seeds].take(drawn, axis=0)
        found[at] = mean.sum() / problems if statistic is None else statistic(mean)
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(
        float(low), float(high), method="bootstrap by seed and problem, percentile", level=level, n=problems
    )


def _draws(
    seeds: int, problems: int, resamples: int, generator: np.random.Generator
) -> Iterator[tuple[tuple[int, ...], NDArray[np.int64]]]:
    """The seeds of each resample, sorted, and its problems: in turn, as a call for each would draw."""
    below = np.repeat([seeds, problems], [seeds, problems])
    step = max(1, CHUNK // len(below))
    for start in range(0, resamples, step):
        drawn = integers_below(below, min(step, resamples - start), generator)
        kinds = np.sort(drawn[:, :seeds], axis=1).tolist()
        yield from zip(map(tuple, kinds), drawn[:, seeds:], strict=True)


def integers_below(below: NDArray[np.int64], rows: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """What `generator.integers(0, below, (rows, len(below)))` draws, in a third of the time.

    numpy multiplies 32 random bits by the bound and keeps the high half of the product (Lemire 2019,
    arXiv 1805.10941). Where the low half is below the bound it may have to draw again: there it is asked.
    """
    shape = (rows, len(below))
    before = generator.bit_generator.state
    bits = generator.integers(0, 2**32, size=shape, dtype=np.uint32)
    product = bits * below.astype(np.uint64)
    if (product.astype(np.uint32) < below).any():
        generator.bit_generator.state = before
        return generator.integers(0, below, size=shape)
    return (product >> np.uint64(32)).astype(np.int64)


def t_interval(values: Sequence[float] | NDArray[np.float64], *, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of one value a seed; n = number of seeds.

    Exact where seeds are normal. Raises K2ReproError for fewer than two.

    >>> tuple(round(bound, 2) for bound in t_interval([1.0, 2.0, 3.0]))
    (-0.48, 4.48)
    """
    numbers = finite_numbers("values", values)
    check_level(level)
    if numbers.ndim != 1 or len(numbers) < 2:
        raise K2ReproError(
            f"{numbers.size} value: a t interval needs at least two seeds, because their spread is its width"
        )
    k, mean = len(numbers), float(numbers.mean())
    half = t_quantile((1 + level) / 2, k - 1) * float(numbers.std(ddof=1)) / sqrt(k)
    return Interval(mean - half, mean + half, method="t over seeds", level=level, n=k)
