"""Asking a model: the benchmarks, and pools of what it answers to them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from k2repro.architecture import Qwen2
from k2repro.engine import Sampler
from k2repro.evaluate.pool import Pool, generate_pool
from k2repro.mini import programs, tokenizer, variables
from k2repro.mini.grading import grade
from k2repro.mini.problem import Problem

# The four maths tiers stand beside the paper's four maths benchmarks, "code" beside LiveCodeBench.
MATHS = tuple(variables.TIERS)
BENCHMARKS = (*MATHS, programs.TIER)
# Longest response that is sampled, in tokens: above every reference trace of every tier.
MAX_NEW_TOKENS = 288
TEMPERATURE = 1.0

Sampled = Callable[[int, int], None]


def benchmark_problems(tier: str, split: str, count: int) -> list[Problem]:
    """The first `count` problems of a benchmark; the same for every model and seed, so models pair up."""
    family = programs if tier == programs.TIER else variables
    return family.problems(tier, split, count)


def generate(
    model: Qwen2,
    problems: Sequence[Problem],
    n: int,
    seed: int,
    about: dict[str, Any],
    sampled: Sampled | None = None,
) -> Pool:
    """`n` graded responses to each problem at temperature 1. sampled: called with (done, all) samples."""
    sampler = partial(
        Sampler(model.eval()).sample,
        max_new_tokens=MAX_NEW_TOKENS,
        temperature=TEMPERATURE,
        stop=[tokenizer.turn_end()],
        tokenizer=tokenizer.load(),
        progress=sampled,
    )
    return generate_pool(
        sampler,
        problems,
        grade,
        n=n,
        seed=seed,
        about=about,
        prompt=lambda problem: tokenizer.prompt_text(problem.question),
    )


def two_depths(
    model: Qwen2,
    seed: int,
    *,
    problems: int,
    samples: int,
    deep: int,
    deep_samples: int,
    about: dict[str, Any],
    sampled: Sampled | None = None,
) -> Pool:
    """A pool of the test split: `deep` problems of each benchmark with many samples, the others with few."""
    first, rest = [], []
    for tier in BENCHMARKS:
        asked = benchmark_problems(tier, "test", problems)
        first += asked[:deep]
        rest += asked[deep:]
    total = len(first) * deep_samples + len(rest) * samples
    pool = generate(model, first, deep_samples, seed, about, _counted(sampled, 0, total))
    if rest:
        before = len(first) * deep_samples
        more = generate(model, rest, samples, seed, about, _counted(sampled, before, total))
        return Pool(pool.attempts + more.attempts, about)
    return Pool(pool.attempts, about)


def _counted(sampled: Sampled | None, before: int, total: int) -> Sampled | None:
    """Counts of one part as counts of the whole."""
    return None if sampled is None else lambda done, _: sampled(before + done, total)
