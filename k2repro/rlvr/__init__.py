"""Reinforcement learning with verifiable rewards: GRPO, from rewards to weights."""

from .advantages import group_advantages
from .batch import MicroBatch, Rollout, completion_logprobs, micro_batches
from .config import GrpoConfig
from .diagnostics import Diagnostics, combine
from .loss import LOSS_TYPES, PolicyTerms, Whole, average, grpo_loss, policy_terms, token_logprobs
from .step import DivergedError, Gap, StepResult, train_step, with_old_logprobs, with_reference

__all__ = [
    "LOSS_TYPES",
    "Diagnostics",
    "DivergedError",
    "Gap",
    "GrpoConfig",
    "MicroBatch",
    "PolicyTerms",
    "Rollout",
    "StepResult",
    "Whole",
    "average",
    "combine",
    "completion_logprobs",
    "group_advantages",
    "grpo_loss",
    "micro_batches",
    "policy_terms",
    "token_logprobs",
    "train_step",
    "with_old_logprobs",
    "with_reference",
]
