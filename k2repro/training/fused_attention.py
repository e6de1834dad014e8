"""Causal attention inside each text of a packed batch, forward and backward, by hand.

A text attends to itself only, so its scores are a small matrix of their own: the square of its length, not of
the row's. Each text lies in a slot of its own, filled up to a multiple of 16 (`spans.py`). What fills it
comes last: no query of the text sees it, and what its own queries find is thrown away.
Differs from flash attention (arXiv 2205.14135): weights are kept for the way back, they are small here.

Shapes: R queries and S keys in slots, K key and value heads, G query heads to each, D head_dim.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from k2repro.training.products import outer, product
from k2repro.training.spans import SPAN_MULTIPLE, Reading, Slots


@dataclass(frozen=True)
class Heads:
    """Rotated, scaled queries [K, R, G, D], rotated keys and values [K, S, D]; contiguous."""

    query: Tensor
    key: Tensor
    value: Tensor


@dataclass(frozen=True)
class Texts:
    """Who sees what: of each text its queries, its keys, and the scores [queries G, keys] to add."""

    queries: Sequence[int]
    keys: Sequence[int]
    masks: Sequence[Tensor]


def texts_of(slots: Slots, reading: Reading, mask: Tensor, groups: int) -> Texts:
    """The texts of a layer whose queries are `slots`. mask: of `causal_mask`."""
    masks = [
        mask[first * groups : (first + count) * groups, :keys]
        for first, count, keys in zip(slots.firsts, slots.counts, reading.key_counts, strict=True)
    ]
    return Texts(slots.counts, reading.key_counts, masks)


class Attention:
    """Attention of one layer over all `texts`; keeps the weights [queries G, keys] of each text and head."""

    def __init__(self, heads: Heads, texts: Texts) -> None:
        kv_heads, _, groups, _ = heads.query.shape
        self._query_shape, self._key_shape = heads.query.shape, heads.key.shape
        self._queries = [count * groups for count in texts.queries] * kv_heads
        self._keys = list(texts.keys) * kv_heads
        self._masks = list(texts.masks) * kv_heads
        self._pieces = list(
            zip(
                _cut(heads.query, self._queries),
                _cut(heads.key, self._keys),
                _cut(heads.value, self._keys),
                strict=True,
            )
        )
        self._weights: list[Tensor] = []

    def forward(self) -> Tensor:
        """Mixed values, [K, R, G D]."""
        mixed = []
        for (query, key, value), mask in zip(self._pieces, self._masks, strict=True):
            weights = product(query, key).add_(mask)
            torch.softmax(weights, -1, out=weights)
            mixed.append(product(weights, value.t()))
            self._weights.append(weights)
        return torch.cat(mixed).view(*self._query_shape[:2], -1)

    def backward(self, mixed: Tensor) -> Heads:
        """Gradients of the heads from that of the mixed values [K, R, G D], contiguous; 0 in the filling."""
        queries, keys, values = [], [], []
        gradients = _cut(mixed.view(self._query_shape), self._queries)
        for (query, key, value), weights, gradient in zip(
            self._pieces, self._weights, gradients, strict=True
        ):
            values.append(outer(weights, gradient))
            scores = product(gradient, value)
            torch.ops.aten._softmax_backward_data.out(scores, weights, -1, torch.float32, grad_input=scores)
            queries.append(product(scores, key.t()))
            keys.append(outer(scores, query))
        return Heads(
            torch.cat(queries).view(self._query_shape),
            torch.cat(keys).view(self._key_shape),
            torch.cat(values).view(self._key_shape),
        )


def _cut(heads: Tensor, counts: Sequence[int]) -> tuple[Tensor, ...]:
    """Views [count, D] of all heads, one after the other."""
    return heads.flatten(0, -2).split(list(counts))


def causal_mask(longest: int, groups: int) -> Tensor:
    """float32 [queries G, keys], enough for slots of `longest` keys: minus infinity where a key is later."""
    size = longest + SPAN_MULTIPLE
    hidden = torch.full((size, size), float("-inf")).triu(1)
    return hidden.repeat_interleave(groups, 0)
