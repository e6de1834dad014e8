"""A pool: all generations of one model on one benchmark, made once; every score and curve is drawn from it.

Sampling again for each number would compare numbers of different generations. Two types share one shape:
a `Pool` holds texts, `Scores` the kind of the first mistake in their place, small enough to ship.
How a pool is made: `generate_pool`. Files: `pool_file`; a pool on its way: `pool_journal`.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from k2repro.errors import K2ReproError, unknown

# How a response may end. A request that failed has no response, so it never enters a pool.
FINISHES = ("stop", "length")


@dataclass(frozen=True)
class Generation:
    """One response: its text, its length in tokens, how it ended ("stop" or "length"), the verdict."""

    text: str
    tokens: int
    finish: str
    right: bool


@dataclass(frozen=True)
class Score:
    """One response without its text. kind: of its first mistake, or "right"."""

    kind: str
    tokens: int
    finish: str
    right: bool


G = TypeVar("G", Generation, Score)
MeasureOf = Callable[[G], float]


@dataclass(frozen=True)
class Attempts(Generic[G]):
    """All generations for one problem, in the order of their sample numbers."""

    id: str
    tier: str
    generations: tuple[G, ...]

    @property
    def right(self) -> int:
        """How many are right."""
        return sum(generation.right for generation in self.generations)

    def mean(self, measure: MeasureOf[G]) -> float:
        """Mean of a measure over the generations."""
        return sum(map(measure, self.generations)) / len(self.generations)


@dataclass(frozen=True)
class Responses(Generic[G]):
    """Generations by problem, in the order of the benchmark: what pools and scores have in common.

    about: what made it (model, benchmark, seed, temperature ...), JSON-like; kept in the file's header.
    Raises K2ReproError for no problem, a problem without a generation, and an id that occurs twice.
    """

    attempts: tuple[Attempts[G], ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.attempts:
            raise K2ReproError("a pool needs at least one problem; usual cause: a filter removed them all")
        check_ids([attempt.id for attempt in self.attempts])
        for attempt in self.attempts:
            if not attempt.generations:
                raise K2ReproError(f"problem {attempt.id!r} has no generation")
            for generation in attempt.generations:
                _check(attempt.id, generation)

    def __len__(self) -> int:
        return len(self.attempts)

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers, in the order in which they first occur."""
        return tuple(dict.fromkeys(attempt.tier for attempt in self.attempts))

    def tier(self, name: str) -> Self:
        """The part of the pool that belongs to one tier; every statistic of a pool works on it."""
        chosen = tuple(attempt for attempt in self.attempts if attempt.tier == name)
        if not chosen:
            raise unknown("tier of this pool", name, self.tiers)
        return type(self)(chosen, self.about)

    def part(self, tiers: Sequence[str], samples: int) -> Self:
        """The problems of `tiers`, with the first `samples` generations of each.

        Raises K2ReproError where a problem has fewer.
        """
        chosen = [attempt for attempt in self.attempts if attempt.tier in tiers]
        short = [attempt.id for attempt in chosen if len(attempt.generations) < samples]
        if short:
            raise K2ReproError(
                f"problem {short[0]!r} has fewer than the {samples} generations that are compared"
            )
        cut = (Attempts(each.id, each.tier, each.generations[:samples]) for each in chosen)
        return type(self)(tuple(cut), self.about)

    def outcomes(self) -> dict[str, list[int]]:
        """0 or 1 for each generation, by problem id: the input of `bootstrap_by_problem`."""
        return {
            attempt.id: [int(generation.right) for generation in attempt.generations]
            for attempt in self.attempts
        }

    def generations(self) -> list[G]:
        """All generations, problem by problem."""
        return [generation for attempt in self.attempts for generation in attempt.generations]


class Pool(Responses[Generation]):
    """Responses with their texts."""


class Scores(Responses[Score]):
    """Responses with the kind of their first mistake in place of the text."""

    def within(self, budget: int, unfinished: str) -> "Scores":
        """The scores as they would be if responses were cut after `budget` tokens.

        A sampler draws token by token, so a response under a smaller budget is the beginning of this one:
        those that fit stay, the others are wrong. unfinished: the kind of a cut response that was right; a
        mistake may have come before the cut or after it, so a wrong one keeps its kind.
        """

        def cut(score: Score) -> Score:
            if score.tokens <= budget:
                return score
            return Score(unfinished if score.right else score.kind, budget, "length", False)

        attempts = (Attempts(each.id, each.tier, tuple(map(cut, each.generations))) for each in self.attempts)
        return Scores(tuple(attempts), self.about)


class PoolProblem(Protocol):
    """What a pool must know of a problem."""

    @property
    def id(self) -> str: ...
    @property
    def tier(self) -> str: ...


def problem_seed(seed: int, problem_id: str) -> int:
    """64 bits from the SHA-256 of the pool's seed and the problem's id."""
    return int.from_bytes(hashlib.sha256(f"pool/{seed}/{problem_id}".encode()).digest()[:8], "big")


def check_ids(ids: Sequence[str]) -> None:
    """Each id once: outcomes are matched by id, and a second problem would hide the first."""
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise K2ReproError(f"problem {twice[0]!r} occurs twice; usual cause: two lists joined")


def _check(problem: str, generation: Generation | Score) -> None:
    """Values of the stated types; a verdict of 0.5 or a length of None would go into means unseen."""
    text = generation.text if isinstance(generation, Generation) else generation.kind
    tokens, finish, right = generation.tokens, generation.finish, generation.right
    whole = isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0
    if not (isinstance(text, str) and whole and finish in FINISHES and isinstance(right, bool)):
        raise K2ReproError(
            f"problem {problem!r}: a generation must be text, a number of tokens, one of "
            f"{', '.join(FINISHES)}, and true or false; got {(str(text)[:20], tokens, finish, right)}"
        )
