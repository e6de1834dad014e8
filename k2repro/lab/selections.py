"""From marks to values by problem: what each way of choosing gets right, in expectation over the pool."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from k2repro.best_of_n import (
    COMPARING,
    SELECTORS,
    accuracy_curve,
    adaptive,
    choose_threshold,
    expected_vote,
    oracle_accuracy,
)
from k2repro.errors import K2ReproError
from k2repro.evaluate.effects import SeedTable
from k2repro.lab.candidates import PAIR
from k2repro.lab.marks import Marks

Numbers = NDArray[np.float64]
BySeed = Mapping[int, Sequence[Marks]]


def scores(marks: Marks, name: str) -> list[float]:
    """A score for each candidate by the selector `name`; no right answer is looked at.

    Beside SELECTORS: "foreign" and "shuffled" put another reader in the judge's place, and
    "foreign+own" adds it to the solver's own log-probability.
    """
    own = marks.column("own")
    if name in ("foreign", "shuffled"):
        return marks.column(name)
    if name == "foreign+own":
        return [a + b for a, b in zip(marks.column("foreign"), own, strict=True)]
    return SELECTORS[name](marks.candidates)


def chosen(marks: Marks, name: str, n: int) -> float:
    """Expected share of right choices of the selector `name` among n of the candidates; "oracle" too.

    Raises K2ReproError for n outside 1 .. M.
    """
    right = marks.column("right")
    if not 1 <= n <= len(right):
        raise K2ReproError(f"N = {n}: must be from 1 to {len(right)}, the size of the pool of {marks.id}")
    if name == "oracle":
        return oracle_accuracy(right, n)
    if name in COMPARING:
        judged = marks.column("judge") if name == "weighted-vote" else np.zeros(len(right))
        weights = np.exp(np.asarray(judged) - max(judged))
        return expected_vote(marks.column("answer"), weights, right, n)
    return float(accuracy_curve(scores(marks, name), right)[n - 1])


def curve(marks: Marks, name: str) -> Numbers:
    """Expected accuracy at N = 1 .. M, of a selector that scores candidates one by one, or of the oracle."""
    right = marks.column("right")
    if name == "oracle":
        return np.array([oracle_accuracy(right, n) for n in range(1, len(right) + 1)])
    return accuracy_curve(scores(marks, name), right)


def at_budget(marks: Marks, name: str, samples: float) -> float:
    """Expected accuracy of a selector among so many candidates, between whole numbers on a line."""
    return float(np.interp(samples, np.arange(1, len(marks.of) + 1), curve(marks, name)))


def table(by_seed: BySeed, value: Callable[[Marks], float]) -> SeedTable:
    """One value a problem for each seed."""
    ids = tuple(each.id for each in next(iter(by_seed.values())))
    return SeedTable(
        ids, {seed: np.array([value(each) for each in found]) for seed, found in by_seed.items()}
    )


def deep(by_seed: BySeed) -> dict[int, list[Marks]]:
    """The problems with the most candidates."""
    most = max(len(each.of) for found in by_seed.values() for each in found)
    return {seed: [each for each in found if len(each.of) == most] for seed, found in by_seed.items()}


def tokens(marks: Marks) -> float:
    """Mean tokens of a candidate."""
    return float(np.mean(marks.column("tokens")))


# ---- two searches and a planned pass --------------------------------------------------------------


def mixed(searched: Marks, planned: Marks, name: str) -> float:
    """Expected share of right choices among two searches and the pass along the order of the likelier.

    planned: one candidate for each pair of the first searches, in their order.
    """
    search, plan = scores(searched, name), scores(planned, name)
    right, right_planned = searched.column("right"), planned.column("right")
    found = []
    for at in range(len(plan)):
        pair = slice(PAIR * at, PAIR * (at + 1))
        found.append(accuracy_curve([*search[pair], plan[at]], [*right[pair], right_planned[at]])[-1])
    return float(np.mean(found))


def paired_tokens(searched: Marks, planned: Marks) -> float:
    """Mean tokens of two searches and their planned pass."""
    used = PAIR * len(planned.of)
    return PAIR * float(np.mean(searched.column("tokens")[:used])) + float(np.mean(planned.column("tokens")))


# ---- adaptive N -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stopping:
    """Adaptive N beside a fixed N. accuracy, fixed, samples: float64 [problems]; tokens: mean a problem."""

    accuracy: Numbers
    fixed: Numbers
    samples: Numbers
    tokens: float
    threshold: float


def adaptive_against_fixed(
    validation: Sequence[Marks], test: Sequence[Marks], name: str, *, mean_samples: float
) -> Stopping:
    """Stop at the first score above a threshold, against a fixed N of equal mean tokens, by the same score.

    The threshold is the best on validation problems among those that keep `mean_samples` there. At most as
    many are drawn as every problem has.
    """
    most = min(len(each.of) for each in (*validation, *test))
    known, asked = ([replace(each, of=each.of[:most]) for each in part] for part in (validation, test))
    threshold = choose_threshold([_priced(each, name) for each in known], most, mean_samples=mean_samples)
    found = [adaptive(*_priced(each, name), threshold, most) for each in asked]
    spent = float(np.mean([each.tokens for each in found]))
    samples_bought = float(spent / np.mean([tokens(each) for each in asked]))
    return Stopping(
        accuracy=np.array([each.accuracy for each in found]),
        fixed=np.array([at_budget(each, name, samples_bought) for each in asked]),
        samples=np.array([each.samples for each in found]),
        tokens=spent,
        threshold=threshold,
    )


def _priced(marks: Marks, name: str) -> tuple[list[float], list[float], list[float]]:
    """Scores, verdicts and tokens of the candidates."""
    return scores(marks, name), marks.column("right"), marks.column("tokens")
