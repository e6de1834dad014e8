"""The fast training pass gives the logits and the gradients of the plain module, whatever is packed."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.architecture import ModelConfig, Qwen2
from k2repro.errors import K2ReproError
from k2repro.fast import packed_attention, packed_layer, products, spans
from k2repro.fast.kernels import attention
from k2repro.fast.packed import fits_fused, packed_logits
from k2repro.fast.products import outer, product
from k2repro.training.loop import response_loss
from k2repro.training.packing import IGNORED, Example, pack

SETTINGS = settings(derandomize=True, max_examples=25, deadline=None)
SHAPES = {
    "tied": ModelConfig(
        vocab_size=23,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        tie_word_embeddings=True,
        initializer_range=0.3,
    ),
    "untied, one layer, no sharing of heads": ModelConfig(
        vocab_size=23,
        hidden_size=16,
        intermediate_size=40,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        tie_word_embeddings=False,
        initializer_range=0.3,
    ),
    "one key head": ModelConfig(
        vocab_size=23,
        hidden_size=24,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        num_key_value_heads=1,
        head_dim=8,
        tie_word_embeddings=True,
        initializer_range=0.3,
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
            packed_logits(model, batch.tokens, batch.segments, at, **how)
            if fast
            else model(batch.tokens, segments=batch.segments, positions=how.get("positions")).flatten(0, 1)[
                at
            ]
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


@SETTINGS
@given(st.sampled_from(list(SHAPES)), LENGTHS, st.integers(0, 2**20))
def test_positions_that_skip_are_those_of_the_plain_module(shape, lengths, seed):
    """Catches positions that the fast pass counts itself: texts would be stretched for nobody."""
    generator = torch.Generator().manual_seed(seed)
    model, batch = drawn_model(shape, seed), drawn_batch(lengths, seed)
    skips = torch.randint(0, 9, batch.tokens.shape, generator=generator).cumsum(1)
    positions = batch.positions + skips
    assert largest_difference(model, batch, positions=positions) < 2e-5
    (stretched, _), (plain, _) = both(model, batch, positions=positions)[0], both(model, batch)[0]
    assert max(lengths) == (1, 1) or not torch.equal(stretched, plain)


BATCH = [(5, 9), (3, 20), (12, 17), (2, 2), (17, 3)]


def test_neighbours_that_are_seen_are_noticed(monkeypatch):
    """Catches a comparison that cannot fail: a text that sees the last token of its neighbour shows."""
    model, batch = drawn_model("tied", 1), drawn_batch(BATCH, 1)
    queries = spans._queries

    def shifted(firsts, seen):
        texts = queries(firsts, seen)
        return texts._replace(seen=np.roll(texts.seen, 1))

    monkeypatch.setattr(spans, "_queries", shifted)
    assert largest_difference(model, batch) > 1e-3


def mutant(folder, old: str, new: str):
    """The attention kernels with a line changed."""
    source = Path(attention.__file__).read_text()
    assert source.count(old) == 1
    path = folder / "mutant.py"
    path.write_text(source.replace(old, new))
    spec = importlib.util.spec_from_file_location("mutant", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_a_token_that_sees_the_next_one_is_noticed(monkeypatch, tmp_path):
    """Catches a mask that is off by one: training would look perfect, and sampling would fail."""
    place = "texts.firsts[text] + row // groups"
    twin = mutant(tmp_path, f"{place} + 1,", f"{place} + 2,")
    monkeypatch.setattr(packed_attention, "attend", twin.attend)
    monkeypatch.setattr(packed_attention, "attend_back", twin.attend_back)
    assert largest_difference(drawn_model("tied", 1), drawn_batch(BATCH, 1)) > 1e-3


def test_a_forgotten_rotation_on_the_way_back_is_noticed(monkeypatch):
    """Catches a gradient that is not turned back: logits stay right, training goes astray."""
    model, batch = drawn_model("tied", 2), drawn_batch(BATCH, 2)
    turn, calls = packed_layer._turn, []

    def forgetful(rows, turns):
        calls.append(1)
        # Each layer turns twice on the way forth; everything after that is the way back.
        turn(rows, turns if len(calls) <= forward_calls else torch.ones_like(turns))

    monkeypatch.setattr(packed_layer, "_turn", lambda *given: (calls.append(1), turn(*given))[1])
    with torch.no_grad():
        at = (batch.targets.flatten() != IGNORED).nonzero()[:, 0]
        packed_logits(model, batch.tokens, batch.segments, at)
    forward_calls = len(calls)
    calls.clear()
    monkeypatch.setattr(packed_layer, "_turn", forgetful)
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


@pytest.mark.slow
def test_a_prefix_that_learns_from_one_text_only_is_noticed(monkeypatch, tmp_path):
    """Catches gradients of a shared key that overwrite each other instead of adding up."""
    twin = mutant(tmp_path, "line[begin + d] += rows[key, d]", "line[begin + d] = rows[key, d]")
    monkeypatch.setattr(packed_attention, "attend_back", twin.attend_back)
    assert largest_difference(drawn_model("tied", 7), GROUP, share_prefixes=True) > 1e-3


LONG = ModelConfig(
    vocab_size=23,
    hidden_size=32,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=32,
    tie_word_embeddings=True,
    initializer_range=0.15,
    max_position_embeddings=400,
)


@pytest.mark.parametrize("share", [False, True])
def test_texts_longer_than_a_part(share: bool):
    """Catches a boundary between parts of the way back, or between vectors of keys, that loses a gradient."""
    generator = torch.Generator().manual_seed(8)
    text = torch.randint(1, 23, (300,), generator=generator).tolist()
    texts = [Example(text[:9], text[9:end]) for end in (300, 150, 77)]
    texts += [Example(text[:9], [*text[9:90], 3, *text[100:250]])]
    assert 150 * LONG.query_heads_per_kv_head > 2 * attention.PART
    batch = pack(sorted(texts, key=lambda one: (*one.prompt, *one.response)), 400)[0]
    model = Qwen2(LONG, generator=generator)
    assert largest_difference(model, batch, share_prefixes=share) < 5e-5


def test_threads_share_the_heads_and_change_no_bit():
    """Catches heads that two threads add to at once, or that none takes."""
    model, batch = drawn_model("tied", 9), drawn_batch(BATCH, 9)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            given = packed_attention.PackedAttention(*attention_of(model, batch))
            out = given.forward()
            found.append((out, *given.backward(torch.ones_like(out))))
    finally:
        torch.set_num_threads(before)
    assert found[0][0].abs().min() > 0
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def attention_of(model: Qwen2, batch):
    """Texts and random queries, keys and values of the heads of a model."""
    at = (batch.targets.flatten() != IGNORED).nonzero()[:, 0]
    reading = spans.plan_reading(batch.tokens, batch.segments, at)
    config, generator = model.config, torch.Generator().manual_seed(1)
    kv_heads, groups, dim = config.num_key_value_heads, config.query_heads_per_kv_head, config.head_dim
    query = torch.randn(reading.used, kv_heads * groups * dim, generator=generator)
    key_value = torch.randn(reading.used, 2 * kv_heads * dim, generator=generator)
    return reading.queries, query, key_value, kv_heads, groups


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
    at, short = torch.tensor([3]), batch.positions[:, :-1]
    with pytest.raises(K2ReproError, match="must be that of tokens"):
        packed_logits(model, batch.tokens, batch.segments, at, positions=short)
    with pytest.raises(K2ReproError, match="prefixes are not shared"):
        packed_logits(model, batch.tokens, batch.segments, at, positions=batch.positions, share_prefixes=True)


def test_other_weights_take_the_module():
    """Catches a fast way that is taken for 16-bit weights, whose sums it would round."""
    config = replace(SHAPES["tied"], num_hidden_layers=1)
    assert not fits_fused(Qwen2(config, dtype=torch.bfloat16))
