"""One decoder layer on the tokens of a packed batch, forward and backward, by hand.

Activations that the way back needs stay on the object; gradients come out as matrices of the folded
weights (`fused_weights.py`). In the last layer only the asked tokens have queries and a feed-forward pass.

Shapes: N tokens read, M rows out (N, or the asked ones in the last layer), H heads, K key heads, D head_dim.
"""

import torch
from torch import Tensor

from k2repro.architecture import ModelConfig
from k2repro.training.fused_attention import Attention, Heads
from k2repro.training.fused_weights import LayerWeights
from k2repro.training.products import outer, product
from k2repro.training.spans import Reading

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


class Layer:
    """weights: folded. rotation: complex64 [N, D / 2]. mask: of `causal_mask`. last: answers `asked` only."""

    def __init__(
        self, config: ModelConfig, weights: LayerWeights, reading: Reading, rotation: Tensor, mask: Tensor,
        *, last: bool,
    ) -> None:
        self._config, self._weights, self._reading = config, weights, reading
        self._rotation, self._mask, self._last = rotation, mask, last
        self._asked_rotation = rotation[reading.asked] if last else rotation

    def forward(self, hidden: Tensor) -> Tensor:
        """[N, hidden] -> [M, hidden]."""
        config, weights = self._config, self._weights
        self._norm = Norm(hidden, config.rms_norm_eps)
        self._asking = self._ask(self._norm.out)
        query = product(self._asking, weights.query, weights.query_bias)
        key_value = product(self._norm.out, weights.key_value, weights.key_value_bias)
        self._attention = Attention(
            self._rotate(query, key_value), self._reading.spans, self._mask, whole=not self._last
        )
        self._mixed = self._attention.forward()
        hidden = product(self._mixed, weights.output, add=self._ask(hidden))
        self._second = Norm(hidden, config.rms_norm_eps)
        self._gate, self._up = product(self._second.out, weights.gate_up).chunk(2, -1)
        self._lit = silu(self._gate)
        self._fed = self._lit * self._up
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
        heads = self._attention.backward(product(gradient, weights.output.t()))
        query, key_value = self._rotate_back(heads)
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
        """Gradient of gate and up, [M, 2 ffn], from that of silu(gate) * up; the latter is used up."""
        width = fed.shape[1]
        found = torch.empty(len(fed), 2 * width)
        torch.mul(fed, self._lit, out=found[:, width:])
        silu_backward.grad_input(fed.mul_(self._up), self._gate, grad_input=found[:, :width])
        return found

    def _rotate(self, query: Tensor, key_value: Tensor) -> Heads:
        """Heads from projections [M, H D] and [N, 2 K D]: turned, and sorted by key head."""
        kv_heads, dim = self._config.num_key_value_heads, self._config.head_dim
        key, value = key_value.unflatten(1, (2, kv_heads, dim)).unbind(1)
        query = query.unflatten(1, (kv_heads, -1, dim)).transpose(0, 1)
        key, value = key.transpose(0, 1), value.transpose(0, 1).contiguous()
        turned = Heads(torch.empty(query.shape), torch.empty(key.shape), value)
        _turn(query, self._asked_rotation[:, None], turned.query)
        _turn(key, self._rotation, turned.key)
        return turned

    def _rotate_back(self, heads: Heads) -> tuple[Tensor, Tensor]:
        """Gradients of the projections from those of the heads: `_rotate` the other way."""
        kv_heads, rows, groups, dim = heads.query.shape
        query = torch.empty(rows, kv_heads, groups, dim)
        key_value = torch.empty(heads.key.shape[1], 2, kv_heads, dim)
        _turn(heads.query, self._asked_rotation.conj()[:, None], query.transpose(0, 1))
        _turn(heads.key, self._rotation.conj(), key_value[:, 0].transpose(0, 1))
        key_value[:, 1] = heads.value.transpose(0, 1)
        return query.flatten(1), key_value.flatten(1)

    def _ask(self, rows: Tensor) -> Tensor:
        """The rows that this layer answers."""
        return rows.index_select(0, self._reading.asked) if self._last else rows

    def _spread(self, rows: Tensor) -> Tensor:
        """[M, width] -> [N, width]: the asked rows in their places among zeros."""
        used = self._reading.used_asked
        spread = rows.new_zeros(len(self._reading.tokens), rows.shape[1])
        return spread.index_copy_(0, self._reading.asked[:used], rows[:used])


def _turn(pairs: Tensor, rotation: Tensor, out: Tensor) -> None:
    """out = pairs * rotation; neighbours along the last dimension [..., D] form a complex number."""
    torch.mul(_complex(pairs), rotation, out=_complex(out))


def _complex(pairs: Tensor) -> Tensor:
    return torch.view_as_complex(pairs.unflatten(-1, (-1, 2)))
