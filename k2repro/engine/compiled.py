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

from ..architecture.config import ModelConfig
from ..errors import K2ReproError
from .fused import PREFILL_TOKENS, _passes
from .kernels import ROW_MULTIPLE, decode
from .row_cache import round_up
from .rows import Prefix
from .weights import FusedWeights
from .workspace import Array, Workspace

Ints = NDArray[np.int64]
WIDTH_MULTIPLE = 4


def fits_compiled(config: ModelConfig) -> bool:
    """Whether the widths of a model suit the compiled products."""
    return all(width % WIDTH_MULTIPLE == 0 for width in _widths(config).values())


def _widths(config: ModelConfig) -> dict[str, int]:
    """What products sum over."""
    return {
        "hidden_size": config.hidden_size,
        "heads * head_dim": config.num_attention_heads * config.head_dim,
        "intermediate_size": config.intermediate_size,
    }


class CompiledDecoder:
    """weights: of `fuse`. rows, positions: size of the cache, allocated once.

    Raises K2ReproError for widths that are not multiples of 4, which the compiled products take together.
    """

    def __init__(self, weights: FusedWeights, rows: int, positions: int) -> None:
        config = weights.config
        for name, width in _widths(config).items():
            if width % WIDTH_MULTIPLE:
                raise K2ReproError(f"{name} = {width}: compiled products need multiples of {WIDTH_MULTIPLE}")
        self._config, self._epsilon = config, np.float32(config.rms_norm_eps)
        parts = ("qkv", "bias", "output", "gate_up", "down")
        # Line by line in memory: stacked views of transposed matrices would stay transposed.
        stacked = (np.stack([getattr(layer, part).numpy() for layer in weights.layers]) for part in parts)
        self._arrays = (
            weights.embedding, *map(np.ascontiguousarray, stacked), np.ascontiguousarray(weights.head.numpy())
        )
        rotation = weights.rotation(positions)
        self._turns = (np.ascontiguousarray(rotation.real), np.ascontiguousarray(rotation.imag))
        padded = round_up(rows, ROW_MULTIPLE)
        widest = max(positions, config.intermediate_size)
        self._scores, self._bits = np.zeros(widest, np.float32), np.zeros(widest, np.int32)
        self._work, self._reading = Workspace(config, padded), Workspace(config, PREFILL_TOKENS)
        self._keys, self._values = _cache(config, rows, positions)
        self._lengths, self._rows = np.zeros(rows, np.int64), np.arange(rows)
        self._padded_logits = np.zeros((padded, config.vocab_size), np.float32)
        self.logits = torch.from_numpy(self._padded_logits[:rows])

    def put(self, row: int, prefix: Prefix) -> None:
        length = prefix.length
        self._keys[:, row, :, :, :length] = prefix.keys.numpy().swapaxes(2, 3)
        self._values[:, row, :, :length] = prefix.values.numpy()
        self._lengths[row] = length
        self.logits[row] = prefix.logits

    def move(self, source: int, target: int) -> None:
        length = self._lengths[source]
        self._keys[:, target, :, :, :length] = self._keys[:, source, :, :, :length]
        self._values[:, target, :, :length] = self._values[:, source, :, :length]
        self._lengths[target] = length

    def step(self, tokens: Tensor) -> None:
        count = len(tokens)
        self._decode(self._work, tokens.numpy(), self._rows[:count], self._lengths[:count], self._keys,
                     self._values, self._padded_logits)
        self._lengths[:count] += 1

    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        return [prefix for part in _passes(prompts) for prefix in self._read(part)]

    def _read(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        """One pass over the tokens of several prompts, which are places of a cache of their own."""
        lengths = [len(prompt) for prompt in prompts]
        keys, values = _cache(self._config, len(prompts), max(lengths))
        filled = round_up(sum(lengths), ROW_MULTIPLE)
        if filled > len(self._reading.residual):
            self._reading = Workspace(self._config, filled)
        logits = np.empty((filled, self._config.vocab_size), np.float32)
        places = np.repeat(np.arange(len(prompts)), lengths)
        positions = np.concatenate([np.arange(length) for length in lengths])
        tokens = np.concatenate(prompts).astype(np.int64)
        self._decode(self._reading, tokens, places, positions, keys, values, logits)
        ends = np.cumsum(lengths) - 1
        return [
            Prefix(
                keys=torch.from_numpy(keys[:, at, :, :, :length].swapaxes(2, 3).copy()),
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
            tokens, places, positions, self._arrays, keys, values, self._turns, self._epsilon, buffers,
            logits[:filled],
        )


def _cache(config: ModelConfig, places: int, positions: int) -> tuple[Array, Array]:
    """Keys [layers, places, K, D, S] and values [layers, places, K, S, D], all zero."""
    outer, dim = (config.num_hidden_layers, places, config.num_key_value_heads), config.head_dim
    return np.zeros((*outer, dim, positions), np.float32), np.zeros((*outer, positions, dim), np.float32)
