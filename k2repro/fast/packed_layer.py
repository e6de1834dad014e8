"""One decoder layer on the tokens of a packed batch, forward and backward, by hand.

Activations that the way back needs stay on the object; gradients come out as matrices of the folded
weights (`folding.py`). In the last layer only the asked tokens have queries and a feed-forward pass.

Shapes: N tokens read, M rows out (N, or the asked ones in the last layer), H heads, K key heads, D head_dim.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from k2repro.architecture import ModelConfig
from k2repro.fast.folding import LayerWeights
from k2repro.fast.kernels.attention import Texts
from k2repro.fast.packed_attention import PackedAttention
from k2repro.fast.products import outer, product
from k2repro.fast.spans import PackedTexts

silu = torch.ops.aten.silu
silu_backward = torch.ops.aten.silu_backward


class Norm:
    """x / sqrt(mean(x^2) + epsilon), row by row; the learned weight is folded into the readers."""

    def __init__(self, rows: Tensor, epsilon: float) -> None:
        norm = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        self._factor = norm.square_().div_(rows.shape[1]).add_(epsilon).rsqrt_()
        self.out = rows * self._factor

    def backward(self, gradient: Tensor, into: Tensor) -> Tensor:
        """Add the gradient of the rows to `into`, from that of `out`, both [rows, width]."""
        along = torch.linalg.vecdot(gradient, self.out)[:, None].mul_(self._factor).div_(-self.out.shape[1])
        return into.addcmul_(gradient, self._factor).addcmul_(self.out, along)


class Rotation:
    """Turns the rotary pairs of projected rows by their positions, and back; neighbours form a pair.

    turns: complex64 [rows, D / 2]. width: of the widest projection; the turns are repeated for every head of
    it, because one long product over a row takes less time than short ones head by head.
    """

    def __init__(self, turns: Tensor, width: int) -> None:
        self._forth = turns.repeat(1, width // (2 * turns.shape[1]))
        self._back = self._forth.conj().resolve_conj()

    def turn(self, rows: Tensor) -> None:
        """Turn `rows` [rows, up to width] in place."""
        _turn(rows, self._forth)

    def turn_back(self, rows: Tensor) -> None:
        """Gradient before `turn` from that after it, in place; the inverse where the magnitude is 1."""
        _turn(rows, self._back)


@dataclass(frozen=True)
class LayerQueries:
    """What a layer answers: who sees what, and the turns of the rows that ask."""

    texts: Texts
    rotation: Rotation


class PackedLayer:
    """weights: folded. rotation: of the N rows. asking: of the M rows out. last: answers `asked` only."""

    def __init__(
        self,
        config: ModelConfig,
        weights: LayerWeights,
        reading: PackedTexts,
        rotation: Rotation,
        asking: LayerQueries,
        *,
        last: bool,
    ) -> None:
        self._config, self._weights, self._reading = config, weights, reading
        self._rotation, self._who, self._last = rotation, asking, last

    def forward(self, hidden: Tensor) -> Tensor:
        """[N, hidden] -> [M, hidden]."""
        config, weights = self._config, self._weights
        self._norm = Norm(hidden, config.rms_norm_eps)
        self._asking = self._ask(self._norm.out)
        query = product(self._asking, weights.query, weights.query_bias)
        key_value = product(self._norm.out, weights.key_value, weights.key_value_bias)
        self._who.rotation.turn(query)
        self._rotation.turn(self._keys_of(key_value))
        kv_heads, groups = config.num_key_value_heads, config.query_heads_per_kv_head
        self._attention = PackedAttention(self._who.texts, query, key_value, kv_heads, groups)
        self._mixed = self._attention.forward()
        hidden = product(self._mixed, weights.output, add=self._ask(hidden))
        self._second = Norm(hidden, config.rms_norm_eps)
        self._gate_up = product(self._second.out, weights.gate_up)
        gate, up = self._gate_up.chunk(2, -1)
        self._lit = silu(gate)
        self._fed = self._lit * up
        return product(self._fed, weights.down, add=hidden)

    def backward(self, gradient: Tensor) -> tuple[Tensor, LayerWeights]:
        """Gradients of the input [N, hidden] and of the weights, from that of the output [M, hidden].

        `gradient` is used up.
        """
        weights = self._weights
        down = outer(gradient, self._fed)
        gate_up_rows = self._feed_backward(product(gradient, weights.down.t()))
        gate_up = outer(gate_up_rows, self._second.out)
        gradient = self._second.backward(product(gate_up_rows, weights.gate_up.t()), gradient)
        output = outer(gradient, self._mixed)
        query, key_value = self._attention.backward(product(gradient, weights.output.t()))
        self._who.rotation.turn_back(query)
        self._rotation.turn_back(self._keys_of(key_value))
        found = LayerWeights(
            query=outer(query, self._asking),
            query_bias=query.sum(0),
            key_value=outer(key_value, self._norm.out),
            key_value_bias=key_value.sum(0),
            output=output,
            gate_up=gate_up,
            down=down,
        )
        asking = product(query, weights.query.t())
        if self._last:
            normed = self._spread(asking).add_(product(key_value, weights.key_value.t()))
            return self._norm.backward(normed, self._spread(gradient)), found
        normed = product(key_value, weights.key_value.t(), add=asking)
        return self._norm.backward(normed, gradient), found

    def _feed_backward(self, fed: Tensor) -> Tensor:
        """Gradient of gate and up, [M, 2 ffn], from that of silu(gate) * up; written over what was kept.

        A product into fresh memory of this size took ten times as long as into memory in use.
        """
        gate, up = self._gate_up.chunk(2, -1)
        of_up = self._lit.mul_(fed)
        silu_backward.grad_input(fed.mul_(up), gate, grad_input=gate)
        up.copy_(of_up)
        return self._gate_up

    def _keys_of(self, key_value: Tensor) -> Tensor:
        """The columns [N, K D] of the keys."""
        return key_value[:, : key_value.shape[1] // 2]

    def _ask(self, rows: Tensor) -> Tensor:
        """The rows that this layer answers."""
        return rows.index_select(0, self._reading.asked) if self._last else rows

    def _spread(self, rows: Tensor) -> Tensor:
        """[M, width] -> [N, width]: the asked rows in their places among zeros."""
        used = self._reading.used_asked
        spread = rows.new_zeros(len(self._reading.tokens), rows.shape[1])
        return spread.index_copy_(0, self._reading.asked[:used], rows[:used])


def _turn(rows: Tensor, turns: Tensor) -> None:
    """rows *= turns, in place; neighbours in a row [rows, width] form a complex number."""
    pairs = torch.view_as_complex(rows.unflatten(1, (-1, 2)))
    pairs.mul_(turns[:, : pairs.shape[1]])
