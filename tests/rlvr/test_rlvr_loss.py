"""The loss against its formulas written as loops, against plausible mistakes, and in its corner cases."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rlvr_tiny import grpo_loss, policy_terms

from k2repro.errors import K2ReproError
from k2repro.rlvr import LOSS_TYPES, StepBatch, average, token_logprobs
from k2repro.rlvr import loss as loss_module
from k2repro.rlvr.diagnostics import combine

BUDGET = 7
LOW, HIGH = 0.1, 0.3


def example(seed, sequences=3, width=5):
    """Log-probabilities, old, reference [S, C], advantages [S], mask [S, C]; NaN in the padding."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, width + 1, (sequences,), generator=generator)
    mask = torch.arange(width) < lengths[:, None]
    logprobs = -torch.rand(sequences, width, generator=generator) * 3
    old, reference = (
        (logprobs + 0.4 * torch.randn(logprobs.shape, generator=generator)).masked_fill(~mask, math.nan)
        for _ in range(2)
    )
    advantages = torch.randn(sequences, generator=generator)
    return logprobs.masked_fill(~mask, math.nan).requires_grad_(), old, reference, advantages, mask


def by_hand(logprobs, old, reference, advantages, mask, loss_type, level, beta):
    """The formulas, one token at a time."""
    sums, counts = [], []
    for s, advantage in enumerate(advantages.tolist()):
        length = int(mask[s].sum())
        gaps = [(logprobs[s, t] - old[s, t]).item() for t in range(length)]
        if level == "sequence":
            gaps = [sum(gaps) / length] * length
        total = 0.0
        for t, gap in enumerate(gaps):
            ratio = math.exp(gap)
            surrogate = min(ratio * advantage, min(max(ratio, 1 - LOW), 1 + HIGH) * advantage)
            behind = (reference[s, t] - logprobs[s, t]).item()
            total += -surrogate + beta * ratio * (math.exp(behind) - behind - 1)
        sums.append(total)
        counts.append(length)
    if loss_type == "grpo":
        return sum(total / count for total, count in zip(sums, counts, strict=True)) / len(sums)
    if loss_type == "dr_grpo":
        return sum(sums) / (len(sums) * BUDGET)
    return sum(sums) / sum(counts)


@given(
    st.integers(0, 10_000),
    st.sampled_from(LOSS_TYPES),
    st.sampled_from(["token", "sequence"]),
    st.sampled_from([0.0, 0.2]),
)
@settings(deadline=None, derandomize=True)
def test_formulas(seed, loss_type, level, beta):
    """Catches a formula that only holds for the numbers that TRL was tried with."""
    logprobs, old, reference, advantages, mask = example(seed)
    loss, _ = grpo_loss(
        logprobs,
        old,
        advantages,
        mask,
        loss_type=loss_type,
        importance_sampling_level=level,
        epsilon_low=LOW,
        epsilon_high=HIGH,
        beta=beta,
        reference_logprobs=reference,
        max_completion_length=BUDGET,
    )
    expected = by_hand(logprobs, old, reference, advantages, mask, loss_type, level, beta)
    assert loss.item() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    loss.backward()
    assert logprobs.grad.isfinite().all()  # NaN in the padding must not reach the gradient
    assert (logprobs.grad[~mask] == 0).all()


def ours(logprobs, old, reference, advantages, mask, beta=0.0):
    terms = policy_terms(
        logprobs,
        old,
        advantages,
        mask,
        epsilon_low=LOW,
        epsilon_high=HIGH,
        beta=beta,
        reference_logprobs=reference,
    )
    return average(terms.per_token, mask, "dapo")


def clipped_on_the_wrong_side(logprobs, old, reference, advantages, mask, beta=0.0):
    """Wrong twin: the maximum of the two surrogates, so that large steps are rewarded."""
    ratio = (logprobs - old).masked_fill(~mask, 0).exp()
    both = ratio * advantages[:, None], ratio.clamp(1 - LOW, 1 + HIGH) * advantages[:, None]
    return average(-torch.maximum(*both).masked_fill(~mask, 0), mask, "dapo")


def bounds_swapped(logprobs, old, reference, advantages, mask, beta=0.0):
    """Wrong twin: epsilon_high below and epsilon_low above."""
    terms = policy_terms(logprobs, old, advantages, mask, epsilon_low=HIGH, epsilon_high=LOW)
    return average(terms.per_token, mask, "dapo")


def mean_over_the_padding(logprobs, old, reference, advantages, mask, beta=0.0):
    """Wrong twin: `.mean()` of the masked losses, which counts padding."""
    terms = policy_terms(logprobs, old, advantages, mask, epsilon_low=LOW, epsilon_high=HIGH)
    return terms.per_token.mean()


