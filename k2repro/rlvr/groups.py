"""Which completions are worth a pass: a group that is all right or all wrong teaches nothing.

DAPO, arXiv 2503.14476, section 3.2 (dynamic sampling) and section 3.4 (overlong completions).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from k2repro.engine.backend import Completion
from k2repro.errors import K2ReproError
from k2repro.rlvr.advantages import group_advantages
from k2repro.rlvr.batch import Rollout
from k2repro.rlvr.config import GrpoConfig
from k2repro.rlvr.loss import StepBatch
from k2repro.rlvr.rewards import Prompt


@dataclass(frozen=True)
class Group:
    """One prompt, its completions and what the reward functions said of each."""

    prompt: Prompt
    completions: tuple[Completion, ...]
    scores: tuple[float, ...]

    @property
    def uniform(self) -> bool:
        """Whether all completions scored the same, so that none is better than another."""
        return len(set(self.scores)) == 1


@dataclass(frozen=True)
class Selection:
    """The completions to train on and the batch that their losses are averaged over."""

    rollouts: list[Rollout]
    whole: StepBatch


def check_group(prompt: Prompt, completions: Sequence[Completion], group_size: int) -> None:
    """Raises K2ReproError for lost or empty completions, naming the prompt."""
    if len(completions) != group_size:
        raise K2ReproError(
            f"prompt {prompt.id!r} got {len(completions)} completions: must be group_size = {group_size}. "
            "Usual cause: a backend that ignores n, or that drops what it could not finish"
        )
    for index, completion in enumerate(completions):
        if not completion.tokens:
            raise K2ReproError(
                f"prompt {prompt.id!r}: completion {index} has no token, not even a stop token: "
                f"{completion.error or 'usual cause: a server, which counts tokens and does not name them'}"
            )


def overlong_penalty(lengths: Sequence[int], budget: int, buffer: int) -> Tensor:
    """Soft punishment of DAPO, equation 13: 0 up to budget - buffer, then down to -1 at the budget; [N].

    lengths: completion tokens. It is added to the reward: of two right answers the shorter is worth more.
    """
    return ((budget - buffer - torch.tensor(lengths, dtype=torch.float64)) / buffer).clamp(-1.0, 0.0)


def advantages_of(groups: Sequence[Group], config: GrpoConfig, budget: int) -> Tensor:
    """Advantages float32 [groups, group_size], after the penalty for length if `config` asks for it."""
    rewards = torch.tensor([group.scores for group in groups], dtype=torch.float64)
    if config.overlong == "penalise":
        lengths = [len(completion.tokens) for group in groups for completion in group.completions]
        rewards += overlong_penalty(lengths, budget, config.overlong_buffer).view_as(rewards)
    return group_advantages(
        rewards.flatten(),
        config.group_size,
        scale=config.scale,
        center=config.center,
        epsilon=config.std_epsilon,
    ).view_as(rewards)


def select(groups: Sequence[Group], advantages: Tensor, config: GrpoConfig) -> Selection:
    """Leave out what `config.uniform_groups` and `config.overlong` say.

    advantages: [groups, group_size]. "skip" and masked completions leave the passes but stay in the count
    of sequences, as if they had been trained on with a gradient of 0; "drop" leaves the count as well.
    """
    chosen: list[Rollout] = []
    sequences = tokens = 0
    for group, advantage in zip(groups, advantages, strict=True):
        if config.uniform_groups == "drop" and group.uniform:
            continue
        members = [
            Rollout(group.prompt.tokens, completion.tokens, value, completion.logprobs)
            for completion, value in zip(group.completions, advantage.tolist(), strict=True)
            if config.overlong != "mask" or completion.finish != "length"
        ]
        sequences += len(group.completions)
        tokens += sum(len(member.completion) for member in members)
        if config.uniform_groups != "skip" or advantage.any():
            chosen += members
    return Selection(chosen, StepBatch(sequences, tokens))
