"""Training rows: each completion as if it were alone, nothing lost, nothing twice."""

from dataclasses import replace

import numpy as np
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
    """Log-probabilities of one completion, from a plain forward pass of its own."""
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


@given(
    st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=8),
    st.lists(st.integers(0, 7), max_size=4),
    st.integers(1, 80),
    st.booleans(),
)
@settings(deadline=None, derandomize=True, max_examples=60)
@torch.no_grad()
def test_together_equals_alone(pairs, again, max_tokens, share):
    """Catches a completion that sees padding, is lost or is trained on twice, for any cut into batches."""
    pairs += [pairs[place % len(pairs)] for place in again]
    rollouts = [Rollout(*pair, float(name)) for name, pair in enumerate(pairs)]
    assert agree(rollouts, micro_batches(rollouts, max_tokens=max_tokens, share_prefixes=share))


def shifted(model, batch):
    """Wrong twin: the logits at a token, instead of those before it, judge the token."""
    last = batch.tokens.shape[1] - 1
    return completion_logprobs(model, replace(batch, logits_at=(batch.logits_at + 1).clamp(max=last)))


def padded_in_front(model, batch):
    """Wrong twin: padding on the left without a mask, so every token sees it."""
    lengths = (batch.logits_at.amax(1) + 1).tolist()
    width = batch.tokens.shape[1]
    rows = [torch.cat([row[n:], row[:n]]) for row, n in zip(batch.tokens, lengths, strict=True)]
    shift = width - torch.tensor(lengths)
    moved = (batch.logits_at + shift[:, None]).clamp(max=width - 1)
    return completion_logprobs(model, replace(batch, tokens=torch.stack(rows), logits_at=moved))


@torch.no_grad()
def test_wrong_twins_are_told_apart():
    """Catches a comparison too weak to see a shift by one token or padding that is looked at."""
    rollouts = [replace(rollout, advantage=float(i)) for i, rollout in enumerate(tiny.rollouts())]
    batches = micro_batches(rollouts)
    assert agree(rollouts, batches)
    assert not agree(rollouts, batches, shifted)
    assert not agree(rollouts, batches, padded_in_front)


def test_little_padding():
    """Catches rows of any length side by side: unsorted, a third of these batches would be padding."""
    generator = np.random.default_rng(0)
    rollouts = [Rollout((3,) * 20, (4,) * int(n), 0.0) for n in generator.integers(5, 100, 128)]
    batches = micro_batches(rollouts, max_tokens=1024)
    used = sum(20 + len(rollout.completion) - 1 for rollout in rollouts)
    assert used / sum(batch.tokens.numel() for batch in batches) > 0.9
    assert all(batch.tokens.numel() <= 1024 for batch in batches)


def test_a_prompt_counts_once():
    """Catches groups torn apart, whose prompt is read again for each piece: 8 groups, 4 batches at best."""
    generator = np.random.default_rng(0)
    prompts = [tuple(generator.integers(3, 9, 20).tolist()) for _ in range(8)]
    completions = [tuple(generator.integers(3, 9, 11).tolist()) for _ in range(32)]
    rollouts = [Rollout(prompts[i % 8], completion, 0.0) for i, completion in enumerate(completions)]
    # A group is 20 + 4 * 10 tokens, less what its completions have in common.
    assert len(micro_batches(rollouts, max_tokens=120, share_prefixes=True)) <= 4
    assert len(micro_batches(rollouts, max_tokens=120)) == 8


def test_every_thread_has_an_equal_part():
    """Catches a last part of a few rows, or one part for two threads: the others wait for it."""
    generator = np.random.default_rng(1)
    rollouts = [
        Rollout(tuple(generator.integers(3, 60, 20).tolist()), (4,) * int(n), 0.0)
        for n in generator.integers(5, 100, 64)
    ]
    for threads in (1, 2, 3):
        batches = micro_batches(rollouts, max_tokens=2000, share_prefixes=True, multiple=threads)
        read = [int(batch.logits_at.amax(1).add(1).sum()) for batch in batches]
        assert len(batches) % threads == 0
        assert max(read) - min(read) < 2 * 120
        assert max(read) < 2000 + 120
    same = [Rollout((3, 4), (5, 6), 0.0)] * 8
    assert len(micro_batches(same, max_tokens=100, share_prefixes=True)) == 1


@pytest.mark.parametrize("share", [False, True])
def test_sampling_logprobs_follow_their_tokens(share):
    """Catches sampling log-probabilities attached to another completion of the batch."""
    rollouts = [
        replace(rollout, logprobs=np.array(rollout.completion, dtype=np.float32) / 100)
        for rollout in tiny.rollouts()
    ]
    for batch in micro_batches(rollouts, max_tokens=60, share_prefixes=share):
        tokens = batch.targets[batch.mask].float() / 100
        assert torch.allclose(batch.sampling_logprobs[batch.mask], tokens)


@pytest.mark.parametrize(
    ("rollout", "message"),
    [
        (Rollout((3,), (), 0.0), "rollout 1 has an empty completion"),
        (Rollout((), (3,), 0.0), "rollout 1 has an empty prompt"),
        (Rollout((3,), (4, 2), 0.0, np.zeros(1)), "stop token counted on one side only"),
    ],
)
def test_bad_input(rollout, message):
    """Catches an empty completion that would take the logits of its neighbour."""
    with pytest.raises(K2ReproError, match=message):
        micro_batches([Rollout((3,), (4,), 0.0), rollout])
