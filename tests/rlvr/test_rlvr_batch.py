"""Packed training rows: each completion as if it were alone, nothing lost, nothing twice."""

from dataclasses import replace

import numpy
import pytest
import rlvr_tiny as tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.rlvr import Rollout, completion_logprobs, micro_batches

MODEL = tiny.model()
TOKENS = st.lists(st.integers(3, tiny.VOCABULARY - 1), min_size=1, max_size=7).map(tuple)


def alone(rollout):
    """Log-probabilities of one completion, from a plain forward pass without packing."""
    tokens = torch.tensor([rollout.prompt + rollout.completion])
    logprobs = MODEL(tokens).log_softmax(-1)[0, len(rollout.prompt) - 1 : -1]
    return logprobs.gather(-1, tokens[0, len(rollout.prompt) :, None])[:, 0]


def unpacked(batches, logprobs=completion_logprobs):
    """Advantage (used as a name here) -> log-probabilities of the completion."""
    found = {}
    for batch in batches:
        values, _ = logprobs(MODEL, batch)
        for sequence, name in enumerate(batch.advantages.tolist()):
            assert name not in found
            found[name] = values[sequence][batch.mask[sequence]]
    return found


def agree(rollouts, batches, logprobs=completion_logprobs):
    found = unpacked(batches, logprobs)
    assert found.keys() == {float(rollout.advantage) for rollout in rollouts}
    return all(
        torch.allclose(found[float(rollout.advantage)], alone(rollout), atol=1e-5) for rollout in rollouts
    )


@given(st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=8), st.integers(1, 40), st.integers(1, 80))
@settings(deadline=None, derandomize=True, max_examples=40)
@torch.no_grad()
def test_packed_equals_alone(pairs, row_tokens, max_tokens):
    """Catches a completion that sees its neighbour, is lost or is trained on twice, for any row length."""
    rollouts = [Rollout(*pair, float(name)) for name, pair in enumerate(pairs)]
    assert agree(rollouts, micro_batches(rollouts, row_tokens=row_tokens, max_tokens=max_tokens))


def shifted(model, batch):
    """Wrong twin: the logits at a token, instead of those before it, judge the token."""
    last = batch.tokens.shape[1] - 1
    return completion_logprobs(model, replace(batch, logits_at=(batch.logits_at + 1).clamp(max=last)))


def not_separated(model, batch):
    """Wrong twin: the texts of a row see each other."""
    return completion_logprobs(model, replace(batch, segments=torch.zeros_like(batch.segments)))


@torch.no_grad()
def test_wrong_twins_are_told_apart():
    """Catches a comparison too weak to see a shift by one token or a leak between texts."""
    rollouts = [replace(rollout, advantage=float(i)) for i, rollout in enumerate(tiny.rollouts())]
    batches = micro_batches(rollouts, row_tokens=40)
    assert agree(rollouts, batches)
    assert not agree(rollouts, batches, shifted)
    assert not agree(rollouts, batches, not_separated)


def test_little_padding():
    """Catches packing that pads: rows of one sample each would be 45 % padding here."""
    generator = numpy.random.default_rng(0)
    rollouts = [Rollout((3,) * 20, (4,) * int(n), 0.0) for n in generator.integers(5, 100, 128)]
    (batch,) = micro_batches(rollouts, row_tokens=256, max_tokens=10**6)
    assert (batch.segments >= 0).float().mean() > 0.97


def test_sampling_logprobs_follow_their_tokens():
    """Catches sampling log-probabilities attached to another completion of the pack."""
    rollouts = [
        replace(rollout, logprobs=numpy.array(rollout.completion, dtype=numpy.float32) / 100)
        for rollout in tiny.rollouts()
    ]
    for batch in micro_batches(rollouts, row_tokens=30, max_tokens=60):
        tokens = batch.targets.flatten()[batch.places].float() / 100
        assert torch.allclose(batch.sampling_logprobs[batch.mask], tokens)


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        (Rollout((3,), (), 0.0), "rollout 1 has an empty completion"),
        (Rollout((), (3,), 0.0), "rollout 1 has an empty prompt"),
        (Rollout((3,), (4, 2), 0.0, numpy.zeros(1)), "stop token counted on one side only"),
    ],
)
def test_bad_input(rollout, message):
    """Catches an empty completion that would take the logits of its neighbour."""
    with pytest.raises(K2ReproError, match=message):
        micro_batches([Rollout((3,), (4,), 0.0), rollout])
