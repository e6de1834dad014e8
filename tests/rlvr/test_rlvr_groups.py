"""What is left out of the passes, what of the count, and what length costs."""

import pytest
import rlvr_tiny as tiny
import torch

from k2repro.engine import Completion
from k2repro.errors import K2ReproError
from k2repro.rlvr import Group, Prompt, StepBatch, advantages_of, overlong_penalty, select
from k2repro.rlvr.groups import check_group


def group(scores, finishes="ssss", lengths=(3, 3, 3, 3)):
    finish = {"s": "stop", "l": "length"}
    completions = tuple(
        Completion((5,) * length, finish[letter]) for letter, length in zip(finishes, lengths, strict=True)
    )
    return Group(Prompt("p", (3, 4)), completions, tuple(float(value) for value in scores))


GROUPS = [group([1, 0, 0, 1]), group([1, 1, 1, 1]), group([0, 0, 0, 0])]


@pytest.mark.parametrize(
    ("choice", "trained", "whole"),
    [("train", 12, StepBatch(12, 36)), ("skip", 4, StepBatch(12, 36)), ("drop", 4, StepBatch(4, 12))],
)
def test_uniform_groups(choice, trained, whole):
    """Catches skipped groups that vanish from the average, and dropped ones that stay in it."""
    config = tiny.config(uniform_groups=choice)
    selection = select(GROUPS, advantages_of(GROUPS, config, 9), config)
    assert len(selection.rollouts) == trained
    assert selection.whole == whole


def test_all_groups_uniform_leaves_nothing():
    """Catches a step on an empty batch."""
    config = tiny.config()
    assert select(GROUPS[1:], advantages_of(GROUPS[1:], config, 9), config).rollouts == []


def test_uniform_is_judged_before_the_length_penalty():
    """Catches a filter that keeps all-wrong groups because their lengths differ; DAPO filters by accuracy."""
    groups = [group([0, 0, 0, 0], lengths=(3, 9, 9, 9))]
    penalised = {"overlong": "penalise", "overlong_buffer": 4}
    dropping = tiny.config(uniform_groups="drop", **penalised)
    assert select(groups, advantages_of(groups, dropping, 9), dropping).rollouts == []
    # "skip" promises the same gradient, and this group has one.
    skipping = tiny.config(uniform_groups="skip", **penalised)
    assert len(select(groups, advantages_of(groups, skipping, 9), skipping).rollouts) == 4


def test_masked_completions_leave_the_loss_but_not_the_baseline():
    """Catches a truncated completion that is trained on, and a baseline taken without it."""
    groups = [group([1, 0, 0, 1], finishes="slsl", lengths=(3, 9, 3, 9))]
    masking, keeping = tiny.config(overlong="mask"), tiny.config()
    advantages = advantages_of(groups, masking, 9)
    assert torch.equal(advantages, advantages_of(groups, keeping, 9))
    selection = select(groups, advantages, masking)
    assert [rollout.advantage for rollout in selection.rollouts] == advantages[0, [0, 2]].tolist()
    assert selection.whole == StepBatch(sequences=4, tokens=6)


@pytest.mark.slow
def test_overlong_penalty_equals_trls():
    """Catches a penalty that begins a token early, or is not bounded."""
    from trl.rewards import get_soft_overlong_punishment

    lengths = list(range(1, 60))
    for budget, buffer in ((40, 10), (20, 19), (50, 1)):
        theirs = get_soft_overlong_punishment(budget, buffer)([[1] * length for length in lengths])
        assert overlong_penalty(lengths, budget, buffer).tolist() == pytest.approx(theirs, abs=1e-12)


def test_the_penalty_reaches_the_advantages():
    """Catches a setting that is read by nobody."""
    groups = [group([1, 1, 0, 0], lengths=(3, 9, 3, 9))]
    config = tiny.config(overlong="penalise", overlong_buffer=4, scale="none")
    assert advantages_of(groups, config, 9).tolist() == [[1.0, 0.0, 0.0, -1.0]]


def test_lost_completions_are_named():
    """Catches a group that silently takes a completion of the next prompt to fill up."""
    whole = group([1, 0, 0, 1])
    with pytest.raises(K2ReproError, match="prompt 'p' got 0 completions: must be group_size = 4"):
        check_group(whole.prompt, [], 4)
    with pytest.raises(K2ReproError, match="prompt 'p' got 3 completions"):
        check_group(whole.prompt, whole.completions[:3], 4)
    with pytest.raises(K2ReproError, match="prompt 'p': completion 2 has no token"):
        check_group(whole.prompt, group([1] * 4, lengths=(1, 1, 0, 1)).completions, 4)
    failed = Completion((), "timeout", error="no answer within 60 s")
    with pytest.raises(K2ReproError, match="completion 3 has no token, .*: no answer within 60 s"):
        check_group(whole.prompt, [*whole.completions[:3], failed], 4)
