"""Decoding with few, large operations into buffers that exist already: what makes the engine fast.

A small model's step is arithmetic of a millisecond and, in module code, hundreds of dispatches of 10 to
30 microseconds each. Here a layer is sixteen calls. torch multiplies matrices and takes the softmax; NumPy,
whose call costs a microsecond, does the rest on the same memory, with one matrix-vector product for each
row and head in the attention.

A row's numbers do not depend on its neighbours: matrix products run on a multiple of four rows and
attention on a multiple of sixteen positions, because at other sizes BLAS takes other kernels, which
round differently (measured with MKL and OpenBLAS on AVX2; elsewhere the last bit may move).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .rows import Prefix
from .weights import FusedWeights
from .workspace import Workspace

ROW_MULTIPLE = 4
SPAN_MULTIPLE = 16
# Tokens of a prefill pass: enough to keep the processor busy, few enough to stay in its caches.
PREFILL_TOKENS = 1024


class FusedDecoder:
    """weights: of `fuse`. rows, positions: size of the cache, allocated once.

    Shapes: B rows, K key and value heads, G query heads to each, D head_dim, S positions attended to.
    """

    def __init__(self, weights: FusedWeights, rows: int, positions: int) -> None:
        config = weights.config
        self._weights = weights
        self._groups = config.query_heads_per_kv_head
        padded, span = round_up(rows, ROW_MULTIPLE), round_up(positions, SPAN_MULTIPLE)
        shape = (config.num_hidden_layers, rows, config.num_key_value_heads, span, config.head_dim)
        # Zeros, not empty memory: a masked slot has weight 0, and 0 times a stray NaN is NaN.
        self._keys, self._values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._hidden_slots = np.full((rows, 1, 1, span), -np.inf, np.float32)
        self._lengths = np.zeros(rows, np.int64)
        self._rotation = weights.rotation(positions)
        self._work = Workspace(config, padded)
        self._logits = torch.zeros(padded, config.vocab_size)
        self.logits = self._logits[:rows]

    def put(self, row: int, prefix: Prefix) -> None:
        self._keys[:, row, :, : prefix.length] = prefix.keys.numpy()
        self._values[:, row, :, : prefix.length] = prefix.values.numpy()
        self._hidden_slots[row, ..., : prefix.length] = 0.0
        self._hidden_slots[row, ..., prefix.length :] = -np.inf
        self._lengths[row] = prefix.length
        self.logits[row] = prefix.logits

    def move(self, source: int, target: int) -> None:
        length = self._lengths[source]
        self._keys[:, target, :, :length] = self._keys[:, source, :, :length]
        self._values[:, target, :, :length] = self._values[:, source, :, :length]
        self._hidden_slots[target] = self._hidden_slots[source]
        self._lengths[target] = length

    @torch.no_grad()
    def step(self, tokens: Tensor) -> None:
        count = len(tokens)
        padded = round_up(count, ROW_MULTIPLE)
        work = self._work.first(padded)
        rows, positions = np.arange(count), self._lengths[:count]
        self._hidden_slots[rows, 0, 0, positions] = 0.0
        span = round_up(int(positions.max()) + 1, SPAN_MULTIPLE)
        hidden_slots = self._hidden_slots[:count, ..., :span]
        scores = torch.empty(count, self._keys.shape[2], self._groups, span)

        def attend(layer: int) -> None:
            query, key, value, mixed = work.heads(count)
            self._keys[layer, rows, :, positions] = key
            self._values[layer, rows, :, positions] = value
            np.matvec(self._keys[layer, :count, :, None, :span], query, out=scores.numpy())
            np.add(scores.numpy(), hidden_slots, out=scores.numpy())
            torch.softmax(scores, -1, out=scores)
            np.vecmat(scores.numpy(), self._values[layer, :count, :, None, :span], out=mixed)

        np.take(self._weights.embedding, tokens.numpy(), axis=0, out=work.residual[:count])
        np.take(self._rotation, positions, axis=0, out=work.angles[:count, 0])
        # Rows that only fill up the multiple: kept at zero, or they would grow from step to step.
        work.residual[count:] = 0.0
        work.mixed[count:] = 0.0
        self._layers(work, attend)
        work.norm(self._weights.config.rms_norm_eps)
        torch.mm(work.tensors.normed, self._weights.head, out=self._logits[:padded])
        self._lengths[:count] += 1

    def _layers(self, work: Workspace, attend: Callable[[int], None]) -> None:
        """Run the residual stream of `work` through all layers; `attend` reads qkv and writes mixed."""
        tensors, epsilon = work.tensors, self._weights.config.rms_norm_eps
        for index, layer in enumerate(self._weights.layers):
            work.norm(epsilon)
            torch.addmm(layer.bias, tensors.normed, layer.qkv, out=tensors.qkv)
            np.multiply(work.pairs, work.angles, out=work.pairs)
            attend(index)
            tensors.residual.addmm_(tensors.mixed, layer.output)
            work.norm(epsilon)
            torch.mm(tensors.normed, layer.gate_up, out=tensors.gate_up)
            torch.ops.aten.silu.out(tensors.gate, out=tensors.product)
            np.multiply(work.product, work.up, out=work.product)
            tensors.residual.addmm_(tensors.product, layer.down)

    @torch.no_grad()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        found: list[Prefix] = []
        waiting = list(prompts)
        while waiting:
            total, taken = len(waiting[0]), 1
            while taken < len(waiting) and total + len(waiting[taken]) <= PREFILL_TOKENS:
                total += len(waiting[taken])
                taken += 1
            found += self._read(waiting[:taken])
            waiting = waiting[taken:]
        return found

    def _read(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        """One pass over the tokens of several prompts, one after the other; attention stays inside each."""
        weights, config = self._weights, self._weights.config
        lengths = [len(prompt) for prompt in prompts]
        ends = np.cumsum(lengths)
        count = int(ends[-1])
        work = Workspace(config, round_up(count, ROW_MULTIPLE))
        spans = [slice(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        sizes = (config.num_hidden_layers, config.num_key_value_heads)
        kept = [np.empty((2, *sizes, length, config.head_dim), np.float32) for length in lengths]

        def attend(layer: int) -> None:
            query, key, value, mixed = work.heads(count)
            for span, (keys, values) in zip(spans, kept, strict=True):
                keys[layer], values[layer] = key[span].swapaxes(0, 1), value[span].swapaxes(0, 1)
                # The queries are scaled already.
                mixed[span] = F.scaled_dot_product_attention(
                    torch.from_numpy(query[span]).flatten(1, 2).transpose(0, 1)[None],
                    torch.from_numpy(keys[layer])[None],
                    torch.from_numpy(values[layer])[None],
                    is_causal=True,
                    scale=1.0,
                    enable_gqa=True,
                )[0].transpose(0, 1).unflatten(1, (-1, self._groups)).numpy()

        work.residual[:count] = weights.embedding[np.concatenate([np.array(p) for p in prompts])]
        work.angles[:count, 0] = np.concatenate([self._rotation[:length] for length in lengths])
        self._layers(work, attend)
        work.norm(config.rms_norm_eps)
        last = np.zeros(round_up(len(prompts), ROW_MULTIPLE), np.int64)
        last[: len(prompts)] = ends - 1
        logits = work.tensors.normed[torch.from_numpy(last)] @ weights.head
        return [
            Prefix(torch.from_numpy(keys), torch.from_numpy(values), row)
            for (keys, values), row in zip(kept, logits[: len(prompts)], strict=True)
        ]


def round_up(number: int, multiple: int) -> int:
    """The least multiple that is at least `number`."""
    return -(-number // multiple) * multiple
