"""Reinforcement learning with verifiable rewards: GRPO, from rewards to weights.

    group_advantages, grpo_loss      the mathematics, on plain tensors
    micro_batches, train_step        rows of like length and one optimisation step
    RolloutSource, train_grpo        the whole loop: sample, judge, update, resume

Paper: K2-Think, section on RL, and its Figure 4. Its RL script was not published; `config.py` says where
each setting comes from.
"""

from k2repro.rlvr.advantages import group_advantages
from k2repro.rlvr.batch import MicroBatch, Rollout, completion_logprobs, micro_batches
from k2repro.rlvr.config import GrpoConfig
from k2repro.rlvr.diagnostics import Diagnostics, combine
from k2repro.rlvr.groups import Group, Selection, advantages_of, overlong_penalty, select
from k2repro.rlvr.loss import (
    LOSS_TYPES,
    LossSettings,
    PolicyTerms,
    StepBatch,
    average,
    grpo_loss,
    policy_terms,
    token_logprobs,
)
from k2repro.rlvr.records import StepProgress, StepRecord
from k2repro.rlvr.rewards import Prompt, Reward, RewardError, score
from k2repro.rlvr.rollouts import Clock, PromptStream, RolloutSource, cycle, draw_groups
from k2repro.rlvr.step import DivergedError, Gap, StepResult, train_step, with_old_logprobs, with_reference
from k2repro.rlvr.trainer import train_grpo

# Numerics word: raised when the same judged completions give another step, or another order of steps.
NUMERICS = "rlvr-1"

__all__ = [
    "NUMERICS",
    "LOSS_TYPES",
    "LossSettings",
    "Clock",
    "Diagnostics",
    "DivergedError",
    "Gap",
    "Group",
    "GrpoConfig",
    "MicroBatch",
    "PolicyTerms",
    "Prompt",
    "PromptStream",
    "Reward",
    "RewardError",
    "Rollout",
    "Selection",
    "RolloutSource",
    "StepProgress",
    "StepRecord",
    "StepResult",
    "StepBatch",
    "advantages_of",
    "average",
    "combine",
    "completion_logprobs",
    "cycle",
    "draw_groups",
    "group_advantages",
    "grpo_loss",
    "micro_batches",
    "overlong_penalty",
    "policy_terms",
    "score",
    "select",
    "token_logprobs",
    "train_grpo",
    "train_step",
    "with_old_logprobs",
    "with_reference",
]