def ratio_of_the_next_token(logprobs, old, reference, advantages, mask, beta=0.0):
    """Wrong twin: old log-probabilities one place late."""
    late = old.roll(1, dims=1).nan_to_num()
    return ours(logprobs, late, reference, advantages, mask)


def ratio_upside_down(logprobs, old, reference, advantages, mask, beta=0.0):
    """Wrong twin: old over new."""
    return ours(old, logprobs, reference, advantages, mask)


def kl_pushes_away(logprobs, old, reference, advantages, mask, beta=0.0):
    """Wrong twin: the KL term subtracted, a bonus for leaving the reference."""
    return ours(logprobs, old, reference, advantages, mask, -beta)


def kl_of_the_reference(logprobs, old, reference, advantages, mask, beta=0.0):
    """Wrong twin: k3 with the two policies exchanged."""
    behind = (logprobs - reference).masked_fill(~mask, 0)
    terms = policy_terms(logprobs, old, advantages, mask, epsilon_low=LOW, epsilon_high=HIGH)
    return average(terms.per_token + beta * terms.ratio * (behind.exp() - behind - 1), mask, "dapo")


def agrees_with_the_formula(loss):
    for seed in range(5):
        given_ = example(seed)
        expected = by_hand(*given_, "dapo", "token", 0.2)
        if loss(*given_, 0.2).item() != pytest.approx(expected, rel=1e-5, abs=1e-6):
            return False
    return True


@pytest.mark.parametrize(
    "twin",
    [
        clipped_on_the_wrong_side,
        bounds_swapped,
        mean_over_the_padding,
        ratio_of_the_next_token,
        ratio_upside_down,
        kl_pushes_away,
        kl_of_the_reference,
    ],
)
def test_wrong_twins_are_told_apart(twin):
    """Catches a check of the formula so weak that a plausible mistake passes it."""
    assert agrees_with_the_formula(ours)
    assert not agrees_with_the_formula(twin)


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_loss_starts_at_zero_and_the_gradient_does_not(level):
    """Catches the belief that a loss of 0 is a bug, and a loss of 0 that is one: no gradient."""
    logprobs, _, _, _, mask = example(3, sequences=4)
    advantages = torch.tensor([1.5, -0.5, -0.5, -0.5])
    loss, diagnostics = grpo_loss(
        logprobs, None, advantages, mask, loss_type="grpo", importance_sampling_level=level
    )
    loss.backward()
    assert abs(loss.item()) < 1e-7
    assert diagnostics.ratio_min == diagnostics.ratio_max == 1.0
    assert diagnostics.clip_low == diagnostics.clip_high == 0.0
    # The gradient is that of -advantage * mean log-probability.
    expected = -advantages[:, None] * mask / mask.sum(1, keepdim=True) / 4
    assert torch.allclose(logprobs.grad, expected, atol=1e-7)


def test_clipping_cuts_the_gradient_only_where_it_would_go_on():
    """Catches a clip that also stops tokens on their way back, as a symmetric clamp of the ratio does."""
    ratios = torch.tensor([[1.5, 0.5]] * 2)
    logprobs = ratios.log().requires_grad_()
    loss, diagnostics = grpo_loss(
        logprobs, torch.zeros(2, 2), torch.tensor([1.0, -1.0]), torch.ones(2, 2), epsilon_high=0.28
    )
    loss.backward()
    assert (logprobs.grad != 0).tolist() == [[False, True], [True, False]]
    assert diagnostics.clip_high == diagnostics.clip_low == 0.25


def test_gradient_of_the_kl_is_that_of_the_kl():
    """Catches k3 without its correction: its value is right, its gradient belongs to another divergence."""
    logprobs, _, reference, _, mask = example(4)
    for corrected in (True, False):
        logprobs.grad = None
        loss, _ = grpo_loss(
            logprobs,
            None,
            torch.zeros(3),
            mask,
            beta=1.0,
            reference_logprobs=reference,
            use_bias_correction_kl=corrected,
        )
        loss.backward()
        # Score-function form of grad KL(policy || reference): (log p - log r) * grad log p at each sample.
        expected = ((logprobs - reference) / mask.sum()).masked_fill(~mask, 0)
        assert torch.allclose(logprobs.grad, expected, atol=1e-6) == corrected


@given(st.integers(0, 10_000), st.integers(0, 4), st.sampled_from(LOSS_TYPES))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_padding_changes_nothing(seed, extra, loss_type):
    """Catches a loss that depends on the longest completion it happens to be padded to."""
    logprobs, old, _, advantages, mask = example(seed)
    wide = [torch.nn.functional.pad(value, (0, extra)) for value in (logprobs, old, mask)]
    narrow, _ = grpo_loss(logprobs, old, advantages, mask, loss_type=loss_type, max_completion_length=BUDGET)
    padded, _ = grpo_loss(
        wide[0], wide[1], advantages, wide[2], loss_type=loss_type, max_completion_length=BUDGET
    )
    assert padded.item() == pytest.approx(narrow.item(), rel=1e-6, abs=1e-7)


