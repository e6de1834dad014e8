"""A pool: all generations of one model on one benchmark, made once; every score and curve is drawn from it.

Sampling again for each number would compare numbers of different generations. Sampler and grader come as
callables, so this room needs neither the engine nor the problems. Files: `k2repro.evaluate.pool_file`.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from k2repro.errors import K2ReproError, unknown

FINISHES = ("stop", "length")


class BenchmarkProblem(Protocol):
    """What a pool must know of a problem."""

    @property
    def id(self) -> str: ...
    @property
    def tier(self) -> str: ...


class SampledResponse(Protocol):
    """What a pool keeps of a `k2repro.engine.Completion`."""

    @property
    def tokens(self) -> Sequence[int]: ...
    @property
    def finish(self) -> str: ...
    @property
    def text(self) -> str | None: ...


P = TypeVar("P", bound=BenchmarkProblem)


class SamplerCallable(Protocol):
    """`n` responses to each prompt, [prompt][sample]; sample j draws from the stream of (seed, j) alone."""

    def __call__(
        self, prompts: Sequence[str], *, n: int, seeds: Sequence[int]
    ) -> Sequence[Sequence[SampledResponse]]: ...


@dataclass(frozen=True)
class Generation:
    """One response: its text, its length in tokens, how it ended ("stop" or "length"), the verdict."""

    text: str
    tokens: int
    finish: str
    right: bool


@dataclass(frozen=True)
class Attempts:
    """All generations for one problem, in the order of their sample numbers."""

    id: str
    tier: str
    generations: tuple[Generation, ...]

    @property
    def right(self) -> int:
        """How many are right."""
        return sum(generation.right for generation in self.generations)


@dataclass(frozen=True)
class Pool:
    """Generations by problem, in the order of the benchmark.

    about: what made it (model, benchmark, seed, temperature ...), JSON-like; kept in the file's header.
    Raises K2ReproError for no problem, a problem without a generation, and an id that occurs twice.
    """

    attempts: tuple[Attempts, ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.attempts:
            raise K2ReproError("a pool needs at least one problem; usual cause: a filter removed them all")
        _check_ids([attempt.id for attempt in self.attempts])
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

    def tier(self, name: str) -> "Pool":
        """The part of the pool that belongs to one tier; every statistic of a pool works on it."""
        chosen = tuple(attempt for attempt in self.attempts if attempt.tier == name)
        if not chosen:
            raise unknown("tier of this pool", name, self.tiers)
        return Pool(chosen, self.about)

    def outcomes(self) -> dict[str, list[int]]:
        """0 or 1 for each generation, by problem id: the input of `bootstrap_by_problem`."""
        return {
            attempt.id: [int(generation.right) for generation in attempt.generations]
            for attempt in self.attempts
        }

    def generations(self) -> list[Generation]:
        """All generations, problem by problem."""
        return [generation for attempt in self.attempts for generation in attempt.generations]


def generate_pool(
    sampler: SamplerCallable,
    problems: Sequence[P],
    grade: Callable[[Sequence[P], Sequence[str]], Sequence[bool]],
    *,
    n: int,
    seed: int,
    prompt: Callable[[P], str],
    about: Mapping[str, Any] | None = None,
) -> Pool:
    """Sample `n` responses to each problem, grade them all in one call, and keep everything.

    sampler  such as `functools.partial(sample, model, max_new_tokens=400, stop=[end], tokenizer=t)`
    grade    verdicts on pairs of problem and response, such as `k2repro.mini.grading.grade`
    seed     of the pool; a problem's own seed is the SHA-256 of it and of the problem's id, so that neither
             the other problems nor their order nor n changes a response
    prompt   the text that the model reads

    Raises K2ReproError for no problems, n below 1, an id that occurs twice, and where sampler or grader
    return another number of results than they were asked for.
    """
    if n < 1:
        raise K2ReproError(f"n is {n}: must be at least 1 generation for each problem")
    if not problems:
        raise K2ReproError("no problems to generate a pool for; usual cause: a filter removed them all")
    _check_ids([problem.id for problem in problems])
    sampled = _sampled(sampler, problems, n, seed, prompt)
    repeated = [problem for problem in problems for _ in range(n)]
    texts = [_text(problem, response) for problem, response in zip(repeated, sampled, strict=True)]
    verdicts = grade(repeated, texts)
    if len(verdicts) != len(texts):
        raise K2ReproError(f"the grader returned {len(verdicts)} verdicts for {len(texts)} responses")
    generations = [
        Generation(text, len(response.tokens), response.finish, bool(right))
        for response, text, right in zip(sampled, texts, verdicts, strict=True)
    ]
    attempts = tuple(
        Attempts(problem.id, problem.tier, tuple(generations[at * n : (at + 1) * n]))
        for at, problem in enumerate(problems)
    )
    return Pool(attempts, {**(about or {}), "n": n, "seed": seed})


def problem_seed(seed: int, problem_id: str) -> int:
    """64 bits from the SHA-256 of the pool's seed and the problem's id."""
    return int.from_bytes(hashlib.sha256(f"pool/{seed}/{problem_id}".encode()).digest()[:8], "big")


def _sampled(
    sampler: SamplerCallable, problems: Sequence[P], n: int, seed: int, prompt: Callable[[P], str]
) -> list[SampledResponse]:
    """`n` responses to each problem, one after the other."""
    seeds = [problem_seed(seed, problem.id) for problem in problems]
    sampled = sampler([prompt(problem) for problem in problems], n=n, seeds=seeds)
    if len(sampled) != len(problems) or any(len(group) != n for group in sampled):
        sizes = sorted({len(group) for group in sampled})
        raise K2ReproError(
            f"the sampler returned {len(sampled)} prompts with {sizes} samples, asked for were "
            f"{len(problems)} with {n}; usual cause: a server that ignores n"
        )
    return [response for group in sampled for response in group]


def _check_ids(ids: Sequence[str]) -> None:
    """Each id once: outcomes are matched by id, and a second problem would hide the first."""
    twice = [name for name, count in Counter(ids).items() if count > 1]
    if twice:
        raise K2ReproError(f"problem {twice[0]!r} occurs twice; usual cause: two lists joined")


def _check(problem: str, generation: Generation) -> None:
    """Values of the stated types; a verdict of 0.5 or a length of None would go into means unseen."""
    text, tokens, finish, right = generation.text, generation.tokens, generation.finish, generation.right
    whole = isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0
    if not (isinstance(text, str) and whole and finish in FINISHES and isinstance(right, bool)):
        raise K2ReproError(
            f"problem {problem!r}: a generation must be text, a number of tokens, one of "
            f"{', '.join(FINISHES)}, and true or false; got {(str(text)[:20], tokens, finish, right)}"
        )


def _text(problem: BenchmarkProblem, response: SampledResponse) -> str:
    if response.text is None:
        raise K2ReproError(
            f"a response to {problem.id!r} has no text; usual cause: the sampler was not given a tokenizer"
        )
    return response.text
