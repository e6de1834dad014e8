"""The decoder used in pieces: KV cache, packed rows, chosen logits, seeds."""

import architecture_tiny as tiny
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.architecture import KVCache, Qwen2, init_weights
from k2repro.errors import K2ReproError

MODEL = tiny.random_model(tiny.tiny_config(ratio=5))


def close(ours, theirs):
    return tiny.relative_difference(ours, theirs) <= tiny.TOLERANCE


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(1, 3))
@settings(deadline=None, derandomize=True, max_examples=40)
@torch.no_grad()
def test_any_split_equals_one_pass(parts, batch):
    """Catches a cache that is right for one-token steps and wrong for chunks (speculative decoding)."""
    length = sum(parts)
    tokens = tiny.random_tokens(batch, length)
    cache = KVCache(MODEL.config, batch, length)
    pieces = torch.cat([MODEL(part, cache=cache) for part in tokens.split(parts, dim=1)], dim=1)
    assert close(pieces, MODEL(tokens))
    assert cache.lengths.tolist() == [length] * batch


@given(
    st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=3),
    st.integers(1, 3),
    st.data(),
)
@settings(deadline=None, derandomize=True, max_examples=40)
@torch.no_grad()
def test_padding_anywhere_changes_nothing(masks, steps, data):
    """Catches rows of unequal length that disturb each other, wherever the padding lies."""
    real = torch.tensor(masks)
    real[:, data.draw(st.integers(0, 5))] = True
    batch = real.shape[0]
    tokens, extra = tiny.random_tokens(batch, 6), tiny.random_tokens(batch, steps, seed=3)
    cache = KVCache(MODEL.config, batch, 6 + steps)
    first = MODEL(tokens, cache=cache, attention_mask=real)
    later = [MODEL(token, cache=cache) for token in extra.split(1, dim=1)]
    for row in range(batch):
        alone = torch.cat((tokens[row, real[row]], extra[row]))[None]
        expected = MODEL(alone)[0]
        got = torch.cat([first[row, real[row]], *[step[row] for step in later]])
        assert close(got, expected)


@torch.no_grad()
def test_finished_rows_can_stand_still():
    """Catches a batch in which a finished row still grows and shifts its later tokens."""
    tokens = tiny.random_tokens(2, 4)
    cache = KVCache(MODEL.config, 2, 9)
    MODEL(tokens, cache=cache)
    step = tiny.random_tokens(2, 1, seed=5)
    MODEL(step, cache=cache, attention_mask=torch.tensor([[1], [0]]))
    last = MODEL(step, cache=cache)
    assert cache.lengths.tolist() == [6, 5]
    assert close(last[1:], MODEL(torch.cat((tokens, step), 1)[1:])[:, -1:])


@given(st.integers(0, 6), st.integers(0, 6))
@settings(deadline=None, derandomize=True, max_examples=25)
@torch.no_grad()
def test_truncated_cache_forgets(first, second):
    """Catches rejected speculative tokens that are still attended to, in rows of unequal length too."""
    tokens, extra = tiny.random_tokens(2, 6), tiny.random_tokens(2, 2, seed=4)
    cache = KVCache(MODEL.config, 2, 8)
    MODEL(tokens, cache=cache)
    cache.truncate(torch.tensor([first, second]))
    after = MODEL(extra, cache=cache)
    for row, kept in enumerate((first, second)):
        alone = torch.cat((tokens[row, :kept], extra[row]))[None]
        assert close(after[row], MODEL(alone)[0, kept:])


@torch.no_grad()
def test_selected_rows_are_independent():
    """Catches best-of-N samples that share one cache and overwrite each other."""
    tokens = tiny.random_tokens(2, 4)
    cache = KVCache(MODEL.config, 2, 6)
    MODEL(tokens, cache=cache)
    fan = cache.select(torch.tensor([1, 1, 0]))
    nexts = torch.tensor([[3], [9], [3]])
    got = MODEL(nexts, cache=fan)
    expected = MODEL(torch.cat((tokens[[1, 1, 0]], nexts), dim=1))[:, -1:]
    assert close(got, expected)
    assert cache.lengths.tolist() == [4, 4]
    assert not cache.keys[:, :, :, 4:].any()


