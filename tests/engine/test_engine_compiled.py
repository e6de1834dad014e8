"""Catches: a compiled step that differs from the one that is checked against transformers."""

import numpy as np
import pytest
import torch
from engine_tiny import config, model, prompts
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.engine import kernels
from k2repro.engine.compiled import CompiledDecoder
from k2repro.engine.fused import FusedDecoder
from k2repro.engine.weights import fuse
from k2repro.errors import K2ReproError

STEPS = 6


def logits_of(decoder: CompiledDecoder | FusedDecoder, lengths: list[int]) -> torch.Tensor:
    """Logits [steps, rows, vocabulary] of fixed tokens after prompts."""
    rows = len(lengths)
    for row, prefix in enumerate(decoder.prefill(prompts(lengths))):
        decoder.put(row, prefix)
    found = []
    for step in range(STEPS):
        decoder.step(torch.arange(rows) * 7 % 50 + step)
        found.append(decoder.logits[:rows].clone())
    return torch.stack(found)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_it_agrees_with_the_decoder_of_many_calls(groups: int):
    """Catches rotation, grouped heads, bias, cache or gate that the compiled step gets wrong."""
    weights = fuse(model(config(groups=groups)))
    lengths = [3, 11, 7, 30, 5]
    mine, theirs = (logits_of(kind(weights, 5, 64), lengths) for kind in (CompiledDecoder, FusedDecoder))
    assert torch.allclose(mine, theirs, atol=2e-5 * float(theirs.abs().max()))
    # A wrong twin: another token at one place is seen.
    assert not torch.allclose(mine[1], mine[2], atol=1e-2)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6])
def test_a_row_does_not_notice_its_neighbours(rows: int):
    """Catches sums whose order depends on how many rows there are, or how far the longest has come."""
    weights = fuse(model(config()))
    lengths = [9, 31, 4, 17, 26, 12][:rows]
    together = logits_of(CompiledDecoder(weights, 8, 64), lengths)
    alone = logits_of(CompiledDecoder(weights, 1, 64), lengths[:1])
    assert torch.equal(together[:, 0], alone[:, 0])


def test_reading_and_decoding_agree_to_the_bit():
    """Catches a prompt whose tokens see later ones, or another prompt's, when several are read at once."""
    weights = fuse(model(config()))
    whole = prompts([13, 6, 22])
    decoder = CompiledDecoder(weights, 3, 64)
    for row, prefix in enumerate(decoder.prefill([prompt[:-1] for prompt in whole])):
        decoder.put(row, prefix)
    decoder.step(torch.tensor([prompt[-1] for prompt in whole]))
    read = [prefix.logits for prefix in CompiledDecoder(weights, 1, 64).prefill(whole)]
    assert torch.equal(decoder.logits[:3], torch.stack(read))


def test_weights_that_diverged_are_not_hidden():
    """Catches a NaN that a maximum or a clamp swallows: the sampler must be able to refuse it."""
    made = model(config())
    with torch.no_grad():
        made.model.layers[0].self_attn.k_proj.weight[0, 0] = float("nan")
    decoder = CompiledDecoder(fuse(made), 1, 64)
    assert logits_of(decoder, [5])[-1].isnan().any()


@settings(derandomize=True, max_examples=50, deadline=None)
@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=40))
def test_exponentials_are_those_of_numpy(values: list[float]):
    """Catches a polynomial or exponent that is off, and overflow to infinity or a negative number."""
    x = np.array(values, np.float32)
    found = x.copy()
    kernels.exponentials(found, np.zeros(len(x), np.int32))
    exact = np.exp2(np.clip(x.astype(np.float64) * np.log2(np.e), -126, 126))
    # The argument itself carries half a unit in the last place, which e^x magnifies by |x|.
    assert np.allclose(found, exact, rtol=1e-6 + 1.2e-7 * float(np.abs(x).max()))


def test_widths_that_cannot_be_taken_by_four_are_refused():
    """Catches a product that reads past the end of a row."""
    odd = config(intermediate_size=42)
    with pytest.raises(K2ReproError, match="intermediate_size = 42"):
        CompiledDecoder(fuse(model(odd)), 2, 32)
