"""Catches: a pass rate with partial credit, and shares of groups, tokens and cuts over the wrong whole."""

from types import SimpleNamespace

import numpy as np
import pytest

from k2repro.rlvr.diagnostics import Diagnostics, combine
from k2repro.rlvr.groups import Group
from k2repro.rlvr.records import summarise
from k2repro.rlvr.rewards import Prompt


def completion(tokens: int, finish: str = "stop", logprob: float = -0.5) -> SimpleNamespace:
    return SimpleNamespace(
        tokens=(5,) * tokens, finish=finish, logprobs=np.full(tokens, logprob, dtype=np.float32)
    )


def group(*scores: float, lengths: tuple[int, ...] = (), **about) -> Group:
    made = tuple(completion(length, **about) for length in lengths or (4,) * len(scores))
    return Group(Prompt("p", (1, 2), None), made, scores)  # type: ignore[arg-type]


def test_partial_credit_is_reward_and_no_pass():
    """Catches a pass rate that rises with half-right answers."""
    record = summarise(0, 9, [group(1.0, 0.5, 0.0, 1.5)], [])
    assert record.reward == pytest.approx(0.75) and record.pass_rate == 0.5


def test_a_group_of_zeros_is_all_wrong():
    """Catches groups that are counted as right because nothing in them differs."""
    record = summarise(0, 9, [group(0.0, 0.0), group(1.0, 1.0), group(-1.0, -1.0), group(0.0, 1.0)], [])
    assert (record.groups, record.all_right, record.all_wrong) == (4, 1, 2)


def test_likelihood_is_over_tokens_and_cuts_over_completions():
    """Catches a mean of means: a long response weighs as many tokens as it has."""
    groups = [
        group(0.0, 1.0, lengths=(1, 1), logprob=-2.0),
        group(0.0, 1.0, lengths=(9, 9), logprob=-1.0, finish="length"),
    ]
    record = summarise(3, 9, groups, [])
    assert record.nll == pytest.approx((2 * 2.0 + 18 * 1.0) / 20)
    assert (record.length, record.truncated, record.updates, record.step) == (5.0, 0.5, 0, 3)


def test_parts_of_a_step_weigh_what_they_average():
    """Catches KL and entropy of tokens weighed by sequences, and ratios of sequences weighed by tokens."""
    few = Diagnostics(1.0, 10, 1, 0.5, 0.5, 0.5, 0.0, 1.0, 0.1, 2.0)
    many = Diagnostics(0.5, 2, 3, 1.5, 1.0, 2.0, 1.0, 0.0, 0.7, 8.0)
    found = combine([few, many])
    assert (found.loss, found.tokens, found.ratios) == (1.5, 12, 4)
    assert (found.ratio_min, found.ratio_max) == (0.5, 2.0)
    by_ratio, by_token = (found.ratio_mean, found.clip_low, found.clip_high), (found.kl, found.entropy)
    assert by_ratio == pytest.approx((1.25, 0.75, 0.25)) and by_token == pytest.approx((0.2, 3.0))
