"""Before anything is timed: equality to the bit, on which the timed loop and its grown targets rest.

Logits are compared as bit patterns and counted. A tolerance would hide what matters here: two logits that are
nearly equal, in the other order, are another token.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from k2repro.architecture import Qwen2
from k2repro.fast import CompiledDecoder, RowDecoder, fold


def compiled_decoder(model: Qwen2, positions: int) -> CompiledDecoder:
    """One row of at most `positions` tokens."""
    return CompiledDecoder(model, fold(model), 1, positions)


def passes_that_differ(decoder: RowDecoder, prompt: Sequence[int], text: Sequence[int]) -> tuple[int, int]:
    """(logits that differ, compared) between passes over several tokens and steps of one token.

    Behind `prompt`, a pass over the first 1, 2 ... all tokens of `text`; and after each a step with the token
    that comes next, whose logits show whether the pass left the same keys and values.
    """
    _begin(decoder, prompt)
    steps = torch.stack([_step(decoder, token) for token in text])
    differ = compared = 0
    for many in range(1, len(text) + 1):
        decoder.cut(0, len(prompt))
        found = decoder.extend(0, text[:many])
        if many < len(text):
            found = torch.cat((found, _step(decoder, text[many])[None]))
        differ += bits_that_differ(found, steps[: len(found)])
        compared += found.numel()
    return differ, compared


def growth_that_differs(
    grown: RowDecoder, small: RowDecoder, prompt: Sequence[int], text: Sequence[int]
) -> tuple[int, int]:
    """(logits that differ, compared) between two models, behind a prompt and each token of `text`."""
    found = []
    for decoder in (grown, small):
        _begin(decoder, prompt)
        found.append(torch.cat((decoder.logits[:1].clone(), decoder.extend(0, text))))
    return bits_that_differ(*found), found[0].numel()


def bits_that_differ(one: Tensor, other: Tensor) -> int:
    """How many numbers of two float32 tensors of one shape have other bits."""
    return int((one.contiguous().view(torch.int32) != other.contiguous().view(torch.int32)).sum())


def _begin(decoder: RowDecoder, prompt: Sequence[int]) -> None:
    decoder.put(0, decoder.prefill([prompt])[0])


def _step(decoder: RowDecoder, token: int) -> Tensor:
    """Logits [V] after one more token."""
    decoder.step(torch.tensor([token]))
    return decoder.logits[0].clone()
