"""Logits equal those of transformers.Qwen2ForCausalLM, and the comparison notices wrong decoders."""

import architecture_tiny as tiny
import pytest
import torch
from torch.nn import functional as F

from k2repro.architecture import KVCache, qwen2

GRID = [(tied, ratio, theta) for tied in (False, True) for ratio in (1, 2, 5, 7) for theta in (1e4, 1e6)]
grid = pytest.mark.parametrize(("tied", "ratio", "theta"), GRID)


def models(tied=False, ratio=2, theta=1e6, **changes):
    config = tiny.tiny_config(ratio=ratio, tie_word_embeddings=tied, rope_theta=theta, **changes)
    ours = tiny.random_model(config)
    return ours, tiny.reference(ours)


@grid
@torch.no_grad()
def test_full_pass_equals_transformers(tied, ratio, theta):
    """Catches any wrong step of the decoder on unpadded rows without a cache."""
    ours, theirs = models(tied, ratio, theta)
    tokens = tiny.random_tokens(3, 17)
    assert tiny.relative_difference(ours(tokens), theirs(tokens).logits) <= tiny.TOLERANCE


@grid
@torch.no_grad()
def test_cached_decoding_equals_transformers(tied, ratio, theta):
    """Catches a cache that mixes heads, layers or positions while decoding token by token."""
    ours, theirs = models(tied, ratio, theta)
    tokens = tiny.random_tokens(2, 12)
    cache = KVCache(ours.config, 2, 12)
    parts = [ours(tokens[:, :5], cache=cache)] + [
        ours(tokens[:, i : i + 1], cache=cache) for i in range(5, 12)
    ]
    output, expected = None, []
    for part in tokens.split([5] + [1] * 7, dim=1):
        past = None if output is None else output.past_key_values
        output = theirs(part, past_key_values=past, use_cache=True)
        expected.append(output.logits)
    assert tiny.relative_difference(torch.cat(parts, 1), torch.cat(expected, 1)) <= tiny.TOLERANCE


@grid
@pytest.mark.parametrize("side", ["left", "right"])
@torch.no_grad()
def test_padded_rows_equal_transformers(tied, ratio, theta, side):
    """Catches padding that is attended to or that shifts the positions of real tokens."""
    ours, theirs = models(tied, ratio, theta)
    tokens = tiny.random_tokens(3, 14)
    lengths = torch.tensor([14, 9, 1])[:, None]
    places = torch.arange(14)
    mask = (places < lengths) if side == "right" else (places >= 14 - lengths)
    positions = (mask.long().cumsum(1) - 1).clamp(min=0)
    expected = theirs(tokens, attention_mask=mask.long(), position_ids=positions).logits
    assert tiny.relative_difference(ours(tokens, attention_mask=mask)[mask], expected[mask]) <= tiny.TOLERANCE


@grid
@torch.no_grad()
def test_left_padded_generation_equals_transformers(tied, ratio, theta):
    """Catches a batch of unequal prompts whose rows leak into each other once decoding starts."""
    ours, theirs = models(tied, ratio, theta)
    tokens, extra = tiny.random_tokens(2, 8), tiny.random_tokens(2, 4, seed=2)
    mask = torch.arange(8) >= torch.tensor([0, 5])[:, None]
    cache = KVCache(ours.config, 2, 12)
    parts = [ours(tokens, cache=cache, attention_mask=mask)[:, -1:]]
    parts += [ours(token, cache=cache) for token in extra.split(1, dim=1)]
    whole = torch.cat((mask, torch.ones(2, 4, dtype=torch.bool)), dim=1)
    positions = (whole.long().cumsum(1) - 1).clamp(min=0)
    expected = theirs(torch.cat((tokens, extra), 1), attention_mask=whole.long(), position_ids=positions)
    assert tiny.relative_difference(torch.cat(parts, 1), expected.logits[:, 7:]) <= tiny.TOLERANCE


@torch.no_grad()
def test_explicit_head_dim_equals_transformers():
    """Catches code that derives head_dim from hidden_size although the config states another."""
    ours, theirs = models(head_dim=16)
    tokens = tiny.random_tokens(2, 9)
    assert ours.model.layers[0].self_attn.q_proj.weight.shape == (64, 32)
    assert tiny.relative_difference(ours(tokens), theirs(tokens).logits) <= tiny.TOLERANCE


