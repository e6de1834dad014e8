"""Muon: orthogonal updates, in 32 bit, for matrices of one shape together."""

import pytest
import torch
from training_tiny import tiny_model

from k2repro.errors import K2ReproError
from k2repro.training import Muon, build_optimizer, orthogonalize
from k2repro.training.optimizer import LearningRates


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(8, 8), (8, 24), (24, 8)])
def test_singular_values_move_to_about_one(shape):
    """Catches a wrong coefficient or a missing transposition: the update would keep its skew."""
    found = torch.linalg.svdvals(orthogonalize(random(*shape)))
    assert found.min() > 0.5 and found.max() < 1.3
    assert torch.linalg.svdvals(random(*shape)).max() > 2, "the input was skewed to begin with"


def test_the_directions_stay():
    """Catches an orthogonal matrix that has nothing to do with the gradient."""
    matrix = random(12, 20)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    exact = left @ right
    close = torch.nn.functional.cosine_similarity(orthogonalize(matrix).flatten(), exact.flatten(), dim=0)
    assert close > 0.95
    signs = torch.sign(matrix)
    twin = torch.nn.functional.cosine_similarity(signs.flatten(), exact.flatten(), dim=0)
    assert twin < 0.95, "sign descent, the wrong twin, is told apart"


def test_a_batch_equals_one_at_a_time():
    """Catches a norm that is taken over the whole stack instead of each matrix."""
    stack = torch.stack([random(6, 9, seed=1), 100 * random(6, 9, seed=2)])
    for together, alone in zip(orthogonalize(stack), stack, strict=True):
        torch.testing.assert_close(together, orthogonalize(alone), rtol=1e-5, atol=1e-6)


def test_a_step_equals_the_reference_of_torch():
    """Catches a momentum, Nesterov or scale rule that drifts from the published optimiser.

    torch.optim.Muon iterates in bfloat16, so the two agree only to its precision.
    """
    ours, theirs = (torch.nn.Parameter(random(16, 24)) for _ in range(2))
    optimizer = Muon([ours], lr=0.1, momentum=0.9)
    reference = torch.optim.Muon(
        [theirs], lr=0.1, momentum=0.9, weight_decay=0.0, nesterov=True, adjust_lr_fn="original"
    )
    start = ours.detach().clone()
    for step in range(3):
        gradient = random(16, 24, seed=10 + step)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        optimizer.step()
        reference.step()
    moved = (theirs - start).norm()
    assert (ours - theirs).norm() / moved < 0.03


def test_only_matrices_are_taken():
    """Catches a bias that is silently orthogonalised into a unit vector."""
    with pytest.raises(K2ReproError, match=r"\(5,\).*AdamW"):
        Muon([torch.nn.Parameter(torch.zeros(5))], lr=0.1)
    with pytest.raises(K2ReproError, match="momentum 1"):
        Muon([torch.nn.Parameter(torch.zeros(5, 5))], lr=0.1, momentum=1.0)


def test_every_parameter_has_one_optimiser():
    """Catches a kind of parameter that no part updates, which trains on without it."""
    model = tiny_model()
    optimizer = build_optimizer(model, LearningRates(0.01, 0.003, 0.03))
    groups = [
        (group["lr"], id(p))
        for part in optimizer.parts
        for group in part.param_groups
        for p in group["params"]
    ]
    assert sorted(at for _, at in groups) == sorted(id(p) for p in model.parameters())
    rate = {at: lr for lr, at in groups}
    assert rate[id(model.model.layers[0].mlp.up_proj.weight)] == 0.01
    assert rate[id(model.model.embed_tokens.weight)] == 0.003
    assert rate[id(model.model.layers[0].self_attn.q_proj.bias)] == 0.03


def test_the_factor_scales_the_peak_not_the_last_rate():
    """Catches a schedule that multiplies into itself and fades out after a few steps."""
    model = tiny_model()
    optimizer = build_optimizer(model, LearningRates(0.01, 0.003, 0.03))
    for factor in (0.5, 0.5, 1.0):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step(factor)
    assert optimizer.parts[0].param_groups[0]["lr"] == pytest.approx(0.01)
