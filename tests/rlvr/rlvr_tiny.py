"""A tiny decoder with every weight random, and rollouts of unequal length for it."""

from dataclasses import fields

import numpy as np
import torch

from k2repro import rlvr
from k2repro.architecture import ModelConfig
from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine import LocalBackend
from k2repro.rlvr import GrpoConfig, LossSettings, Prompt, Rollout, RolloutSource, cycle, group_advantages

VOCABULARY = 61
STOP = 2
BUDGET = 9


def config(**changes: object) -> GrpoConfig:
    return GrpoConfig(**{"max_new_tokens": BUDGET, "group_size": 4, **changes})  # type: ignore[arg-type]


def model(seed: int = 0) -> Qwen2:
    """Two layers; biases and norms random too, so that forgetting one shows."""
    shape = ModelConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        eos_token_id=STOP,
        pad_token_id=0,
    )
    generator = torch.Generator().manual_seed(seed)
    decoder = Qwen2(shape, generator=generator)
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            if name.endswith("norm.weight"):
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.normal_(0.0, 0.2, generator=generator)
    return decoder


def completions(groups: int = 2, group_size: int = 4, seed: int = 1) -> list[tuple[tuple, tuple]]:
    """(prompt, completion) token ids: one prompt for each group, lengths from 1 to BUDGET, some cut off."""
    generator = np.random.default_rng(seed)
    pairs = []
    for _ in range(groups):
        prompt = tuple(int(t) for t in generator.integers(3, VOCABULARY, generator.integers(2, 7)))
        for member in range(group_size):
            length = int(generator.integers(1, BUDGET + 1))
            tokens = [int(t) for t in generator.integers(3, VOCABULARY, length)]
            if member % 3:  # the others were cut off by the budget
                tokens[-1] = STOP
            pairs.append((prompt, tuple(tokens)))
    return pairs


REWARDS = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.5, 1.0]


def rollouts(rewards: list[float] | None = None, **settings: object) -> list[Rollout]:
    """Two groups of four with advantages."""
    advantages = group_advantages(rewards or REWARDS, 4, **settings).tolist()  # type: ignore[arg-type]
    return [
        Rollout(prompt, completion, advantage)
        for (prompt, completion), advantage in zip(completions(), advantages, strict=True)
    ]


def gradients(decoder: Qwen2) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in decoder.named_parameters() if p.grad is not None}


def relative_difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest absolute difference over the largest absolute reference value."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-30)).item()


def furthest(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Largest relative difference over all tensors of two equal sets of names."""
    assert ours.keys() == theirs.keys()
    return max(relative_difference(ours[name], theirs[name]) for name in ours)


PROMPTS = [Prompt(f"problem {i}", (3 + i, 7, 4)) for i in range(6)]


def even(prompts, completions):
    """1 if most tokens are even: a task that a random model can half do and learns in a few steps."""
    return [float(sum(t % 2 == 0 for t in c.tokens) > len(c.tokens) / 2) for c in completions]


def source(reward=even, prompts=PROMPTS, backend=LocalBackend, stop=(STOP,)) -> RolloutSource:
    return RolloutSource(cycle(prompts, seed=0), {"even": reward}, backend, stop=stop)


def settings_of(**given) -> tuple[LossSettings, dict]:
    """Loss settings among keyword arguments, and what is left."""
    names = {field.name for field in fields(LossSettings)}
    inside = {name: value for name, value in given.items() if name in names}
    return LossSettings(**inside), {name: value for name, value in given.items() if name not in names}


def grpo_loss(logprobs, old_logprobs, advantages, mask, **given):
    """`rlvr.grpo_loss` with its settings as keyword arguments."""
    settings, rest = settings_of(**given)
    return rlvr.grpo_loss(logprobs, old_logprobs, advantages, mask, settings, **rest)


def policy_terms(logprobs, old_logprobs, advantages, mask, **given):
    """`rlvr.policy_terms` with its settings as keyword arguments."""
    settings, rest = settings_of(**given)
    return rlvr.policy_terms(logprobs, old_logprobs, advantages, mask, settings, **rest)
