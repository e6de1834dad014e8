"""The lean decoder and its kernels: numerically the Qwen2 decoder, whatever kernel streams."""

import warnings

import measure_checkpoint
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.architecture import ModelConfig, Qwen2
from k2repro.errors import K2ReproError
from k2repro.measure import decode
from k2repro.measure.decode import MeasuredDecoder
from k2repro.measure.matvec import BYTES_PER_WEIGHT, KERNELS, NoProduct, NumpyRows, find_kernel
from k2repro.measure.weights import random_matrices, random_weights
from k2repro.wafer.model.shapes import ModelShape

SETTINGS = settings(deadline=None, derandomize=True, max_examples=30)
ALL = [(precision, name) for precision, kernels in KERNELS.items() for name in kernels]


def tiny_model(tied, head_dim=16):
    config = ModelConfig(
        vocab_size=97,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head_dim,
        tie_word_embeddings=tied,
        rms_norm_eps=1e-5,
        rope_theta=1e4,
    )
    generator = torch.Generator().manual_seed(7)
    model = Qwen2(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return config, model


def both_logits(tied, kernel, head_dim=16):
    """(lean decoder, Qwen2) logits of the same 12 tokens, both shape (12, vocabulary)."""
    config, model = tiny_model(tied, head_dim)
    shape = ModelShape.from_config(config)
    tensors = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    decoder = MeasuredDecoder(
        shape,
        measure_checkpoint.checkpoint_weights(shape, tensors, kernel),
        max_context=12,
        rope_theta=config.rope_theta,
        norm_eps=config.rms_norm_eps,
    )
    tokens = np.random.default_rng(1).integers(0, 97, 12)
    lean = np.stack([decoder.step(int(token)).copy() for token in tokens])
    return lean, model(torch.from_numpy(tokens)[None])[0].detach().numpy()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("head_dim", [16, 24])
@pytest.mark.parametrize("name", KERNELS["fp32"])
def test_fp32_logits_are_those_of_qwen2(tied, head_dim, name):
    """Catches a decoder that is fast because it computes something else."""
    lean, reference = both_logits(tied, KERNELS["fp32"][name], head_dim)
    assert np.abs(lean - reference).max() < 1e-4 * np.abs(reference).max()


@pytest.mark.parametrize("name", KERNELS["bf16"])
def test_bf16_logits_differ_by_rounding_only(name):
    """Catches bf16 kernels that accumulate in bf16 or mix up panels."""
    lean, reference = both_logits(False, KERNELS["bf16"][name])
    assert np.abs(lean - reference).max() < 0.02 * np.abs(reference).max()


def unpaired(rows, head_dim):
    return rows


def neighbours(rows, head_dim):
    """Pairs 2i and 2i + 1 instead of i and i + head_dim / 2."""
    heads = rows.reshape(-1, head_dim // 2, 2, *rows.shape[1:])
    return np.ascontiguousarray(heads.swapaxes(1, 2)).reshape(rows.shape)


@pytest.mark.parametrize("mutant", [unpaired, neighbours])
def test_a_wrong_rotary_pairing_is_seen(mutant, monkeypatch):
    """Catches a comparison that passes although positions are rotated in wrong pairs."""
    monkeypatch.setattr(measure_checkpoint, "paired", mutant)
    lean, reference = both_logits(True, NumpyRows)
    assert np.abs(lean[1:] - reference[1:]).max() > 1e-2 * np.abs(reference).max()


def test_an_unscaled_score_is_seen(monkeypatch):
    """Catches a comparison that passes although attention scores are not divided."""
    original = MeasuredDecoder.__init__

    def unscaled(self, *args, **options):
        original(self, *args, **options)
        self._score_scale = np.float32(1.0)

    monkeypatch.setattr(decode.MeasuredDecoder, "__init__", unscaled)
    lean, reference = both_logits(True, NumpyRows)
    assert np.abs(lean - reference).max() > 1e-3 * np.abs(reference).max()


@SETTINGS
@given(st.sampled_from(ALL), st.integers(1, 300), st.integers(1, 200), st.integers(0, 5))
def test_every_kernel_multiplies(kernel, rows, columns, seed):
    """Catches padding, panel and transposition errors at sizes that are no multiple of anything."""
    precision, name = kernel
    generator = np.random.default_rng(seed)
    weight = generator.standard_normal((rows, columns), dtype=np.float32)
    x = generator.standard_normal(columns, dtype=np.float32)
    product = find_kernel(precision, name)(weight)
    result = product(x)
    size = np.abs(weight) @ np.abs(x)
    assert result.shape == (rows,)
    assert (np.abs(result - weight @ x) <= size * (1e-5 if precision == "fp32" else 0.012)).all()
    assert product.read_bytes == BYTES_PER_WEIGHT[precision] * rows * columns


def test_a_kernel_leaves_its_weights_alone():
    """Catches an in-place update of the result that reaches a stored matrix."""
    weight = np.random.default_rng(0).standard_normal((40, 30), dtype=np.float32)
    x = np.ones(30, np.float32)
    for precision, name in ALL:
        product = find_kernel(precision, name)(weight)
        first = product(x).copy()
        product(x)[:] += 5.0
        assert (product(x) == first).all()


def test_unknown_kernels_are_named():
    """Catches a misspelt kernel that falls back to another one."""
    with pytest.raises(K2ReproError, match="numpy-rows"):
        find_kernel("fp32", "numpy-row")
    with pytest.raises(K2ReproError, match="fp16"):
        find_kernel("fp16", "numpy-rows")


@pytest.mark.parametrize("size", [-40.0, 40.0])
def test_extreme_gates_do_not_warn_or_turn_into_nan(size):
    """Catches exp overflow in silu, which floods a user's terminal or ends in nan."""
    shape = ModelShape("tiny", 1, 32, 2, 1, 16, 48, 50)
    decoder = MeasuredDecoder(
        shape,
        random_weights(shape, NumpyRows, lambda rows, columns: np.full((rows, columns), size, np.float32)),
        max_context=4,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(decoder.step(0)).all()


def test_a_full_cache_and_a_strange_token_are_errors():
    """Catches writing beyond the cache and a negative token that wraps around."""
    shape = ModelShape("tiny", 1, 32, 2, 1, 16, 48, 50)
    decoder = MeasuredDecoder(
        shape, random_weights(shape, NoProduct, random_matrices(np.random.default_rng(0))), max_context=2
    )
    decoder.step(0)
    for token in (-1, 50):
        with pytest.raises(K2ReproError, match="outside the vocabulary"):
            decoder.step(token)
    decoder.step(1)
    with pytest.raises(K2ReproError, match="larger max_context"):
        decoder.step(2)
    with pytest.raises(K2ReproError, match="outside 0 .. 1"):
        decoder.move_to(2)


def test_random_weights_have_their_own_memory():
    """Catches matrices that share pages: a decode would then read them from cache."""
    shape = ModelShape("tiny", 3, 64, 4, 2, 16, 160, 97)
    found = random_weights(shape, NumpyRows, random_matrices(np.random.default_rng(0)))
    arrays = [
        getattr(layer, part)._weight
        for layer in found.layers
        for part in ("qkv", "output", "gate_up", "down")
    ]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    read = sum(array.nbytes for array in arrays) + found.head.read_bytes
    assert read == 4 * shape.decode_parameters
