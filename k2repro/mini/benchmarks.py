"""The benchmarks of mini-K2: which problems are asked, and how long a response may be.

The four maths tiers stand beside the paper's four maths benchmarks, "programs" beside LiveCodeBench.
"""

from k2repro.mini import programs, variables
from k2repro.mini.problem import Problem

MATHS = tuple(variables.TIERS)
BENCHMARKS = (*MATHS, programs.TIER)
# Longer problems, for planning and best-of-N, beside the same four of the paper's Table 2.
LEVELS = tuple(variables.LEVELS)
# Longest response that is sampled, in tokens: above every reference trace of every tier.
MAX_NEW_TOKENS = 288
# The same for LEVELS: with the longest prompt and its plan it fills the context.
MAX_NEW_TOKENS_LEVELS = 400
TEMPERATURE = 1.0


def benchmark_problems(tier: str, split: str, count: int, *, start: int = 0) -> list[Problem]:
    """`count` problems of a benchmark from item `start` on; the same for every model and seed, so they pair.

    Raises K2ReproError for an unknown tier or split.
    """
    family = programs if tier == programs.TIER else variables
    return family.problems(tier, split, count, start=start)
