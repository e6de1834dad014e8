"""Schedules: the published shape, cosine after 5 % of warm-up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.training import SCHEDULES, warmup_cosine, warmup_linear


def test_cosine_equals_the_one_of_transformers():
    """Catches a descent that ends early or starts late."""
    import torch
    from transformers import get_cosine_schedule_with_warmup

    steps, warmup = 200, 10
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(optimizer, warmup, steps)
    for step in range(steps):
        # theirs starts the warm-up at 0, ours at 1/10: a first step of nothing teaches nothing.
        expected = theirs.get_last_lr()[0] + (1 / warmup if step < warmup else 0)
        assert warmup_cosine(step, steps, 0.05) == pytest.approx(expected, abs=1e-6)
        optimizer.step()
        theirs.step()


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 500), st.data())
def test_factors_stay_between_nothing_and_the_peak(name, steps, data):
    """Catches a factor below zero (which climbs the loss) or above the peak."""
    step = data.draw(st.integers(0, steps - 1))
    assert 0 <= SCHEDULES[name](step, steps, 0.05) <= 1


def test_linear_ends_near_nothing():
    """Catches a floor where none was asked for."""
    assert warmup_linear(99, 100) == pytest.approx(1 / 95)
    assert warmup_linear(99, 100, floor=0.1) > 0.1


@pytest.mark.parametrize(("step", "steps", "warmup"), [(5, 5, 0.1), (-1, 5, 0.1), (0, 0, 0.1), (0, 5, 1.0)])
def test_steps_outside_are_refused(step, steps, warmup):
    """Catches training past the end at a rate that grows again."""
    with pytest.raises(K2ReproError, match="must be 0 <= step < steps"):
        warmup_cosine(step, steps, warmup)
