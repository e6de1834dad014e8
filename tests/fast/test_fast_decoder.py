"""Catches: a compiled step that differs from the module, or from itself on another processor."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import engine_tiny
import pytest
import torch
from engine_tiny import config, model, prompts

from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine.eager import EagerDecoder
from k2repro.fast.decoder import CompiledDecoder
from k2repro.fast.folding import fold

STEPS = 6
DIGEST = Path(__file__).with_name("fast_digest.py")


def logits_of(decoder: CompiledDecoder | EagerDecoder, lengths: list[int]) -> torch.Tensor:
    """Logits [steps, rows, vocabulary] of fixed tokens after prompts."""
    rows = len(lengths)
    for row, prefix in enumerate(decoder.prefill(prompts(lengths))):
        decoder.put(row, prefix)
    found = []
    for step in range(STEPS):
        decoder.step(torch.arange(rows) * 7 % 50 + step)
        found.append(decoder.logits[:rows].clone())
    return torch.stack(found)


def compiled(made: Qwen2, rows: int) -> CompiledDecoder:
    return CompiledDecoder(made, fold(made), rows, 64)


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_it_agrees_with_the_module(groups: int):
    """Catches rotation, grouped heads, bias, cache or gate that the compiled step gets wrong."""
    made = model(config(groups=groups))
    lengths = [3, 11, 7, 30, 5]
    mine = logits_of(compiled(made, 5), lengths)
    theirs = logits_of(EagerDecoder(made, 5, 64), lengths)
    assert torch.allclose(mine, theirs, atol=2e-5 * float(theirs.abs().max()))
    # A wrong twin: another token at one place is seen.
    assert not torch.allclose(mine[1], mine[2], atol=1e-2)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 6])
def test_a_row_does_not_notice_its_neighbours(rows: int):
    """Catches sums whose order depends on how many rows there are, or how far the longest has come."""
    made = model(config())
    lengths = [9, 31, 4, 17, 26, 12][:rows]
    together = logits_of(compiled(made, 8), lengths)
    alone = logits_of(compiled(made, 1), lengths[:1])
    assert torch.equal(together[:, 0], alone[:, 0])


def test_reading_and_decoding_agree_to_the_bit():
    """Catches a prompt whose tokens see later ones, or another prompt's, when several are read at once."""
    made = model(config())
    whole = prompts([13, 6, 22])
    decoder = compiled(made, 3)
    for row, prefix in enumerate(decoder.prefill([prompt[:-1] for prompt in whole])):
        decoder.put(row, prefix)
    decoder.step(torch.tensor([prompt[-1] for prompt in whole]))
    read = [prefix.logits for prefix in compiled(made, 1).prefill(whole)]
    assert torch.equal(decoder.logits[:3], torch.stack(read))


def test_weights_that_diverged_are_not_hidden():
    """Catches a NaN that a maximum or a clamp swallows: the sampler must be able to refuse it."""
    made = model(config())
    with torch.no_grad():
        made.model.layers[0].self_attn.k_proj.weight[0, 0] = float("nan")
    decoder = compiled(made, 1)
    assert logits_of(decoder, [5])[-1].isnan().any()


@pytest.mark.parametrize("width", [33, 42, 48])
def test_widths_that_fill_no_vector(width: int):
    """Catches a product or a gate that reads past the end of a row, or leaves its last numbers out."""
    made = model(config(intermediate_size=width, hidden_size=width - 10))
    lengths = [3, 17, 6]
    mine, theirs = logits_of(compiled(made, 3), lengths), logits_of(EagerDecoder(made, 3, 64), lengths)
    assert torch.allclose(mine, theirs, atol=2e-5 * float(theirs.abs().max()))


def test_heads_of_whole_vectors():
    """Catches what only heads as wide as a vector or two would show."""
    made = model(config(head_dim=32, num_key_value_heads=1), scale=0.1)
    lengths = [3, 37, 6, 16, 15]
    mine, theirs = logits_of(compiled(made, 5), lengths), logits_of(EagerDecoder(made, 5, 64), lengths)
    assert torch.allclose(mine, theirs, atol=2e-5 * float(theirs.abs().max()))


def digest(folder: Path, processor: str) -> str:
    """Of the logits of another process, with code compiled for `processor`; its cache is empty at first."""
    target = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""} if processor else {}
    path = str(Path(engine_tiny.__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((path, os.environ.get("PYTHONPATH", "")))}
    environment |= {"NUMBA_CACHE_DIR": str(folder / processor)} | target
    done = subprocess.run(
        [sys.executable, str(DIGEST)], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names processors of this family")
def test_bits_do_not_depend_on_the_processor_or_on_the_cache(tmp_path: Path):
    """Catches sums that the compiler orders or fuses as it likes: other vectors, other tokens.

    With `fastmath` the code read from the cache gave other bits than the same code newly compiled.
    """
    here = digest(tmp_path, "")
    assert len(here) == 64
    assert digest(tmp_path, "") == here
    # Without an instruction for a fused product and sum, and with vectors of 4 instead of 16.
    assert digest(tmp_path, "x86-64") == here


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("many", [*range(1, 18), 31, 32])
def test_several_tokens_in_one_pass_have_the_bits_of_one_each(groups: int, many: int):
    """Catches a batched check of a draft that rounds otherwise: a likeliest token could change."""
    made = model(config(groups=groups))
    start, tokens = prompts([19])[0], prompts([many], seed=many)[0]
    one, all_at_once = compiled(made, 2), compiled(made, 2)
    for decoder in (one, all_at_once):
        decoder.put(0, decoder.prefill([start])[0])
    found = []
    for token in tokens:
        one.step(torch.tensor([token]))
        found.append(one.logits[0].clone())
    assert torch.equal(all_at_once.extend(0, tokens), torch.stack(found))


@pytest.mark.parametrize("kind", [compiled, lambda made, rows: EagerDecoder(made, rows, 64)])
def test_a_row_that_is_cut_goes_on_as_if_nothing_had_been(kind):
    """Catches keys of tokens that were taken back and are still seen, or a cut of another row."""
    made = model(config())
    decoder = kind(made, 2)
    for row, prefix in enumerate(decoder.prefill(prompts([9, 14]))):
        decoder.put(row, prefix)
    wanted = decoder.extend(1, [3, 4, 5]).clone()
    decoder.cut(1, 15)
    decoder.extend(1, [7, 8, 9, 10])
    decoder.cut(1, 15)
    assert torch.allclose(decoder.extend(1, [4, 5]), wanted[1:], atol=1e-4)
    decoder.cut(1, 16)
    # A wrong twin: cut one too late, the token before is another one.
    assert not torch.allclose(decoder.extend(1, [4, 5]), wanted[1:], atol=1e-2)