def test_gradients_equal_transformers():
    """Catches a forward pass that is right and a backward pass that is not (a detached branch)."""
    ours, theirs = models(tied=True)
    tokens = tiny.random_tokens(2, 9)
    for logits in (ours(tokens), theirs(tokens).logits):
        F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).backward()
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert tiny.relative_difference(parameter.grad, expected[name].grad) <= 1e-4, name


# Wrong twins: each is a decoder someone once shipped; the comparison above must notice it.


def interleaved_rotate(heads, cosine, sine):
    turned = torch.stack((-heads[..., 1::2], heads[..., ::2]), dim=-1).flatten(-2)
    half = cosine.shape[-1] // 2
    cosine, sine = (part[..., :half].repeat_interleave(2, dim=-1) for part in (cosine, sine))
    return heads * cosine + turned * sine


def tiled_attention(query, key, value, mask=None, *, is_causal=False, enable_gqa=False, **rest):
    groups = query.shape[1] // key.shape[1]
    tile = (1, groups, 1, 1)
    return ATTENTION(query, key.repeat(tile), value.repeat(tile), mask, is_causal=is_causal)


ATTENTION = F.scaled_dot_product_attention


@torch.no_grad()
def mutate(mutant, ours, monkeypatch):
    """Break `ours` in one way."""
    attention = ours.model.layers[0].self_attn
    if mutant.startswith("no bias on "):
        attention.get_submodule(f"{mutant[-1]}_proj").bias.zero_()
    elif mutant == "rotary pairs interleaved":
        monkeypatch.setattr(qwen2, "rotate", interleaved_rotate)
    elif mutant == "KV heads repeated in the wrong order":
        monkeypatch.setattr(F, "scaled_dot_product_attention", tiled_attention)
    elif mutant == "rotary base 1e4 for 1e6":
        ours.frequencies = ours.frequencies.pow(4 / 6)
    elif mutant == "norm without epsilon":
        ours.model.norm.epsilon = 0.0
        ours.model.layers[0].input_layernorm.epsilon = 0.0
    elif mutant == "head tied although the config unties it":
        ours.lm_head.weight = ours.model.embed_tokens.weight
    elif mutant == "no causal mask":
        monkeypatch.setattr(qwen2, "_visible", lambda slots, cache, real: (None, False))
    elif mutant == "one head's scale forgotten":
        attention.q_proj.weight[:8] *= attention.head_dim**0.5
    else:
        raise AssertionError(mutant)


@pytest.mark.parametrize(
    "mutant",
    [
        "no bias on q",
        "no bias on k",
        "no bias on v",
        "rotary pairs interleaved",
        "KV heads repeated in the wrong order",
        "rotary base 1e4 for 1e6",
        "norm without epsilon",
        "head tied although the config unties it",
        "no causal mask",
        "one head's scale forgotten",
    ],
)
@torch.no_grad()
def test_comparison_notices_a_wrong_decoder(mutant, monkeypatch):
    """Catches a parity check too weak to see a decoder that is wrong in one place."""
    ours, theirs = models(ratio=5, rms_norm_eps=1e-4)
    tokens = tiny.random_tokens(2, 17)
    expected = theirs(tokens).logits
    assert tiny.relative_difference(ours(tokens), expected) <= tiny.TOLERANCE
    mutate(mutant, ours, monkeypatch)
    assert tiny.relative_difference(ours(tokens), expected) > 100 * tiny.TOLERANCE


@torch.no_grad()
def test_comparison_notices_ignored_padding():
    """Catches a padded comparison that would also pass for a decoder that attends to padding."""
    ours, theirs = models()
    tokens = tiny.random_tokens(1, 9)
    mask = torch.arange(9)[None] >= 3
    positions = (mask.long().cumsum(1) - 1).clamp(min=0)
    expected = theirs(tokens, attention_mask=mask.long(), position_ids=positions).logits
    wrong = ours(tokens, positions=positions)
    assert tiny.relative_difference(wrong[mask], expected[mask]) > 100 * tiny.TOLERANCE