@given(st.integers(0, 10_000), st.integers(1, 3), st.sampled_from(["grpo", "dapo", "dr_grpo"]))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_parts_add_up(seed, cut, loss_type):
    """Catches losses of micro-batches that cannot be added, diagnostics included."""
    logprobs, old, reference, advantages, mask = example(seed, sequences=4)

    def part(at, **settings_):
        return grpo_loss(
            logprobs[at],
            old[at],
            advantages[at],
            mask[at],
            loss_type=loss_type,
            beta=0.1,
            reference_logprobs=reference[at],
            max_completion_length=BUDGET,
            entropy=-old[at],
            **settings_,
        )

    every, diagnostics = part(slice(0, 4))
    parts = [part(at, whole=StepBatch(4, int(mask.sum()))) for at in (slice(0, cut), slice(cut, 4))]
    together = combine([part for _, part in parts])
    assert sum(loss.item() for loss, _ in parts) == pytest.approx(every.item(), rel=1e-5, abs=1e-6)
    for name, value in vars(diagnostics).items():
        assert getattr(together, name) == pytest.approx(value, rel=1e-5, abs=1e-6), name


@pytest.mark.parametrize("rows", [1, 3, 1024])
def test_token_logprobs(rows, monkeypatch):
    """Catches log-probabilities that do not sum to 1, and an entropy that depends on its chunks."""
    monkeypatch.setattr(loss_module, "ROWS", rows)
    logits = torch.randn(2, 5, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float32) * 30
    every = [token_logprobs(logits, torch.full((2, 5), token)) for token in range(11)]
    table = torch.stack([logprobs for logprobs, _ in every]).double()
    assert torch.allclose(table.exp().sum(0), torch.ones(2, 5, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(every[0][1].double(), -(table.exp() * table).sum(0), atol=1e-5)
    assert not every[0][1].requires_grad


@pytest.mark.parametrize("rows", [1, 3, 1024])
def test_the_gradient_of_token_logprobs_is_that_of_cross_entropy(rows, monkeypatch):
    """Catches a hand-written way back that forgets the target, or takes it from another row."""
    monkeypatch.setattr(loss_module, "ROWS", rows)
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 5, 11, generator=generator, dtype=torch.float64).requires_grad_()
    targets = torch.randint(11, (2, 5), generator=generator)
    weights = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    ours, _ = token_logprobs(logits, targets)
    theirs = -torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    assert torch.allclose(ours.flatten(), theirs)
    (found,) = torch.autograd.grad((ours * weights).sum(), logits, retain_graph=True)
    (again,) = torch.autograd.grad((ours * weights).sum(), logits)
    (expected,) = torch.autograd.grad((theirs * weights.flatten()).sum(), logits)
    assert torch.allclose(found, expected, atol=1e-12)
    assert torch.equal(found, again)


def test_empty_sequences_count_as_sequences():
    """Catches division by 0 for a completion that is masked out completely."""
    mask = torch.tensor([[True, True], [False, False]])
    logprobs = torch.zeros(2, 2, requires_grad=True)
    loss, diagnostics = grpo_loss(logprobs, None, torch.ones(2), mask, loss_type="grpo")
    assert loss.item() == -0.5
    assert diagnostics.tokens == 2
    nothing, empty = grpo_loss(logprobs, None, torch.ones(2), torch.zeros(2, 2))
    assert nothing.item() == 0.0
    assert empty.ratio_mean is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss_type": "ppo"}, "unknown loss_type 'ppo'"),
        ({"importance_sampling_level": "batch"}, "unknown importance_sampling_level"),
        ({"epsilon_low": 1.5}, "epsilon_low = 1.5"),
        ({"epsilon_high": -0.1}, "epsilon_high = -0.1"),
        ({"delta": 1.1}, "delta = 1.1"),
        ({"beta": 0.1}, "reference_logprobs is missing"),
        ({"loss_type": "dr_grpo"}, "max_completion_length = None"),
        ({"mask": torch.ones(2, 2)}, r"mask has shape \(2, 2\)"),
        ({"old_logprobs": torch.zeros(2, 4)}, "shifted by one"),
        ({"advantages": torch.zeros(3)}, r"advantages \(3,\)"),
        ({"advantages": torch.zeros(2, 3)}, r"advantages \(2, 3\)"),
    ],
)
def test_bad_input(changes, message):
    """Catches shapes that torch would broadcast without a word."""
    arguments = {
        "logprobs": torch.zeros(2, 3),
        "old_logprobs": None,
        "advantages": torch.zeros(2),
        "mask": torch.ones(2, 3),
        **changes,
    }
    with pytest.raises(K2ReproError, match=message):
        grpo_loss(**arguments)
