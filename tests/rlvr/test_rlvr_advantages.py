"""Advantages: relative to the group, exactly 0 where nothing differs."""

import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.rlvr import group_advantages

SIZE = 4
REWARDS = st.lists(
    st.lists(st.floats(-10, 10, width=32), min_size=SIZE, max_size=SIZE), min_size=2, max_size=5
)


def normalised_over_the_batch(rewards, group_size):
    """Wrong twin: mean and deviation of all rewards together."""
    values = torch.tensor(rewards)
    return (values - values.mean()) / (values.std() + 1e-4)


def divided_by_n(rewards, group_size):
    """Wrong twin: the deviation of a population, numpy's default."""
    groups = np.array(rewards).reshape(-1, group_size)
    return torch.tensor(
        ((groups - groups.mean(1, keepdims=True)) / (groups.std(1, keepdims=True) + 1e-4)).ravel()
    )


def depends_on_other_groups(advantages):
    alone = advantages([1.0, 0.0, 0.0, 0.0], SIZE)
    beside = advantages([1.0, 0.0, 0.0, 0.0] + [1.0, 1.0, 1.0, 0.0], SIZE)[:SIZE]
    return not torch.allclose(alone, beside)


def test_other_groups_do_not_matter():
    """Catches advantages over the batch: an easy prompt would make every answer to a hard one look bad."""
    assert not depends_on_other_groups(group_advantages)
    assert depends_on_other_groups(normalised_over_the_batch)


def test_the_deviation_has_n_minus_one():
    """Catches numpy's default deviation, 15 % off for four completions."""

    def agrees(advantages):
        rewards = [1.0, 0.0, 0.5, 0.0]
        mean, deviation = statistics.fmean(rewards), statistics.stdev(rewards)
        expected = [(reward - mean) / (deviation + 1e-4) for reward in rewards]
        return advantages(rewards, SIZE).tolist() == pytest.approx(expected, rel=1e-6)

    assert agrees(group_advantages)
    assert not agrees(divided_by_n)


@given(REWARDS, st.randoms(use_true_random=False), st.sampled_from(["group", "batch", "none"]))
@settings(deadline=None, derandomize=True)
def test_group_order_does_not_matter(groups, random, scale):
    """Catches state carried from one group to the next, and completions credited to another prompt."""
    order = list(range(len(groups)))
    random.shuffle(order)
    straight = group_advantages(sum(groups, []), SIZE, scale=scale).view(-1, SIZE)
    shuffled = group_advantages(sum((groups[i] for i in order), []), SIZE, scale=scale).view(-1, SIZE)
    assert torch.allclose(straight[order], shuffled, rtol=1e-5, atol=1e-6)


@given(REWARDS, st.sampled_from(["group", "batch", "none"]))
@settings(deadline=None, derandomize=True)
def test_centred_and_ordered(groups, scale):
    """Catches a baseline that is not the mean of the group, and a better answer with a lower advantage."""
    advantages = group_advantages(sum(groups, []), SIZE, scale=scale).view(-1, SIZE)
    for rewards, row in zip(groups, advantages.tolist(), strict=True):
        assert abs(sum(row)) <= 1e-4 * max(1.0, max(map(abs, row)))
        ranked = [value for _, value in sorted(zip(rewards, row, strict=True))]
        assert ranked == sorted(ranked)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e6, -3.3])
@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_equal_rewards_have_no_advantage(value, scale):
    """Catches rounding of the mean, magnified 10,000 times by dividing by epsilon alone."""
    rewards = [value] * 7 + [value + 1, *[value] * 6]
    assert group_advantages(rewards, 7, scale=scale)[:7].tolist() == [0.0] * 7


def test_without_a_baseline():
    """Catches a control that is centred after all, and so shows no harm."""
    assert group_advantages([1, 1, 0, 1], 2, center=False, scale="none").tolist() == [1, 1, 0, 1]


@pytest.mark.parametrize("form", [list, tuple, np.array, torch.tensor])
def test_forms_of_input(form):
    """Catches a dependence on the type of the rewards, integers and booleans included."""
    assert group_advantages(form([True, False, False, True]), 2, scale="none").tolist() == [
        0.5,
        -0.5,
        -0.5,
        0.5,
    ]


@pytest.mark.parametrize(
    ("rewards", "arguments", "message"),
    [
        ([1.0, float("nan")], {"group_size": 2}, "reward 1 is nan"),
        ([1.0, 0.0, float("inf"), 0.0], {"group_size": 2}, "reward 2 is inf"),
        ([1.0, 0.0, 1.0], {"group_size": 2}, "empty group"),
        ([], {"group_size": 2}, "empty group"),
        ([1.0], {"group_size": 1}, "group_size = 1"),
        ([1.0, 0.0], {"group_size": 2, "scale": "std"}, "unknown scale 'std'"),
        ([1.0, 0.0], {"group_size": 2, "center": False}, "excludes scale='group'"),
        ([1.0, 0.0], {"group_size": 2, "epsilon": -1.0}, "epsilon = -1.0"),
    ],
)
def test_bad_input(rewards, arguments, message):
    """Catches NaN that spreads to a whole group, and silent regrouping of lost completions."""
    with pytest.raises(K2ReproError, match=message):
        group_advantages(rewards, **arguments)
