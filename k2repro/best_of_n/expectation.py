"""What a selector gains, without luck: the expectation over every way to draw N candidates from a pool.

One pool of M samples gives the whole curve N = 1 .. M. Sampling subsets would add noise to it, and drawing
with replacement would let a sample compete with its own copy; both are avoided by counting.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from math import comb, perm

import numpy as np
from numpy.typing import ArrayLike, NDArray

from k2repro.best_of_n.selectors import Candidate, Selector, checked_scores
from k2repro.errors import K2ReproError

# Subsets or orders that are counted one by one; more would take minutes for one problem.
MOST_COUNTED = 20_000


def expected_accuracy(
    candidates: Sequence[Candidate], right: ArrayLike, select: Selector, n: int, *, comparing: bool = False
) -> float:
    """Expected share of right choices when `select` chooses among n of the candidates, drawn evenly.

    right: bool [M], whether each candidate is right. comparing: whether the selector's score of a candidate
    depends on the others (a vote), so that every subset has to be looked at; otherwise scores are computed
    once and subsets are counted in closed form.
    Raises K2ReproError for n outside 1 .. M, for more than MOST_COUNTED subsets of a comparing selector, and
    for labels that cannot be those of the candidates.
    """
    truth = _truth(right, len(candidates), n)
    _check_labels(candidates, truth)
    if not comparing:
        return best_of(np.array(checked_scores(candidates, select)), truth, n)
    _check_count(comb(len(candidates), n), n, len(candidates))
    total = 0.0
    for subset in combinations(range(len(candidates)), n):
        scores = np.array(checked_scores([candidates[i] for i in subset], select))
        total += truth[list(subset)][scores == scores.max()].mean()
    return total / comb(len(candidates), n)


def oracle_accuracy(right: ArrayLike, n: int) -> float:
    """The chance that n candidates drawn evenly hold a right one: 1 - C(wrong, n) / C(M, n)."""
    truth = _truth(right, None, n)
    wrong = int((~truth).sum())
    return 1.0 - comb(wrong, n) / comb(len(truth), n)


def expected_knock_out(verdicts: ArrayLike, right: ArrayLike, n: int) -> float:
    """Expected accuracy of the released procedure: the best so far, always shown first, against the next.

    verdicts: int [M, M]; [i, j] is 0 when the one shown first (i) wins against j, 1 when j wins, -1 when
    the judge's words could not be read: the best so far then stays. Every order of n candidates counts once.
    Orders that drew the same candidates and kept the same one go on alike, so they are counted together.
    """
    second_wins = (np.asarray(verdicts) == 1).tolist()
    size = len(second_wins)
    truth = _truth(right, size, n)
    _check_count(sum(comb(size, k) * k * (size - k) for k in range(1, n)), n, size)
    # How many orders lead to (who was drawn, as a bit each; who is the best of them).
    orders = {(1 << first, first): 1 for first in range(size)}
    for _ in range(n - 1):
        longer: dict[tuple[int, int], int] = defaultdict(int)
        for (drawn, best), count in orders.items():
            for challenger in range(size):
                if not drawn >> challenger & 1:
                    winner = challenger if second_wins[best][challenger] else best
                    longer[drawn | 1 << challenger, winner] += count
        orders = longer
    return sum(count for (_, best), count in orders.items() if truth[best]) / perm(size, n)


def expected_round_robin(verdicts: ArrayLike, right: ArrayLike, n: int) -> float:
    """Expected accuracy when all pairs of n candidates are compared in both orders; most wins is chosen.

    verdicts: as in `expected_knock_out`; one that could not be read is half a win for both.
    """
    wins = both_orders(verdicts)
    truth = _truth(right, len(wins), n)
    _check_count(comb(len(wins), n), n, len(wins))
    total = 0.0
    for subset in combinations(range(len(wins)), n):
        index = np.array(subset)
        scores = wins[np.ix_(index, index)].sum(axis=1)
        total += truth[index][scores == scores.max()].mean()
    return total / comb(len(wins), n)


def both_orders(verdicts: ArrayLike) -> NDArray[np.float64]:
    """[M, M]: the share of its two comparisons with j that i won; 0 on the diagonal."""
    table = np.asarray(verdicts)
    first = np.where(table == 0, 1.0, np.where(table == 1, 0.0, 0.5))
    wins = (first + 1.0 - first.T) / 2.0
    np.fill_diagonal(wins, 0.0)
    return wins


def sees_the_answer(
    pools: Sequence[Sequence[Candidate]], rights: Sequence[ArrayLike], select: Selector, *, least: int = 20
) -> bool:
    """Whether a selector picks a right candidate on every problem that has right and wrong ones.

    A guard: that is what a selector does which got hold of the right answers. False below `least` such
    problems, because a good judge may be right on a few.
    """
    mixed = 0
    for candidates, right in zip(pools, rights, strict=True):
        truth = np.asarray(right, dtype=bool)
        if not truth.any() or truth.all():
            continue
        scores = np.array(checked_scores(candidates, select))
        if not truth[scores == scores.max()].all():
            return False
        mixed += 1
    return mixed >= least


def best_of(scores: NDArray[np.float64], truth: NDArray, n: int) -> float:
    """Expected truth of the highest of n drawn evenly, ties evenly, in closed form.

    For each value of a score: the chance that it is the highest of n, times the share of right ones there.
    """
    total, below = 0.0, 0
    for value in np.unique(scores):
        here = scores == value
        upto = below + int(here.sum())
        total += (comb(upto, n) - comb(below, n)) / comb(len(scores), n) * truth[here].mean()
        below = upto
    return float(total)


def _truth(right: ArrayLike, candidates: int | None, n: int) -> NDArray[np.bool_]:
    truth = np.asarray(right, dtype=bool)
    if candidates is not None and len(truth) != candidates:
        raise K2ReproError(
            f"{len(truth)} verdicts for {candidates} candidates; usual cause: the labels of another pool"
        )
    if not 1 <= n <= len(truth):
        raise K2ReproError(f"N = {n}: must be from 1 to {len(truth)}, the size of the pool")
    return truth


def _check_labels(candidates: Sequence[Candidate], truth: NDArray[np.bool_]) -> None:
    """Whether an answer is right does not depend on who states it, and no answer is not right."""
    known: dict[str | None, bool] = {None: False}
    for index, (each, right) in enumerate(zip(candidates, truth.tolist(), strict=True)):
        if known.setdefault(each.answer, right) != right:
            what = "states no answer" if each.answer is None else f"states {each.answer!r}, as others do"
            raise K2ReproError(
                f"candidate {index} {what}, and is called {'right' if right else 'wrong'}: these are not its "
                "labels. Usual cause: the labels of another pool"
            )


def _check_count(count: int, n: int, size: int) -> None:
    if count > MOST_COUNTED:
        raise K2ReproError(
            f"N = {n} of {size} candidates are {count:,} cases, more than {MOST_COUNTED:,}: take a smaller "
            "pool or a smaller N"
        )
