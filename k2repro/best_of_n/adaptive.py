"""Adaptive N: sample until a candidate is good enough, instead of always N times.

The article calls this the future ("allocates compute based on problem difficulty"). The threshold is chosen
on validation problems and held against a fixed N of equal mean tokens on others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from k2repro.best_of_n.expectation import best_of
from k2repro.errors import K2ReproError


@dataclass(frozen=True)
class Adaptive:
    """Expected accuracy, samples and tokens of one problem, or their means over problems."""

    accuracy: float
    samples: float
    tokens: float


def adaptive(scores: ArrayLike, right: ArrayLike, tokens: ArrayLike, threshold: float, most: int) -> Adaptive:
    """Draw from a pool of M in random order until a score reaches `threshold`, at most `most` times.

    scores, right, tokens: [M]. When nothing reaches it, the best of the `most` drawn is taken. Exact over all
    orders: the first that passes is any of those that pass, and misses before it are any of those that miss.
    Raises K2ReproError for lists of different lengths and for `most` outside 1 .. M.
    """
    score, truth, cost = (np.asarray(values, dtype=float) for values in (scores, right, tokens))
    size = len(score)
    if not len(truth) == len(cost) == size or not 1 <= most <= size:
        raise K2ReproError(
            f"{size} scores, {len(truth)} verdicts, {len(cost)} token counts, at most {most} samples: lists "
            "must be equally long, and the limit from 1 to their length"
        )
    passing = score >= threshold
    missing = int(size - passing.sum())
    # P(the first k all miss), k = 0 .. most.
    all_miss = np.array([comb(missing, k) / comb(size, k) for k in range(most + 1)])
    found = 1.0 - all_miss[most]
    # Misses drawn: one for each k >= 1 whose first k all miss.
    misses = float(all_miss[1:].sum())
    accuracy = found * truth[passing].mean() if found > 0 else 0.0
    if all_miss[most] > 0:
        accuracy += all_miss[most] * best_of(score[~passing], truth[~passing], most)
    spent = found * cost[passing].mean() if found > 0 else 0.0
    spent += misses * cost[~passing].mean() if missing else 0.0
    return Adaptive(float(accuracy), float(misses + found), float(spent))


def choose_threshold(
    pools: Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]], most: int, *, mean_samples: float
) -> float:
    """The threshold with the best accuracy among those whose mean number of samples is within the limit.

    pools: (scores, right, tokens) of validation problems. Candidates for the threshold are 40 quantiles of
    all scores. Raises K2ReproError when none keeps the limit (it is below 1).
    """
    scores = np.concatenate([np.asarray(pool[0], dtype=float) for pool in pools])
    best: tuple[float, float] | None = None
    for threshold in np.unique(np.quantile(scores, np.linspace(0.0, 1.0, 41))):
        found = mean_adaptive(pools, float(threshold), most)
        if found.samples <= mean_samples and (best is None or found.accuracy > best[0]):
            best = (found.accuracy, float(threshold))
    if best is None:
        raise K2ReproError(f"mean_samples = {mean_samples}: every question needs at least one sample")
    return best[1]


def mean_adaptive(
    pools: Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]], threshold: float, most: int
) -> Adaptive:
    """Means over problems, each problem counting once."""
    each = [adaptive(scores, right, tokens, threshold, most) for scores, right, tokens in pools]
    return Adaptive(
        float(np.mean([one.accuracy for one in each])),
        float(np.mean([one.samples for one in each])),
        float(np.mean([one.tokens for one in each])),
    )
