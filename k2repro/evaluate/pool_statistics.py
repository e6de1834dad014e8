"""What a pool says: pass@1, the pass@k curve, lengths, kinds of mistakes; of a tier or of the whole.

Each function takes a `Pool`: the whole one, or one tier of it. `by_tier` gives both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from k2repro.errors import K2ReproError, unknown
from k2repro.evaluate.bootstrap import bootstrap_by_problem
from k2repro.evaluate.intervals import Interval
from k2repro.evaluate.pass_rate import pass_at_k
from k2repro.evaluate.pool import BenchmarkProblem, Pool

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
POOLED = "all"
T = TypeVar("T")
P = TypeVar("P", bound=BenchmarkProblem)


@dataclass(frozen=True)
class PassRate:
    """pass@k of a benchmark: the mean over problems, with its interval by problem."""

    k: int
    value: float
    interval: Interval
    problems: int
    generations: int


@dataclass(frozen=True)
class Lengths:
    """Lengths of all generations in tokens, the stop token included.

    quantiles  by probability; of the generations, which a budget may have cut
    cut        share of the generations that the budget ended: their true length is not known
    """

    mean: float
    median: float
    quantiles: dict[float, float]
    longest: int
    cut: float
    generations: int


def by_tier(pool: Pool, statistic: Callable[[Pool], T]) -> dict[str, T]:
    """A statistic for each tier in the pool's order, then for all problems together under "all"."""
    if POOLED in pool.tiers:
        raise K2ReproError(f"a tier is called {POOLED!r}, which stands for all tiers together")
    return {**{name: statistic(pool.tier(name)) for name in pool.tiers}, POOLED: statistic(pool)}


def pass_curve(
    pool: Pool,
    ks: Sequence[int] | None = None,
    *,
    generator: np.random.Generator,
    level: float = 0.95,
    resamples: int = 10_000,
) -> list[PassRate]:
    """Unbiased pass@k with an interval from resampling problems, for each k.

    ks: default 1, 2, 4 ... up to the fewest generations that a problem has.
    Raises K2ReproError for a k beyond that, and for fewer than two problems.
    """
    n = np.array([len(attempt.generations) for attempt in pool.attempts])
    right = np.array([attempt.right for attempt in pool.attempts])
    wanted = [2**power for power in range(int(n.min()).bit_length())] if ks is None else list(ks)
    curve = []
    for k in wanted:
        rates = np.asarray(pass_at_k(n, right, k))  # (problems,)
        interval = bootstrap_by_problem(rates, generator=generator, level=level, resamples=resamples)
        curve.append(PassRate(k, float(rates.mean()), interval, len(pool), int(n.sum())))
    return curve


def pass_at_1(
    pool: Pool, *, generator: np.random.Generator, level: float = 0.95, resamples: int = 10_000
) -> PassRate:
    """Mean over problems of the share of right generations, with its interval by problem."""
    return pass_curve(pool, [1], generator=generator, level=level, resamples=resamples)[0]


def lengths(pool: Pool, quantiles: Sequence[float] = QUANTILES) -> Lengths:
    """How long the generations are. Raises K2ReproError for a quantile outside [0, 1]."""
    for probability in quantiles:
        if not 0.0 <= probability <= 1.0:
            raise K2ReproError(f"quantiles must lie between 0 and 1, got {probability}; not in percent")
    tokens = np.array([generation.tokens for generation in pool.generations()])
    cut = [generation.finish == "length" for generation in pool.generations()]
    found = np.quantile(tokens, list(quantiles)) if quantiles else ()
    return Lengths(
        mean=float(tokens.mean()),
        median=float(np.median(tokens)),
        quantiles={float(p): float(value) for p, value in zip(quantiles, found, strict=True)},
        longest=int(tokens.max()),
        cut=sum(cut) / len(cut),
        generations=len(cut),
    )


def kinds_of_mistakes(
    pool: Pool, problems: Sequence[P], classify: Callable[[P, str], str], kinds: Sequence[str]
) -> dict[str, int]:
    """How often each kind occurs among all generations, in the order of `kinds`, which may be 0.

    problems  those of the pool, and possibly more; found by id
    classify  such as `k2repro.mini.mistakes.classify`, whose KINDS are then the kinds

    Raises K2ReproError for a problem that is not there, and for a kind that is not in `kinds`.
    """
    known = {problem.id: problem for problem in problems}
    counts = dict.fromkeys(kinds, 0)
    for attempt in pool.attempts:
        if attempt.id not in known:
            raise K2ReproError(
                f"the pool's problem {attempt.id!r} is not among the {len(known)} problems; usual cause: a "
                "pool of another split, tier or seed"
            )
        for generation in attempt.generations:
            kind = classify(known[attempt.id], generation.text)
            if kind not in counts:
                raise unknown("kind of mistake", kind, kinds)
            counts[kind] += 1
    return counts
