"""The decoder whose step is one compiled function: what `fused.py` does, without a call a layer.

A prompt is read by the same function, its tokens as rows, so that reading and decoding agree to the bit. Not
used by `Sampler` yet: its logits differ from those of `fused.py` in the last bit, and with them every
sample, so it comes with artifacts that are made anew.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import K2ReproError
from .fused import FusedDecoder
from .kernels import ROW_MULTIPLE, decode
from .row_cache import round_up
from .rows import Prefix
from .weights import FusedWeights
from .workspace import Array, Workspace

Ints = NDArray[np.int64]
WIDTH_MULTIPLE = 4


class CompiledDecoder(FusedDecoder):
    """As FusedDecoder, which see.

    Raises K2ReproError for widths that are not multiples of 4, which the compiled products take together.
    """

    def __init__(self, weights: FusedWeights, rows: int, positions: int) -> None:
        super().__init__(weights, rows, positions)
        config = weights.config
        queries = config.num_attention_heads * config.head_dim
        for name, width in (("hidden_size", config.hidden_size), ("heads * head_dim", queries),
                            ("intermediate_size", config.intermediate_size)):
            if width % WIDTH_MULTIPLE:
                raise K2ReproError(f"{name} = {width}: compiled products need multiples of {WIDTH_MULTIPLE}")
        parts = ("qkv", "bias", "output", "gate_up", "down")
        # Line by line in memory: stacked views of transposed matrices would stay transposed.
        stacked = (np.stack([getattr(layer, part).numpy() for layer in weights.layers]) for part in parts)
        self._arrays = (
            weights.embedding, *map(np.ascontiguousarray, stacked), np.ascontiguousarray(weights.head.numpy())
        )
        self._turns = (np.ascontiguousarray(self._rotation.real), np.ascontiguousarray(self._rotation.imag))
        widest = max(round_up(positions, ROW_MULTIPLE), config.intermediate_size)
        self._scores, self._bits = np.zeros(widest, np.float32), np.zeros(widest, np.int32)

    @torch.no_grad()
    def step(self, tokens: Tensor) -> None:
        rows, positions, _ = self._cache.extend(len(tokens))
        self._decode(self._work, tokens.numpy(), rows, positions, self._cache.keys, self._cache.values,
                     self._padded_logits.numpy())

    def _read(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        """One pass over the tokens of several prompts, which are places of a cache of their own."""
        config, lengths = self._weights.config, [len(prompt) for prompt in prompts]
        shape = (config.num_hidden_layers, len(prompts), config.num_key_value_heads, max(lengths),
                 config.head_dim)
        keys, values = np.empty(shape, np.float32), np.empty(shape, np.float32)
        filled = round_up(sum(lengths), ROW_MULTIPLE)
        if filled > len(self._reading.residual):
            self._reading = Workspace(config, filled)
        logits = np.empty((filled, config.vocab_size), np.float32)
        places = np.repeat(np.arange(len(prompts)), lengths)
        positions = np.concatenate([np.arange(length) for length in lengths])
        tokens = np.concatenate(prompts).astype(np.int64)
        self._decode(self._reading, tokens, places, positions, keys, values, logits)
        ends = np.cumsum(lengths) - 1
        return [
            Prefix(
                keys=torch.from_numpy(keys[:, at, :, :length].copy()),
                values=torch.from_numpy(values[:, at, :, :length].copy()),
                logits=torch.from_numpy(logits[end].copy()),
            )
            for at, (length, end) in enumerate(zip(lengths, ends, strict=True))
        ]

    def _decode(
        self, work: Workspace, tokens: Ints, places: Ints, positions: Ints, keys: Array, values: Array,
        logits: Array,
    ) -> None:
        filled = round_up(len(tokens), ROW_MULTIPLE)
        buffers = (
            work.residual[:filled], work.normed[:filled], work.qkv[:filled], work.mixed[:filled],
            work.gate_up[:filled], work.product[:filled], self._scores, self._bits,
        )
        decode(
            tokens, places, positions, self._arrays, keys, values, self._turns,
            np.float32(self._weights.config.rms_norm_eps), buffers, logits[:filled],
        )
