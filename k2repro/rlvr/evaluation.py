"""How a model does on the held-out test problems, in a form small enough to ship.

Scores are pools without texts, as those of the SFT pillar: each text gives way to the kind of its first
mistake. Sample j of a problem draws from the random numbers of (seed, problem, j), whatever the model: two
models of a seed differ by their weights and by nothing else, which makes a difference between them sharper.
"""

import copy
from collections.abc import Callable, Sequence

import torch

from k2repro.architecture.qwen2 import Qwen2
from k2repro.errors import K2ReproError
from k2repro.evaluate.pool import Attempts, Generation, Pool
from k2repro.mini.mistakes import UNFINISHED
from k2repro.sft.generate import Sampled, benchmark_problems, generate
from k2repro.sft.scores import score

# What a model is sampled at to see how much of a gain a lower temperature alone would bring.
SHARP = 0.7


@torch.no_grad()
def sharpened(model: Qwen2) -> Qwen2:
    """A copy that samples at temperature 1 as `model` does at SHARP: the last norm multiplies all logits."""
    sharp = copy.deepcopy(model)
    sharp.model.norm.weight.div_(SHARP)
    return sharp


def evaluate(
    model: Qwen2, seed: int, tiers: Sequence[str], problems: int, samples: int, sampled: Sampled | None = None
) -> Pool:
    """Scores of `samples` responses to each of the first test problems of every tier."""
    asked = [problem for tier in tiers for problem in benchmark_problems(tier, "test", problems)]
    return score(generate(model, asked, samples, seed, {}, sampled), asked)


def part(scores: Pool, tiers: Sequence[str], samples: int) -> Pool:
    """The problems of `tiers`, with the first `samples` generations of each.

    Raises K2ReproError where a problem has fewer.
    """
    chosen = [attempt for attempt in scores.attempts if attempt.tier in tiers]
    short = [attempt.id for attempt in chosen if len(attempt.generations) < samples]
    if short:
        raise K2ReproError(f"problem {short[0]!r} has fewer than the {samples} generations that are compared")
    return Pool(
        tuple(Attempts(each.id, each.tier, each.generations[:samples]) for each in chosen), scores.about
    )


def within(scores: Pool, budget: int) -> Pool:
    """The scores as they would be if responses were cut after `budget` tokens.

    A sampler draws token by token, so a response under a smaller budget is the beginning of this one: those
    that fit stay, the others are wrong.
    """
    return _each(scores, lambda generation: _cut(generation, budget))


def _cut(generation: Generation, budget: int) -> Generation:
    if generation.tokens <= budget:
        return generation
    # A mistake may come before the cut or after it; a response without one is unfinished for sure.
    kind = UNFINISHED if generation.right else generation.text
    return Generation(kind, budget, "length", False)


def _each(scores: Pool, change: Callable[[Generation], Generation]) -> Pool:
    return Pool(
        tuple(
            Attempts(attempt.id, attempt.tier, tuple(map(change, attempt.generations)))
            for attempt in scores.attempts
        ),
        scores.about,
    )