@torch.no_grad()
def test_packed_texts_do_not_see_each_other():
    """Catches packing without boundaries: neighbours leak, and positions run on."""
    texts = [tiny.random_tokens(1, length, seed=length) for length in (3, 5, 2)]
    row = torch.cat(texts, dim=1)
    # Numbers may repeat: it is the change that starts a text.
    segments = torch.tensor([[7] * 3 + [8] * 5 + [7] * 2])
    packed = MODEL(row, segments=segments)
    alone = torch.cat([MODEL(text) for text in texts], dim=1)
    assert close(packed, alone)
    assert not close(MODEL(row), alone)


@torch.no_grad()
def test_chosen_logits_are_those_of_the_full_pass():
    """Catches logits taken at another row's index."""
    tokens = tiny.random_tokens(3, 7)
    index = torch.tensor([[6, 0], [2, 2], [5, 1]])
    chosen = MODEL(tokens, logits_at=index)
    assert close(chosen, MODEL(tokens)[torch.arange(3)[:, None], index])


@torch.no_grad()
def test_shifted_positions_leave_logits_unchanged():
    """Catches an absolute position leaking in: rotary attention depends on distances only."""
    tokens = tiny.random_tokens(1, 7)
    shifted = MODEL(tokens, positions=torch.arange(50, 57)[None])
    assert tiny.relative_difference(shifted, MODEL(tokens)) <= 1e-4


def test_cached_pass_has_no_gradient():
    """Catches training through a cache, whose stored keys would have lost their gradient."""
    tokens = tiny.random_tokens(1, 3)
    assert MODEL(tokens).requires_grad
    assert not MODEL(tokens, cache=KVCache(MODEL.config, 1, 3)).requires_grad


def test_full_cache_is_refused():
    """Catches writing past the end, which would drop the newest tokens."""
    cache = KVCache(MODEL.config, 1, 5)
    MODEL(tiny.random_tokens(1, 4), cache=cache)
    with pytest.raises(K2ReproError, match="holds 4 of 5 tokens and 2 more"):
        MODEL(tiny.random_tokens(1, 2), cache=cache)
    assert cache.lengths.tolist() == [4]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"attention_mask": torch.ones(2, 5)}, "attention_mask has shape"),
        ({"segments": torch.ones(2, 3)}, "segments has shape"),
        ({"segments": torch.ones(2, 4), "attention_mask": torch.ones(2, 4)}, "neither"),
        ({"cache": KVCache(MODEL.config, 3, 9)}, "the cache has 3 rows"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(arguments, words):
    """Catches shapes that broadcasting would accept with another meaning."""
    with pytest.raises(K2ReproError, match=words):
        MODEL(tiny.random_tokens(2, 4), **arguments)


def test_truncate_cannot_lengthen():
    """Catches a rollback that declares garbage slots valid."""
    with pytest.raises(K2ReproError, match="cannot keep"):
        KVCache(MODEL.config, 1, 5).truncate(1)


def test_building_leaves_the_global_random_state_alone():
    """Catches hidden randomness: building a model must not change what is drawn afterwards."""
    before = torch.get_rng_state()
    Qwen2(tiny.tiny_config())
    assert torch.equal(before, torch.get_rng_state())


def test_one_seed_gives_one_model():
    """Catches weights that depend on anything but the generator."""
    config = tiny.tiny_config(tie_word_embeddings=True)
    first, second, other = (Qwen2(config, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_initial_weights_are_as_released():
    """Catches torch's default initialisation, which is not Qwen2's."""
    config = tiny.tiny_config(ratio=7, initializer_range=0.05)
    model = Qwen2(config)
    init_weights(model, torch.Generator().manual_seed(3))
    attention = model.model.layers[1].self_attn
    assert attention.q_proj.weight.std().item() == pytest.approx(0.05, rel=0.05)
    assert not attention.k_proj.bias.any()
    assert torch.equal(model.model.norm.weight, torch.ones(config.hidden_size))


def test_tied_head_stays_tied_when_moved():
    """Catches `.to(...)` and `to_empty` giving head and embedding separate copies."""
    model = Qwen2(tiny.tiny_config(tie_word_embeddings=True), device="meta")
    model.to_empty(device="cpu")
    assert model.lm_head.weight is model.model.embed_tokens.weight
    model.to(torch.bfloat16)
    assert model.lm_head.weight is model.model.embed_tokens.weight
