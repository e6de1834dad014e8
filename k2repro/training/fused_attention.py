"""Causal attention inside each text of a packed batch, forward and backward, by hand.

A text attends to itself only, so its scores are a small matrix of their own: the square of its length, not of
the row's. Texts are cut out at a multiple of 16 tokens; what hangs over belongs to a neighbour and gets
weight 0.
Differs from flash attention (arXiv 2205.14135): weights are kept for the way back, they are small here.

Shapes: N tokens read, M asked, K key and value heads, G query heads to each, D head_dim.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from k2repro.training.products import outer, product
from k2repro.training.spans import SPAN_MULTIPLE, Span


@dataclass(frozen=True)
class Heads:
    """Rotated, scaled queries [K, M, G, D], rotated keys and values [K, N, D]; contiguous."""

    query: Tensor
    key: Tensor
    value: Tensor


class Attention:
    """Attention of one layer over all `spans`; keeps the weights [rows G, keys] of each text and head.

    mask: of `causal_mask`. whole: every row of a text asks; otherwise those from `span.first` on.
    """

    def __init__(self, heads: Heads, spans: tuple[Span, ...], mask: Tensor, *, whole: bool) -> None:
        self._heads, self._mask = heads, mask
        self._pieces = [_Piece(span, whole) for span in spans]
        self._weights: list[Tensor] = []

    def forward(self) -> Tensor:
        """Mixed values, [M, K G D]; zero in rows that no text has."""
        kv_heads, rows, groups, dim = self._heads.query.shape
        mixed = self._heads.query.new_zeros(rows, kv_heads, groups * dim)
        for piece in self._pieces:
            hidden = self._mask[piece.first * groups : (piece.first + piece.rows) * groups, : piece.keys]
            for head in range(kv_heads):
                query, key, value = piece.cut(self._heads, head)
                weights = product(query, key).add_(hidden)
                torch.softmax(weights, -1, out=weights)
                # Rows that hang over would send gradients to the keys.
                weights[piece.asking * groups :] = 0.0
                found = product(weights, value.t()).view(piece.rows, -1)
                mixed[piece.asked_rows, head] = found[: piece.asking]
                self._weights.append(weights)
        return mixed.flatten(1)

    def backward(self, mixed: Tensor) -> Heads:
        """Gradients of the heads from that of the mixed values [M, K G D]."""
        heads = self._heads
        kv_heads, rows, groups, dim = heads.query.shape
        by_head = mixed.view(rows, kv_heads, groups, dim).transpose(0, 1).contiguous()
        found = Heads(*map(torch.zeros_like, (heads.query, heads.key, heads.value)))
        kept = iter(self._weights)
        for piece in self._pieces:
            for head in range(kv_heads):
                weights = next(kept)
                query, key, value = piece.cut(heads, head)
                outside = by_head[head, piece.asked : piece.asked + piece.rows].flatten(0, 1)
                found.value[head, piece.read_rows] = outer(weights, outside)[: piece.length]
                scores = product(outside, value)
                torch.ops.aten._softmax_backward_data.out(
                    scores, weights, -1, torch.float32, grad_input=scores
                )
                inside = product(scores, key.t()).view(piece.rows, groups, dim)
                found.query[head, piece.asked_rows] = inside[: piece.asking]
                found.key[head, piece.read_rows] = outer(scores, query)[: piece.length]
        return found


class _Piece:
    """A text cut out at a multiple: `rows` rows ask, `asking` of them its own, and `keys` keys are read."""

    def __init__(self, span: Span, whole: bool) -> None:
        self.first, self.asked = (0, span.start) if whole else (span.first, span.asked)
        self.asking, self.start = span.length - self.first, span.start
        self.rows, self.keys = _up(self.asking), _up(span.length)
        self.length = span.length
        self.asked_rows = slice(self.asked, self.asked + self.asking)
        self.read_rows = slice(self.start, self.start + self.length)

    def cut(self, heads: Heads, head: int) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [rows G, D], keys [keys, D] and values [keys, D] of one key and value head; views."""
        read = slice(self.start, self.start + self.keys)
        query = heads.query[head, self.asked : self.asked + self.rows].flatten(0, 1)
        return query, heads.key[head, read], heads.value[head, read]


def causal_mask(longest: int, groups: int) -> Tensor:
    """float32 [rows G, keys] for texts of up to `longest` tokens: minus infinity where a key is later."""
    size = _up(longest) + SPAN_MULTIPLE
    hidden = torch.full((size, size), float("-inf")).triu(1)
    return hidden.repeat_interleave(groups, 0)


def _up(count: int) -> int:
    return -(-count // SPAN_MULTIPLE) * SPAN_MULTIPLE
