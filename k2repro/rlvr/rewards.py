"""Calling reward functions and trusting nothing that they return.

A reward that is NaN, late by one place or missing trains a model on noise without a sign of it. So every
value is checked, and an error names the function, the completion and the value.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import torch
from torch import Tensor

from k2repro.engine.backend import Completion
from k2repro.errors import K2ReproError


@dataclass(frozen=True)
class Prompt:
    """A question as the model reads it. problem: whatever the reward functions need to judge an answer."""

    id: str
    tokens: tuple[int, ...]
    problem: object = None


# One finite number for each completion; `prompts` repeats a prompt for each of its completions.
Reward = Callable[[Sequence[Prompt], Sequence[Completion]], Sequence[float]]


class RewardError(K2ReproError):
    """A reward function raised, or returned something other than one finite number for each completion."""


def score(
    rewards: Mapping[str, Reward], prompts: Sequence[Prompt], completions: Sequence[Completion]
) -> Tensor:
    """Sum of all reward functions for each completion, float64 [completions].

    rewards: functions by name; 1 for right and 0 for wrong is the usual scale. Raises RewardError.
    """
    if not rewards:
        raise K2ReproError("there is no reward function: at least one is needed")
    if len(prompts) != len(completions):
        raise K2ReproError(f"{len(prompts)} prompts, {len(completions)} completions: must be equally many")
    total = torch.zeros(len(completions), dtype=torch.float64)
    for name, function in rewards.items():
        total += torch.tensor(_checked(name, function, prompts, completions), dtype=torch.float64)
    return total


def _checked(
    name: str, function: Reward, prompts: Sequence[Prompt], completions: Sequence[Completion]
) -> list[float]:
    try:
        returned = function(prompts, completions)
    except Exception as error:
        raise RewardError(
            f"reward function {name!r} raised {type(error).__name__}: {error}"
            f"{_culprit(function, prompts, completions)}"
        ) from error
    try:
        values = list(returned)
    except TypeError:
        raise RewardError(
            f"reward function {name!r} returned {returned!r}: must be a sequence, one number for each "
            "completion. Usual cause: a function written for a single completion"
        ) from None
    if len(values) != len(completions):
        raise RewardError(
            f"reward function {name!r} returned {len(values)} values for {len(completions)} completions: "
            "must be equally many, in the same order"
        )
    return [_number(name, index, value, prompts[index]) for index, value in enumerate(values)]


def _number(name: str, index: int, value: object, prompt: Prompt) -> float:
    single = isinstance(value, np.generic) or (isinstance(value, Tensor) and value.numel() == 1)
    number = value.item() if single else value  # type: ignore[attr-defined]
    if not isinstance(number, Real) or not math.isfinite(number):
        raise RewardError(
            f"reward function {name!r} returned {number!r} for completion {index} (prompt {prompt.id!r}): "
            "must be a finite number. Usual cause: 0 / 0, or no value for an answer that cannot be read"
        )
    return float(number)


def _culprit(function: Reward, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> str:
    """Which completion the function cannot judge, found by asking for one at a time."""
    for index, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        try:
            function([prompt], [completion])
        except Exception:
            return f", on completion {index} (prompt {prompt.id!r})"
    return ", on the whole list but on no single completion"
