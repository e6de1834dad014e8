"""The fast training pass gives the logits and the gradients of the plain module, whatever is packed."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.architecture import ModelConfig, Qwen2
from k2repro.errors import K2ReproError
from k2repro.training import fused, fused_layer, products, spans
from k2repro.training.fused import fits_fused, packed_logits
from k2repro.training.loop import response_loss
from k2repro.training.packing import IGNORED, Example, pack
from k2repro.training.products import outer, product

SETTINGS = settings(derandomize=True, max_examples=25, deadline=None)
SHAPES = {
    "tied": ModelConfig(
        vocab_size=23, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, tie_word_embeddings=True, initializer_range=0.3,
    ),
    "untied, one layer, no sharing of heads": ModelConfig(
        vocab_size=23, hidden_size=16, intermediate_size=40, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, tie_word_embeddings=False, initializer_range=0.3,
    ),
    "one key head": ModelConfig(
        vocab_size=23, hidden_size=24, intermediate_size=24, num_hidden_layers=3, num_attention_heads=3,
        num_key_value_heads=1, head_dim=8, tie_word_embeddings=True, initializer_range=0.3,
    ),
}


def drawn_model(shape: str, seed: int) -> Qwen2:
    """A model in which no bias is 0 and no norm is 1, so that leaving one out shows."""
    generator = torch.Generator().manual_seed(seed)
    model = Qwen2(SHAPES[shape], generator=generator)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("bias", "norm.weight")):
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


def drawn_batch(lengths: list[tuple[int, int]], seed: int):
    generator = torch.Generator().manual_seed(seed)

    def text(count: int) -> list[int]:
        return torch.randint(1, 23, (count,), generator=generator).tolist()

    examples = [Example(text(prompt), text(response)) for prompt, response in lengths]
    return pack(examples, 48)[0]


def both(model: Qwen2, batch, **how):
    """Logits at the learned places and the gradients of a weighted sum of them, fast and plain."""
    at = (batch.targets.flatten() != IGNORED).nonzero()[:, 0]
    weights = torch.randn(len(at), 23, generator=torch.Generator().manual_seed(5))
    found = []
    for fast in (True, False):
        model.zero_grad(set_to_none=True)
        logits = (
            packed_logits(model, batch.tokens, batch.segments, at, **how) if fast
            else model(batch.tokens, segments=batch.segments).flatten(0, 1)[at]
        )
        (logits * weights).sum().backward()
        found.append((logits.detach(), {n: p.grad.clone() for n, p in model.named_parameters()}))
    return found


def largest_difference(model: Qwen2, batch, **how) -> float:
    (logits, gradients), (plain, expected) = both(model, batch, **how)
    worst = float((logits - plain).abs().max() / plain.abs().max())
    # Some gradients are 0 but for rounding: of a key bias always, of queries where a text has one token.
    least = max(gradient.abs().max() for gradient in expected.values()) / 100
    for name, gradient in expected.items():
        scale = torch.maximum(gradient.abs().max(), least)
        worst = max(worst, float((gradients[name] - gradient).abs().max() / scale))
    return worst


LENGTHS = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 28)), min_size=1, max_size=7)


@SETTINGS
@given(st.sampled_from(list(SHAPES)), LENGTHS, st.integers(0, 2**20))
def test_logits_and_gradients_are_those_of_the_plain_module(shape, lengths, seed):
    """Catches a hand-written way back that forgets a term: every parameter, every way of packing."""
    assert largest_difference(drawn_model(shape, seed), drawn_batch(lengths, seed)) < 2e-5


BATCH = [(5, 9), (3, 20), (12, 17), (2, 2), (17, 3)]


def test_neighbours_that_are_seen_are_noticed(monkeypatch):
    """Catches a comparison that cannot fail: with weight for what hangs over a text, the results differ."""
    model, batch = drawn_model("tied", 1), drawn_batch(BATCH, 1)
    mask = fused.causal_mask
    monkeypatch.setattr(fused, "causal_mask", lambda longest, groups: torch.zeros_like(mask(longest, groups)))
    assert largest_difference(model, batch) > 1e-3


def test_a_forgotten_rotation_on_the_way_back_is_noticed(monkeypatch):
    """Catches a gradient that is not turned back: logits stay right, training goes astray."""
    model, batch = drawn_model("tied", 2), drawn_batch(BATCH, 2)
    turn, calls = fused_layer._turn, []

    def forgetful(rows, turns):
        calls.append(1)
        # Each layer turns twice on the way forth; everything after that is the way back.
        turn(rows, turns if len(calls) <= forward_calls else torch.ones_like(turns))

    monkeypatch.setattr(fused_layer, "_turn", lambda *given: (calls.append(1), turn(*given))[1])
    with torch.no_grad():
        at = (batch.targets.flatten() != IGNORED).nonzero()[:, 0]
        packed_logits(model, batch.tokens, batch.segments, at)
    forward_calls = len(calls)
    calls.clear()
    monkeypatch.setattr(fused_layer, "_turn", forgetful)
    assert largest_difference(model, batch) > 1e-3


# Two tokens to choose from: prefixes of all lengths occur, texts that continue others, and equal ones.
FEW = st.integers(1, 2)
ALIKE = st.lists(
    st.tuples(st.lists(FEW, min_size=1, max_size=4), st.lists(FEW, min_size=1, max_size=20)),
    min_size=1,
    max_size=8,
)


@SETTINGS
@given(st.sampled_from(list(SHAPES)), ALIKE, st.booleans(), st.integers(0, 2**20))
def test_a_shared_prefix_changes_no_logit_and_no_gradient(shape, texts, ordered, seed):
    """Catches a prefix that is cut one token off, or whose gradient comes from one of its texts only."""
    batch = pack([Example(*text) for text in (sorted(texts) if ordered else texts)], 48)[0]
    assert largest_difference(drawn_model(shape, seed), batch, share_prefixes=True) < 2e-5


GROUP = pack([Example([5, 9, 2], [7, 7, last, 4, last]) for last in (11, 12, 13)], 48)[0]


def test_a_prefix_that_is_too_long_by_a_token_is_noticed(monkeypatch):
    """Catches a comparison that cannot fail: where texts part, the second is read as the first."""
    model, share = drawn_model("tied", 6), spans._share

    def greedy(tokens, texts, home):
        found = share(tokens, texts, home)
        for (before, _), (begin, _), same in zip(texts[:-1], texts[1:], found[1:], strict=True):
            home[begin + same] = home[before + same]
        return [same + (same > 0) for same in found]

    assert largest_difference(model, GROUP, share_prefixes=True) < 2e-5
    monkeypatch.setattr(spans, "_share", greedy)
    assert largest_difference(model, GROUP, share_prefixes=True) > 1e-3


def test_a_prefix_that_learns_from_one_text_only_is_noticed(monkeypatch):
    """Catches gradients of a shared key that overwrite each other instead of adding up."""
    model = drawn_model("tied", 7)

    def last_wins(values, rows, count):
        return values.new_zeros(count, values.shape[1]).index_copy_(0, rows, values)

    monkeypatch.setattr(fused_layer, "_added", last_wins)
    assert largest_difference(model, GROUP, share_prefixes=True) > 1e-3


@SETTINGS
@given(ALIKE)
def test_a_prefix_tree_is_read_token_by_token_once(texts):
    """Catches a plan that still reads what texts have in common: nothing would be wrong but the time."""
    read = sorted((*prompt, *response) for prompt, response in texts)
    tokens = torch.zeros(len(read), 24, dtype=torch.long)
    for row, text in enumerate(read):
        tokens[row, : len(text)] = torch.tensor(text)
    ends = torch.tensor([row * 24 + len(text) - 1 for row, text in enumerate(read)])
    plan = spans.plan_reading(tokens, torch.zeros_like(tokens), ends, share_prefixes=True)
    assert plan.used == len({text[:end] for text in read for end in range(1, len(text) + 1)})


def test_the_loss_is_that_of_the_plain_module():
    """Catches a loss over other tokens: the fast way and 64-bit modules, which it does not serve, agree."""
    model, batch = drawn_model("tied", 3), drawn_batch(BATCH, 3)
    assert fits_fused(model)
    fast = float(response_loss(model, batch).detach())
    wide = model.double()
    assert not fits_fused(wide)
    assert fast == pytest.approx(float(response_loss(wide, batch).detach()), rel=1e-5)


def test_two_passes_give_the_same_bytes():
    """Catches a sum whose order depends on chance: checkpoints could not come out again."""
    model, batch = drawn_model("tied", 4), drawn_batch(BATCH, 4)
    (logits, gradients), _ = both(model, batch)
    (again, others), _ = both(model, batch)
    assert torch.equal(logits, again)
    assert all(torch.equal(gradients[name], others[name]) for name in gradients)


@SETTINGS
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**20))
def test_products_are_products_in_either_library(rows, inner, columns, seed):
    """Catches a transposed operand that the second library reads in another order."""
    generator = torch.Generator().manual_seed(seed)
    left, right, add = (
        torch.randn(shape, generator=generator)
        for shape in ((rows, inner), (columns, inner), (rows, columns))
    )
    bias = torch.randn(columns, generator=generator)
    before = products.SMALL
    try:
        for small in (0, 10**9):
            products.SMALL = small
            assert torch.allclose(product(left, right), left @ right.t(), atol=1e-4)
            assert torch.allclose(product(left, right, bias), left @ right.t() + bias, atol=1e-4)
            assert torch.allclose(product(left, right, add=add), left @ right.t() + add, atol=1e-4)
            assert torch.allclose(outer(left, add), left.t() @ add, atol=1e-4)
    finally:
        products.SMALL = before


def test_nothing_asked_and_shapes_that_differ_are_refused():
    """Catches an empty loss of 0, and rows that are read with another row's segments."""
    model, batch = drawn_model("tied", 5), drawn_batch(BATCH, 5)
    with pytest.raises(K2ReproError, match="no logit is wanted"):
        packed_logits(model, batch.tokens, batch.segments, torch.tensor([], dtype=torch.long))
    with pytest.raises(K2ReproError, match="must be equal"):
        packed_logits(model, batch.tokens, batch.segments[:, :-1], torch.tensor([3]))


def test_other_weights_take_the_module():
    """Catches a fast way that is taken for 16-bit weights, whose sums it would round."""
    config = replace(SHAPES["tied"], num_hidden_layers=1)
    assert not fits_fused(Qwen2(config, dtype=torch.bfloat16))
