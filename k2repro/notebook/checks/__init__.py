"""Checks of the exercises: they say why an answer is wrong, and never stop a notebook.

    from k2repro.notebook import checks
    checks.kv_bytes_per_token(kv_bytes)

A check looks at results, never at how they were computed. Each knows the slips that people make.
"""

from k2repro.notebook.checks.architecture import kv_bytes_per_token, rotated, sequences_that_fit
from k2repro.notebook.checks.outcome import AnswerOutcome
from k2repro.notebook.checks.rlvr import clipped_loss, group_advantages, strict_reward
from k2repro.notebook.checks.sft import pass_at_k, response_loss, targets_of
from k2repro.notebook.checks.speculative import chance_to_stay, replacement, speed_with_draft
from k2repro.notebook.checks.test_time import (
    best_of_curve,
    majority_answer,
    order_of_trace,
    plan_works,
    stop_early,
    two_ways,
)
from k2repro.notebook.checks.wafer import expected_tokens, roofline, tokens_per_second

__all__ = [
    "AnswerOutcome",
    "best_of_curve",
    "chance_to_stay",
    "clipped_loss",
    "expected_tokens",
    "group_advantages",
    "kv_bytes_per_token",
    "majority_answer",
    "order_of_trace",
    "pass_at_k",
    "plan_works",
    "replacement",
    "response_loss",
    "roofline",
    "rotated",
    "sequences_that_fit",
    "stop_early",
    "speed_with_draft",
    "strict_reward",
    "targets_of",
    "tokens_per_second",
    "two_ways",
]
