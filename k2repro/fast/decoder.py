"""Decoding with one compiled call a step: what makes the engine fast for small models.

A prompt is read by the same function, its tokens as rows, so that reading and decoding agree to the bit.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from k2repro.architecture.config import ModelConfig
from k2repro.architecture.qwen2 import Qwen2
from k2repro.fast.folding import angles
from k2repro.fast.kernels.decode import BLOCK, Buffers, DecodeBatch, FoldedWeights, KeyValueCache, decode
from k2repro.fast.kernels.panels import PANEL
from k2repro.fast.kernels.vectors import filled
from k2repro.fast.rows import Prefix

# Tokens of a prefill pass: enough to use every line of a matrix often, few enough to stay in the caches.
PREFILL_TOKENS = 512
# Most rows in flight in one decoder. With fewer, a line of a matrix serves fewer rows; with more, their keys
# and values push each other out of the near caches (128 samples of mini-K2, one and two threads, a noisy
# machine: 8 rows took 1.2 to 1.4 times as long, 32 rows 1.0 to 1.4 times).
COMPILED_ROWS = 16
# Measured on one machine, samples of 1 to 64 prompts on two threads: 1.5 to 3.5 times as fast as the module
# from 1M to 95M parameters; beyond that nothing was measured.
COMPILED_PARAMETERS = 100_000_000


def fits_compiled(model: Qwen2) -> bool:
    """Whether the compiled step suits a model: 32 bit on the CPU, and small."""
    parameters = list(model.parameters())
    plain = all(p.dtype == torch.float32 and p.device.type == "cpu" for p in parameters)
    return plain and sum(p.numel() for p in parameters) <= COMPILED_PARAMETERS


class CompiledDecoder:
    """model: for its shape and rotary angles. weights: `fold(model)`. rows, positions: size of the cache."""

    def __init__(self, model: Qwen2, weights: FoldedWeights, rows: int, positions: int) -> None:
        config = model.config
        self._config, self._weights, self._epsilon = config, weights, np.float32(config.rms_norm_eps)
        self._angles = angles(model, positions)
        self._cache = cache_for(config, rows, positions)
        self._lengths, self._rows = np.zeros(rows, np.int64), np.arange(rows)
        self._step, self._reading = (buffers_for(config, most, positions) for most in (rows, PREFILL_TOKENS))
        self._logits = logits_for(config, rows)
        self.logits = torch.from_numpy(self._logits)[:, : config.vocab_size]

    def put(self, row: int, prefix: Prefix) -> None:
        length, (keys, values) = prefix.length, self._cache
        keys[:, row, :, :, :length] = prefix.keys.numpy().swapaxes(2, 3)
        values[:, row, :, :length] = prefix.values.numpy()
        self._lengths[row] = length
        self.logits[row] = prefix.logits

    def move(self, source: int, target: int) -> None:
        copy_row(self._cache, self._lengths, source, target)

    def step(self, tokens: Tensor) -> None:
        rows = self._rows[: len(tokens)]
        batch = DecodeBatch(tokens.numpy(), rows, self._lengths[: len(tokens)], rows)
        self._decode(batch, self._step, self._cache, self._logits[: len(tokens)])
        self._lengths[: len(tokens)] += 1

    def extend(self, row: int, tokens: Sequence[int]) -> Tensor:
        length, config = int(self._lengths[row]), self._config
        self._make_room(len(tokens))
        logits, each = logits_for(config, len(tokens)), np.arange(len(tokens))
        batch = DecodeBatch(np.asarray(tokens, np.int64), np.full(len(tokens), row), length + each, each)
        self._decode(batch, self._reading, self._cache, logits)
        self._lengths[row] += len(tokens)
        return torch.from_numpy(logits)[:, : config.vocab_size]

    def cut(self, row: int, length: int) -> None:
        self._lengths[row] = length

    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        return [prefix for part in _passes(prompts) for prefix in self._read(part)]

    def _read(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        """One pass over the tokens of several prompts, which are places of a cache of their own."""
        lengths = [len(prompt) for prompt in prompts]
        cache = cache_for(self._config, len(prompts), max(lengths))
        self._make_room(sum(lengths))
        batch = DecodeBatch(
            tokens=np.concatenate(prompts).astype(np.int64),
            places=np.repeat(np.arange(len(prompts)), lengths),
            positions=np.concatenate([np.arange(length) for length in lengths]),
            asked=np.cumsum(lengths) - 1,
        )
        logits = logits_for(self._config, len(prompts))
        self._decode(batch, self._reading, cache, logits)
        return [
            Prefix(
                # Copied as the cache has it, so that `put` copies it back line by line.
                keys=torch.from_numpy(cache.keys[:, at, :, :, :length].copy().swapaxes(2, 3)),
                values=torch.from_numpy(cache.values[:, at, :, :length].copy()),
                logits=torch.from_numpy(logits[at, : self._config.vocab_size].copy()),
            )
            for at, length in enumerate(lengths)
        ]

    def _make_room(self, tokens: int) -> None:
        """For a pass over that many."""
        if tokens > len(self._reading.residual):
            self._reading = buffers_for(self._config, tokens, len(self._angles.cosines))

    def _decode(
        self, batch: DecodeBatch, buffers: Buffers, cache: KeyValueCache, logits: NDArray[np.float32]
    ) -> None:
        decode(batch, self._weights, cache, self._angles, self._epsilon, buffers, logits)


def _passes(prompts: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    """Cut prompts into passes of at most PREFILL_TOKENS tokens, or of one prompt."""
    taken: list[Sequence[int]] = []
    for prompt in prompts:
        if taken and sum(map(len, taken)) + len(prompt) > PREFILL_TOKENS:
            yield taken
            taken = []
        taken.append(prompt)
    if taken:
        yield taken


def cache_for(config: ModelConfig, places: int, positions: int) -> KeyValueCache:
    """All zero, for at least `positions`."""
    outer, dim = (config.num_hidden_layers, places, config.num_key_value_heads), config.head_dim
    columns = filled(positions)
    return KeyValueCache(
        keys=np.zeros((*outer, dim, columns), np.float32), values=np.zeros((*outer, columns, dim), np.float32)
    )


def copy_row(cache: KeyValueCache, lengths: NDArray[np.int64], source: int, target: int) -> None:
    """Let row `target` of a cache hold the lengths[source] tokens of row `source`."""
    length, (keys, values) = lengths[source], cache
    keys[:, target, :, :, :length] = keys[:, source, :, :, :length]
    values[:, target, :, :length] = values[:, source, :, :length]
    lengths[target] = length


def buffers_for(config: ModelConfig, rows: int, positions: int) -> Buffers:
    """All zero, for passes over up to `rows` tokens."""
    heads, groups, dim = config.num_attention_heads, config.query_heads_per_kv_head, config.head_dim

    def zeros(count: int, width: int) -> NDArray[np.float32]:
        # A panel is written whole, and a vector is read whole.
        return np.zeros((count, width + PANEL), np.float32)

    return Buffers(
        residual=zeros(rows, config.hidden_size),
        normed=zeros(rows, config.hidden_size),
        qkv=zeros(rows, (heads + 2 * config.num_key_value_heads) * dim),
        mixed=zeros(rows, heads * dim),
        gate_up=zeros(rows, 2 * config.intermediate_size),
        activated=zeros(rows, config.intermediate_size),
        queries=zeros(BLOCK * groups, dim),
        found=zeros(BLOCK * groups, dim),
        scores=zeros(BLOCK * groups, positions),
        totals=np.zeros(BLOCK * groups, np.float32),
    )


def logits_for(config: ModelConfig, rows: int) -> NDArray[np.float32]:
    """Zeros [rows, vocabulary filled up to whole panels]."""
    return np.zeros((rows, -(-config.vocab_size // PANEL) * PANEL), np.float32)
