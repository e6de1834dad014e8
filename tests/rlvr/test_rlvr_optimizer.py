"""Catches: norms that take the step of weights, a last norm that takes that of others, one that stays."""

import pytest
import torch
from rlvr_tiny import model

from k2repro.errors import K2ReproError
from k2repro.rlvr.optimizer import Rates, policy_optimizer


def test_norms_take_their_own_step_and_everything_moves():
    """Catches groups that are swapped, or a norm inside a layer that is taken for a matrix's bias."""
    decoder = model()
    before = {name: value.detach().clone() for name, value in decoder.named_parameters()}
    for parameter in decoder.parameters():
        parameter.grad = torch.ones_like(parameter)
    policy_optimizer(decoder, Rates(weights=1e-4, norms=1e-2, readout=3e-2)).step(0.5)
    for name, value in decoder.named_parameters():
        # The first step of Adam is the rate itself, whatever the gradient.
        wanted = 0.5 * (3e-2 if name == "model.norm.weight" else 1e-2 if "norm" in name else 1e-4)
        assert torch.allclose(before[name] - value, torch.full_like(value, wanted), atol=1e-6), name


@pytest.mark.parametrize("wrong", [{"weights": 0.0}, {"norms": -1.0}, {"readout": float("nan")}])
def test_a_rate_that_moves_nothing_or_backwards_is_refused(wrong: dict[str, float]):
    """Catches a run that spends its time and learns nothing."""
    with pytest.raises(K2ReproError, match="must be above 0"):
        Rates(**{"weights": 1e-4, "norms": 1e-2, "readout": 1e-2, **wrong})
