"""A lean Qwen2 decoder for one sequence: what this machine's memory allows, without a framework.

At batch 1 a decode step reads every matrix once, so the loop has to keep the memory busy and stay
out of the way: fused q/k/v and gate/up matrices, preallocated buffers, NumPy for the vectors
(about one microsecond an operation) and whichever matrix-vector kernel of `matvec.py` streams best.

Numerically it is `k2repro.architecture.Qwen2` (https://arxiv.org/abs/2407.10671, section 2):
pre-norm RMSNorm, rotary positions, grouped-query attention with bias on q/k/v, SwiGLU. Two
things are stored differently. Rows of q and k are permuted so that the two halves of a rotary pair
are neighbours, which turns the rotation into one complex product and leaves q.k unchanged. And
`W x` is taken from fused matrices.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.measure.matvec import MatVec
from k2repro.wafer.model.shapes import ModelShape

Array = NDArray[np.float32]


@dataclass(frozen=True)
class MeasuredLayer:
    """One decoder block: two norms (hidden,), fused bias, four matrix-vector products."""

    attention_norm: Array
    qkv: MatVec
    qkv_bias: Array
    output: MatVec
    feed_forward_norm: Array
    gate_up: MatVec
    down: MatVec


@dataclass(frozen=True)
class DecoderWeights:
    """Everything a step reads; `embedding` is (vocab, hidden), one row of it per token."""

    embedding: Array
    layers: tuple[MeasuredLayer, ...]
    final_norm: Array
    head: MatVec


class MeasuredDecoder:
    """Greedy decoding of one sequence with a key/value cache.

    shape: the model; weights: its matrices; max_context: positions the cache holds.
    """

    def __init__(
        self,
        shape: ModelShape,
        weights: DecoderWeights,
        *,
        max_context: int,
        rope_theta: float = 1e6,
        norm_eps: float = 1e-6,
    ) -> None:
        if max_context < 1:
            raise K2ReproError(f"max_context = {max_context!r} must be at least 1")
        self.shape, self.weights = shape, weights
        self.position, self.max_context = 0, max_context
        self._eps = norm_eps
        cache = (shape.layers, shape.kv_heads, max_context, shape.head_dim)
        # Written once, so that the first pass over a page is not part of a timed step.
        self._keys = np.full(cache, 0.0, np.float32)
        self._values = np.full(cache, 0.0, np.float32)
        frequencies = rope_theta ** (-np.arange(0, shape.head_dim, 2) / shape.head_dim)
        angles = np.arange(max_context)[:, None] * frequencies
        self._rotation = np.exp(1j * angles).astype(np.complex64)
        self._score_scale = np.float32(shape.head_dim**-0.5)
        self._normed = np.empty(shape.hidden, np.float32)
        self._gate = np.empty(shape.ffn, np.float32)

    def move_to(self, position: int) -> None:
        """Go on from a context of `position` tokens (what the cache holds there; zeros at first)."""
        if not 0 <= position < self.max_context:
            raise K2ReproError(f"position {position!r} is outside 0 .. {self.max_context - 1}")
        self.position = position

    def step(self, token: int) -> Array:
        """Logits (vocab,) after `token`; the array is overwritten by the next step.

        Raises K2ReproError when the cache is full or the token does not exist.
        """
        if self.position >= self.max_context:
            raise K2ReproError(
                f"the cache holds {self.max_context} positions and all are taken; "
                "give the decoder a larger max_context"
            )
        if not 0 <= token < len(self.weights.embedding):
            raise K2ReproError(
                f"token {token!r} is outside the vocabulary of {len(self.weights.embedding)} tokens"
            )
        x = self.weights.embedding[token].copy()
        # exp(-g) overflows to infinity for g << 0, where silu is 0: that is what it should give.
        with np.errstate(over="ignore"):
            for index, layer in enumerate(self.weights.layers):
                x += layer.output(self._attend(index, layer, self._norm(x, layer.attention_norm)))
                x += layer.down(self._feed_forward(layer, self._norm(x, layer.feed_forward_norm)))
        self.position += 1
        return self.weights.head(self._norm(x, self.weights.final_norm))

    def _norm(self, x: Array, weight: Array) -> Array:
        scale = 1.0 / math.sqrt(float(np.dot(x, x)) / x.size + self._eps)
        np.multiply(x, weight, out=self._normed)
        self._normed *= np.float32(scale)
        return self._normed

    def _attend(self, index: int, layer: MeasuredLayer, x: Array) -> Array:
        shape, end = self.shape, self.position + 1
        rotated = (shape.q_heads + shape.kv_heads) * shape.head_dim
        qkv = layer.qkv(x)
        qkv += layer.qkv_bias
        pairs = qkv[:rotated].view(np.complex64).reshape(-1, shape.head_dim // 2)
        pairs *= self._rotation[self.position]
        queries = shape.q_heads * shape.head_dim
        keys, values = self._keys[index], self._values[index]
        keys[:, self.position] = qkv[queries:rotated].reshape(shape.kv_heads, -1)
        values[:, self.position] = qkv[rotated:].reshape(shape.kv_heads, -1)
        q = qkv[:queries].reshape(shape.kv_heads, -1, shape.head_dim)
        scores = q @ keys[:, :end].transpose(0, 2, 1)
        scores *= self._score_scale
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return (scores @ values[:, :end]).reshape(-1)

    def _feed_forward(self, layer: MeasuredLayer, x: Array) -> Array:
        both = layer.gate_up(x)
        gate, up = both[: self.shape.ffn], both[self.shape.ffn :]
        # silu(g) * u = g * u / (1 + exp(-g))
        np.negative(gate, out=self._gate)
        np.exp(self._gate, out=self._gate)
        self._gate += np.float32(1.0)
        np.multiply(gate, up, out=gate)
        gate /= self._gate
        return gate
