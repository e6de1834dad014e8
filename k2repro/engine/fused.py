"""Decoding with few, large operations into buffers that exist already: what makes the engine fast.

A small model's step is arithmetic of a millisecond and, in module code, hundreds of dispatches of 10 to
30 microseconds each. Here a layer is two dozen calls. torch multiplies matrices and takes the softmax;
NumPy, whose call costs a microsecond, does the rest on the same memory, with one matrix-vector product
for each row and head in the attention.

A row's numbers do not depend on its neighbours: matrix products run on a multiple of four rows and
attention on a multiple of sixteen positions, because at other sizes BLAS takes other kernels, which
round differently (measured with MKL and OpenBLAS on AVX2; elsewhere the last bit may move).
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .row_cache import RowCache, Window, round_up
from .rows import Prefix
from .weights import FusedWeights
from .workspace import Heads, Workspace

ROW_MULTIPLE = 4
# Tokens of a prefill pass: enough to keep the processor busy, few enough to stay in its caches.
PREFILL_TOKENS = 512


class FusedDecoder:
    """weights: of `fuse`. rows, positions: size of the cache, allocated once.

    Shapes: B rows, K key and value heads, G query heads to each, D head_dim, S positions attended to.
    """

    def __init__(self, weights: FusedWeights, rows: int, positions: int) -> None:
        self._weights, config = weights, weights.config
        self._cache = RowCache(config, rows, positions)
        self._rotation = weights.rotation(positions)
        padded = round_up(rows, ROW_MULTIPLE)
        self._work = Workspace(config, padded)
        self._part = self._work
        self._reading = Workspace(config, PREFILL_TOKENS)
        self._padded_logits = torch.zeros(padded, config.vocab_size)
        self.logits = self._padded_logits[:rows]

    def put(self, row: int, prefix: Prefix) -> None:
        self._cache.put(row, prefix)
        self.logits[row] = prefix.logits

    def move(self, source: int, target: int) -> None:
        self._cache.move(source, target)

    @torch.no_grad()
    def step(self, tokens: Tensor) -> None:
        rows, positions, window = self._cache.extend(len(tokens))
        work = self._rows_in_use(len(tokens))
        heads, keys, values = work.heads, self._cache.keys, self._cache.values

        def store_and_attend(layer: int) -> None:
            keys[layer][rows, :, positions] = heads.key
            values[layer][rows, :, positions] = heads.value
            attend(window, layer, heads)

        np.take(self._weights.embedding, tokens.numpy(), axis=0, out=work.residual[: len(tokens)])
        np.take(self._rotation, positions, axis=0, out=work.angles[: len(tokens), 0])
        self._layers(work, store_and_attend)
        torch.mm(work.tensors.normed, self._weights.head, out=self._padded_logits[: len(work.normed)])

    def _rows_in_use(self, count: int) -> Workspace:
        """The workspace cut to `count` rows and those that fill up the multiple, which are kept at zero."""
        if self._part.count != count:
            self._part = self._work.part(count, round_up(count, ROW_MULTIPLE))
        # The residual stream is added to: it would grow from step to step.
        self._part.residual[count:] = 0.0
        return self._part

    def _layers(self, work: Workspace, attend: Callable[[int], None]) -> None:
        """Run the residual stream of `work` through all layers and the last norm.

        attend: reads queries, keys and values of a layer from `work.heads` and writes `work.heads.mixed`.
        """
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
        work.norm(epsilon)

    @torch.no_grad()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        return [prefix for part in _passes(prompts) for prefix in self._read(part)]

    def _read(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        """One pass over the tokens of several prompts, one after the other; attention stays inside each."""
        lengths = [len(prompt) for prompt in prompts]
        count = sum(lengths)
        padded = round_up(count, ROW_MULTIPLE)
        if padded > len(self._reading.residual):
            self._reading = Workspace(self._weights.config, padded)
        work = self._reading.part(count, padded)
        config = self._weights.config
        sizes = (2, config.num_hidden_layers, config.num_key_value_heads)
        kept = [np.empty((*sizes, length, config.head_dim), np.float32) for length in lengths]

        def attend_inside(layer: int) -> None:
            end = 0
            for keys, values in kept:
                start, end = end, end + keys.shape[2]
                keys[layer] = work.heads.key[start:end].swapaxes(0, 1)
                values[layer] = work.heads.value[start:end].swapaxes(0, 1)
                query = torch.from_numpy(work.heads.query[start:end])
                work.heads.mixed[start:end] = _causal(query, keys[layer], values[layer]).numpy()

        np.take(self._weights.embedding, np.concatenate(prompts), axis=0, out=work.residual[:count])
        np.concatenate([self._rotation[:length] for length in lengths], out=work.angles[:count, 0])
        self._layers(work, attend_inside)
        logits = self._last_logits(work, np.cumsum(lengths) - 1)
        return [
            Prefix(torch.from_numpy(keys), torch.from_numpy(values), row)
            for (keys, values), row in zip(kept, logits, strict=True)
        ]

    def _last_logits(self, work: Workspace, rows: np.ndarray) -> Tensor:
        """Logits of the token after each of the given rows, [len(rows), vocabulary]."""
        padded = np.zeros(round_up(len(rows), ROW_MULTIPLE), np.int64)
        padded[: len(rows)] = rows
        return (work.tensors.normed[torch.from_numpy(padded)] @ self._weights.head)[: len(rows)]


def attend(window: Window, layer: int, heads: Heads) -> None:
    """heads.mixed = softmax(query . keys) values, one query a row and head; queries are scaled already."""
    np.matvec(window.keys[layer], heads.query, out=window.scores)
    np.add(window.scores, window.hidden, out=window.scores)
    torch.softmax(window.scores_tensor, -1, out=window.scores_tensor)
    np.vecmat(window.scores, window.values[layer], out=heads.mixed)


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


def _causal(query: Tensor, keys: np.ndarray, values: np.ndarray) -> Tensor:
    """Causal attention inside one prompt of T tokens; the queries [T, K, G, D] are scaled already.

    keys, values: [K, T, D]. Returns [T, K, G, D].
    """
    mixed = F.scaled_dot_product_attention(
        query.flatten(1, 2).transpose(0, 1)[None],
        torch.from_numpy(keys)[None],
        torch.from_numpy(values)[None],
        is_causal=True,
        scale=1.0,
        enable_gqa=query.shape[2] > 1,
    )
    return mixed[0].transpose(0, 1).unflatten(1, query.shape[1:3])
