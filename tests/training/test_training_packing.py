"""Packing: texts of one row do not see each other, and only responses are learned."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from training_tiny import tiny_model

from k2repro.errors import K2ReproError
from k2repro.training.loop import accumulate_gradients, response_loss
from k2repro.training.packing import IGNORED, Example, pack

examples = st.lists(
    st.builds(
        Example,
        st.lists(st.integers(1, 16), min_size=1, max_size=5),
        st.lists(st.integers(1, 16), min_size=1, max_size=6),
    ),
    min_size=1,
    max_size=12,
)


@given(examples, st.integers(11, 30))
def test_every_text_is_there_once_and_whole(texts, length):
    """Catches a text that is cut at the end of a row, lost, or packed twice."""
    batch, left = pack(texts, length)
    assert not left
    found = []
    for tokens, segments in zip(batch.tokens.tolist(), batch.segments.tolist(), strict=True):
        for number in sorted(set(segments) - {0}):
            found.append([t for t, s in zip(tokens, segments, strict=True) if s == number])
    assert sorted(found) == sorted([*text.prompt, *text.response] for text in texts)
    assert batch.learned == sum(len(text.response) for text in texts)
    assert batch.used == sum(len(text) for text in texts)


@given(examples)
def test_targets_are_the_next_token_of_the_same_text(texts):
    """Catches a shift by one, and a last token that predicts the first of the text behind it."""
    batch, _ = pack(texts, 24)
    for row, at in torch.nonzero(batch.targets != IGNORED).tolist():
        assert batch.targets[row, at] == batch.tokens[row, at + 1]
        assert batch.segments[row, at] == batch.segments[row, at + 1]


def test_packed_loss_equals_the_loss_of_each_text_alone():
    """Catches attention across texts: its wrong twin, one segment for the whole row, is told apart."""
    model = tiny_model()
    texts = [Example([1, 2, 3], [4, 5]), Example([6, 7], [8, 9, 10]), Example([3], [2, 1, 5, 4])]
    batch, _ = pack(texts, 16, rows=1)
    alone = sum(float(_alone(model, text).detach()) for text in texts)
    assert float(response_loss(model, batch).detach()) == pytest.approx(alone, rel=1e-5)
    smeared = type(batch)(batch.tokens, batch.targets, torch.ones_like(batch.segments))
    assert float(response_loss(model, smeared).detach()) != pytest.approx(alone, rel=1e-3)


def _alone(model, text):
    tokens = torch.tensor([[*text.prompt, *text.response]])
    logits = model(tokens)[0, len(text.prompt) - 1 : -1]
    return functional.cross_entropy(logits, torch.tensor(text.response), reduction="sum")


def test_positions_skip_once_and_in_their_own_text():
    """Catches a skip that is counted from the row's start, comes one token late, or moves a neighbour."""
    texts = [
        Example([1, 2], [3, 4, 5], skip=(3, 70)),
        Example([6, 7], [8, 9], skip=(2, 20)),
        Example([3], [2]),
    ]
    batch, _ = pack(texts, 12, rows=1)
    assert batch.segments[0, :11].tolist() == [1] * 5 + [2] * 4 + [3] * 2
    assert batch.positions[0, :11].tolist() == [0, 1, 2, 73, 74, 0, 1, 22, 23, 0, 1]


def test_splitting_a_batch_changes_nothing():
    """Catches a mean of means: batches of different sizes would weigh their tokens differently."""
    texts = [Example([1, 2], [3]), Example([4], [5, 6, 7, 8, 9]), Example([2, 3], [1, 1])]
    whole, split, twin = (tiny_model() for _ in range(3))
    loss = accumulate_gradients(whole, [pack(texts, 24, rows=1)[0]])
    parts = [pack([text], 24)[0] for text in texts]
    assert accumulate_gradients(split, parts) == pytest.approx(loss, rel=1e-5)
    for part in parts:
        (response_loss(twin, part) / part.learned / len(parts)).backward()
    for a, b in zip(whole.parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)
    wrong = [p.grad for p in twin.parameters()]
    right = [p.grad for p in whole.parameters()]
    assert any((a - b).abs().max() > 1e-3 for a, b in zip(wrong, right, strict=True))


def test_what_does_not_fit_waits_and_old_texts_go_first():
    """Catches texts that are dropped when the rows are full."""
    texts = [Example([1], [2] * n) for n in (7, 7, 3, 7)]
    batch, left = pack(texts, 12, rows=2)
    assert batch.used == 8 + 8 + 4
    assert left == [texts[3]]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "empty"),
        ([Example([], [1])], "0 prompt"),
        ([Example([1], [])], "0 response"),
        ([Example([1] * 20, [2])], "21 tokens does not fit a row of 16"),
    ],
)
def test_bad_examples_are_refused(texts, message):
    """Catches an empty response, which would train on nothing without a word."""
    with pytest.raises(K2ReproError, match=message):
        pack(texts, 16)
