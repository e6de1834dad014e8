"""One optimisation step: the same whatever the split, and refused when something is off."""

import copy
import warnings
from dataclasses import replace

import numpy as np
import pytest
import rlvr_tiny as tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rlvr_tiny import grpo_loss

from k2repro.engine import sample
from k2repro.errors import K2ReproError
from k2repro.rlvr import (
    DivergedError,
    Rollout,
    StepBatch,
    completion_logprobs,
    micro_batches,
    train_step,
    with_old_logprobs,
)
from k2repro.training import build_optimizer

MODEL = tiny.model()


def moved(rollouts, config, *, max_tokens=4096, step=train_step):
    """Change of all weights by one step of plain gradient descent: the gradient itself."""
    model = copy.deepcopy(MODEL)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    batches = micro_batches(rollouts, max_tokens=max_tokens)
    step(model, batches, optimizer, config, max_completion_length=tiny.BUDGET)
    return {name: p.detach() - MODEL.state_dict()[name] for name, p in model.named_parameters()}


def free(loss_type="dapo", **changes):
    return tiny.config(loss_type=loss_type, max_grad_norm=1e9, **changes)


@given(st.integers(1, 80), st.sampled_from(["grpo", "dapo", "dr_grpo"]))
@settings(deadline=None, derandomize=True, max_examples=15)
def test_split_does_not_matter(max_tokens, loss_type):
    """Catches gradient accumulation that depends on how many micro-batches there are."""
    config = free(loss_type)
    whole = moved(tiny.rollouts(), config)
    split = moved(tiny.rollouts(), config, max_tokens=max_tokens)
    assert tiny.furthest(split, whole) <= 1e-4


def average_of_micro_batches(model, batches, optimizer, config, max_completion_length):
    """Wrong twin: the mean over each micro-batch, divided by their number."""
    for batch in batches:
        logprobs, _ = completion_logprobs(model, batch)
        loss, _ = grpo_loss(logprobs, None, batch.advantages, batch.mask, loss_type=config.loss_type)
        (loss / len(batches)).backward()
    optimizer.step()


def test_averaging_micro_batches_is_told_apart():
    """Catches a comparison that could not see the usual mistake in gradient accumulation."""
    whole = moved(tiny.rollouts(), free())
    wrong = moved(tiny.rollouts(), free(), max_tokens=20, step=average_of_micro_batches)
    assert tiny.furthest(wrong, whole) > 0.05


@given(st.permutations(range(8)), st.sampled_from(["grpo", "bnpo", "dr_grpo", "dapo"]))
@settings(deadline=None, derandomize=True, max_examples=10)
def test_order_of_prompts_and_groups_does_not_matter(order, loss_type):
    """Catches an advantage that reaches another completion than its own."""
    rollouts = tiny.rollouts()
    straight = moved(rollouts, free(loss_type))
    shuffled = moved([rollouts[i] for i in order], free(loss_type))
    assert tiny.furthest(shuffled, straight) <= 1e-4


