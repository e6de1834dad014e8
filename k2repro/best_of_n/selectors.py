"""Selectors: plain functions that give each candidate a score; the highest is chosen, ties evenly.

No selector can see the right answer: it gets `Candidate`s, which have no place for it.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from k2repro.errors import K2ReproError, unknown

# Nats that a confirmed answer counts: more than likelihoods of one problem differ by as a rule, so agreement
# decides first and likelihood among those that agree. No other value was tried.
AGREEMENT = 4.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sampled answer, and what is known of it without knowing the right one.

    text: as a judge reads it. answer: the value that it states, None when it states none that can be read.
    tokens: of the response. logprob: sum over its tokens of the natural log-probability under the solver.
    certainty: mean over its tokens of the KL divergence from the uniform distribution (self-certainty, Kang
    et al., arXiv 2502.18581). judge: the score of a judge. agrees: whether its answer came out again along
    its own way (`process_check`). Each is None where it was not measured.
    planned: whether it was written with a plan.
    """

    text: str
    answer: str | None
    tokens: int = 0
    logprob: float | None = None
    certainty: float | None = None
    judge: float | None = None
    planned: bool = False
    agrees: bool | None = None


Selector = Callable[[Sequence[Candidate]], list[float]]


def random_choice(candidates: Sequence[Candidate]) -> list[float]:
    """All equal: any candidate, which is a single sample."""
    return [0.0] * len(candidates)


def majority(candidates: Sequence[Candidate]) -> list[float]:
    """How many candidates state the same answer (self-consistency, Wang et al., arXiv 2203.11171)."""
    return weighted_vote(candidates, [1.0] * len(candidates))


def own_sum(candidates: Sequence[Candidate]) -> list[float]:
    """Log-probability of the whole text under the solver: longer texts lose."""
    return [_known("logprob", each.logprob) for each in candidates]


def own_mean(candidates: Sequence[Candidate]) -> list[float]:
    """Log-probability by token: planned and searched texts differ in length, and this does not mind."""
    return [_known("logprob", each.logprob) / max(1, each.tokens) for each in candidates]


def self_certainty(candidates: Sequence[Candidate]) -> list[float]:
    """How far from uniform the solver's distributions were."""
    return [_known("certainty", each.certainty) for each in candidates]


def judge(candidates: Sequence[Candidate]) -> list[float]:
    """The judge's score alone."""
    return [_known("judge", each.judge) for each in candidates]


def judge_and_own(candidates: Sequence[Candidate]) -> list[float]:
    """Two log-probabilities added: a judge with weights of its own errs elsewhere than the solver."""
    return [a + b for a, b in zip(judge(candidates), own_sum(candidates), strict=True)]


def process(candidates: Sequence[Candidate]) -> list[float]:
    """Whether the answer came out again along the candidate's own way, and its likelihood."""
    agrees = [_known("agrees", each.agrees) for each in candidates]
    return [AGREEMENT * a + b for a, b in zip(agrees, own_sum(candidates), strict=True)]


def vote_by_judge(candidates: Sequence[Candidate]) -> list[float]:
    """Votes for an answer, each weighing exp(judge's score)."""
    scores = judge(candidates)
    highest = max(scores)
    return weighted_vote(candidates, [math.exp(score - highest) for score in scores])


def weighted_vote(candidates: Sequence[Candidate], weights: Sequence[float]) -> list[float]:
    """For each candidate the weight of all that state its answer; 0 where no answer can be read."""
    total: dict[str, float] = defaultdict(float)
    for each, weight in zip(candidates, weights, strict=True):
        if each.answer is not None:
            total[each.answer] += weight
    return [0.0 if each.answer is None else total[each.answer] for each in candidates]


SELECTORS: dict[str, Selector] = {
    "random": random_choice,
    "majority": majority,
    "own-sum": own_sum,
    "own-mean": own_mean,
    "self-certainty": self_certainty,
    "judge": judge,
    "judge+own": judge_and_own,
    "weighted-vote": vote_by_judge,
    "process": process,
}
# Those whose score of a candidate depends on the candidates beside it.
COMPARING = {"majority", "weighted-vote"}


@dataclass(frozen=True)
class Choice:
    """What a selector chose. tied: how many candidates shared the highest score (1: none other)."""

    index: int
    scores: tuple[float, ...]
    tied: int


def selector(name: str) -> Selector:
    """A selector by name. Raises K2ReproError with the names that exist."""
    if name not in SELECTORS:
        raise unknown("selector", name, SELECTORS)
    return SELECTORS[name]


def choose(candidates: Sequence[Candidate], select: Selector, *, generator: random.Random) -> Choice:
    """The candidate with the highest score; ties are broken evenly by `generator`.

    Raises K2ReproError for no candidate and for scores that are not one finite number for each.
    """
    scores = checked_scores(candidates, select)
    best = max(scores)
    first = [index for index, score in enumerate(scores) if score == best]
    return Choice(generator.choice(first), tuple(scores), len(first))


def checked_scores(candidates: Sequence[Candidate], select: Selector) -> list[float]:
    """Scores of a selector, refused where they would choose by accident."""
    if not candidates:
        raise K2ReproError("there is no candidate to choose from: N must be at least 1")
    scores = list(select(candidates))
    if len(scores) != len(candidates):
        raise K2ReproError(f"the selector gave {len(scores)} scores for {len(candidates)} candidates")
    for index, score in enumerate(scores):
        if math.isnan(score):
            raise K2ReproError(
                f"the score of candidate {index} is NaN: it would be neither the best nor not the best. "
                "Usual cause: a judge whose weights diverged"
            )
    return scores


def unreadable(candidates: Sequence[Candidate]) -> int:
    """How many candidates state no answer that can be read."""
    return sum(each.answer is None for each in candidates)


def _known(name: str, value: float | None) -> float:
    if value is None:
        raise K2ReproError(
            f"a candidate has no {name}; usual causes: a server that gives no log-probabilities, no judge, "
            "no process check"
        )
    return value