def test_completions_without_advantage_need_no_pass():
    """Catches skipped groups that change the gradient of the others: they must stay in the count."""
    rollouts = tiny.rollouts(rewards=[1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    whole = StepBatch(8, sum(len(rollout.completion) for rollout in rollouts))
    for loss_type in ("grpo", "dapo", "dr_grpo"):
        config = free(loss_type)
        every = moved(rollouts, config)

        def without(model, batches, optimizer, config, max_completion_length):
            train_step(model, batches, optimizer, config, whole=whole, max_completion_length=tiny.BUDGET)

        assert tiny.furthest(moved(rollouts[:4], config, step=without), every) <= 1e-4
        assert tiny.furthest(moved(rollouts[:4], config), every) > 0.1


def test_the_better_completion_becomes_likelier():
    """Catches the sign of the loss: everything else here would still agree with itself."""
    model = copy.deepcopy(MODEL)
    good, bad = Rollout((3, 4), (5, 6), 1.0), Rollout((3, 4), (7, 8), -1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    (batch,) = micro_batches([good, bad])
    with torch.no_grad():
        before, _ = completion_logprobs(model, batch)
    result = train_step(model, [batch], optimizer, tiny.config())
    with torch.no_grad():
        after, _ = completion_logprobs(model, batch)
    change = (after - before).sum(1)[batch.advantages.argsort(descending=True)]
    assert change[0] > 0 > change[1]
    assert result.gap is None


def test_old_logprobs_make_the_second_step_off_policy():
    """Catches a ratio that is 1 for ever, so that nothing is ever clipped."""
    model = copy.deepcopy(MODEL)
    batches = with_old_logprobs(model, micro_batches(tiny.rollouts()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    first, second = (train_step(model, batches, optimizer, tiny.config()).diagnostics for _ in range(2))
    assert first.ratio_min == pytest.approx(1, abs=1e-5) and first.ratio_max == pytest.approx(1, abs=1e-5)
    assert second.ratio_min < 0.99 and second.ratio_max > 1.01


def sampled(model, count=8):
    """Rollouts of the project's sampler with its log-probabilities."""
    ((*completions,),) = sample(
        model, [(3, 4, 5)], n=count, max_new_tokens=12, seeds=[1], stop=(tiny.STOP,), logprobs=True
    )
    return [Rollout((3, 4, 5), c.tokens, float(i % 2) - 0.5, c.logprobs) for i, c in enumerate(completions)]


def test_the_samplers_logprobs_are_those_of_training():
    """Catches two implementations of the model that drift apart, and stop tokens out of place."""
    model = copy.deepcopy(MODEL)
    result = train_step(
        model, micro_batches(sampled(MODEL)), torch.optim.SGD(model.parameters(), lr=0.1), tiny.config()
    )
    assert 0 < result.gap.mean <= result.gap.largest < 1e-4


def test_stale_sampler_is_refused():
    """Catches a sampler that holds other weights than those in training; the weights stay as they were."""
    stale, model = tiny.model(seed=9), copy.deepcopy(MODEL)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(K2ReproError, match="step 7: .* the sampler holds older weights"):
        train_step(model, micro_batches(sampled(stale)), optimizer, tiny.config(), step=7)
    assert all(torch.equal(p, MODEL.state_dict()[name]) for name, p in model.named_parameters())


def test_small_gap_is_a_warning():
    """Catches a sampler that is slightly off (a lower precision) and nobody hears of it."""
    model = copy.deepcopy(MODEL)
    rollouts = [replace(rollout, logprobs=rollout.logprobs + 1e-3) for rollout in sampled(MODEL)]
    with pytest.warns(UserWarning, match="more than gap_warning = 0.0001"):
        train_step(model, micro_batches(rollouts), torch.optim.SGD(model.parameters(), lr=0.1), tiny.config())


def test_rounding_at_one_token_is_no_warning():
    """Catches an alarm in one step of ten that says nothing but that the numbers have 32 bits."""
    first, *others = sampled(MODEL)
    assert len(first.logprobs) > 1
    shifted = first.logprobs + 2e-4 * (np.arange(len(first.logprobs)) == 0)
    model = copy.deepcopy(MODEL)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = train_step(
            model, micro_batches([replace(first, logprobs=shifted), *others]), optimizer, tiny.config()
        )
    assert result.gap.mean < 1e-4 < result.gap.largest


def test_schedule_factor_scales_the_step():
    """Catches a factor that is ignored for torch's optimizers or for the project's own."""
    for build in (lambda model: torch.optim.SGD(model.parameters(), lr=0.1), build_optimizer):
        changes = []
        for factor in (1.0, 0.5):
            model = copy.deepcopy(MODEL)
            batches = micro_batches(tiny.rollouts())
            train_step(model, batches, build(model), tiny.config(), factor=factor)
            weight = "model.layers.0.mlp.up_proj.weight"
            changes.append(model.state_dict()[weight] - MODEL.state_dict()[weight])
        assert torch.allclose(changes[0], 2 * changes[1], rtol=1e-2, atol=1e-7)


def test_divergence_leaves_the_weights():
    """Catches one NaN that overwrites every weight."""
    model = copy.deepcopy(MODEL)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    bad = replace(micro_batches(tiny.rollouts())[0], advantages=torch.full((8,), torch.inf))
    with pytest.raises(DivergedError, match="step 3: the loss is"):
        train_step(model, [bad], optimizer, tiny.config(), step=3)
    assert all(torch.equal(p, MODEL.state_dict()[name]) for name, p in model.named_parameters())


class Explodes(torch.optim.SGD):
    """A learning rate so high that the weights overflow although the gradient was finite."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["params"][0].detach().fill_(torch.inf)


def test_weights_that_overflow_are_noticed_at_once():
    """Catches weights that are lost in one step and found out, and saved, in a later one."""
    model = copy.deepcopy(MODEL)
    with pytest.raises(
        DivergedError, match="step 5: model.embed_tokens.weight is not finite after the update"
    ):
        train_step(
            model, micro_batches(tiny.rollouts()), Explodes(model.parameters(), lr=1.0), tiny.config(), step=5
        )


def test_nothing_to_train_on():
    """Catches an empty batch whose mean is 0 / 0."""
    with pytest.raises(K2ReproError, match="all groups were filtered out"):
        train_step(MODEL, [], torch.optim.SGD(MODEL.parameters(), lr=0.1), tiny.config())
