"""Weights of a layer folded for training, and the way back for their gradients.

Folded: the weight of a norm into the matrices that read its output, 1 / sqrt(head_dim) into the queries;
keys and values are one matrix, gate and up another. The rows of q and k are reordered so that the two
dimensions of a rotary pair are neighbours, and a rotation is one complex product (as in `engine/weights.py`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from k2repro.architecture import ModelConfig

Gradients = dict[str, Tensor]


@dataclass(frozen=True)
class LayerWeights:
    """Matrices of one layer, float32 [outputs, inputs].

    query: [H D, hidden], its bias [H D]. key_value: [2 K D, hidden], its bias [2 K D]. output: [hidden, H D].
    gate_up: [2 ffn, hidden]. down: [hidden, ffn].
    """

    query: Tensor
    query_bias: Tensor
    key_value: Tensor
    key_value_bias: Tensor
    output: Tensor
    gate_up: Tensor
    down: Tensor


class Folding:
    """Folds the parameters of one layer and unfolds gradients; `parameters` by name inside the layer."""

    def __init__(self, config: ModelConfig, parameters: Gradients) -> None:
        self._config, self._parameters = config, parameters
        self._scale = config.head_dim**-0.5

    def fold(self) -> LayerWeights:
        """The matrices of a pass, copies but for `output` and `down`."""
        p, dim = self._parameters, self._config.head_dim
        reading, feeding = p["input_layernorm.weight"], p["post_attention_layernorm.weight"]
        key, value = p["self_attn.k_proj.weight"], p["self_attn.v_proj.weight"]
        key_bias = _pair(p["self_attn.k_proj.bias"], dim)
        return LayerWeights(
            query=_pair(p["self_attn.q_proj.weight"], dim) * (reading * self._scale),
            query_bias=_pair(p["self_attn.q_proj.bias"], dim) * self._scale,
            key_value=torch.cat((_pair(key, dim), value)).mul_(reading),
            key_value_bias=torch.cat((key_bias, p["self_attn.v_proj.bias"])),
            output=p["self_attn.o_proj.weight"],
            gate_up=torch.cat((p["mlp.gate_proj.weight"], p["mlp.up_proj.weight"])).mul_(feeding),
            down=p["mlp.down_proj.weight"],
        )

    def unfold(self, found: LayerWeights) -> Gradients:
        """Gradients of the parameters from those of the folded matrices, which are used up."""
        p, dim = self._parameters, self._config.head_dim
        keys = len(found.key_value) // 2
        gradients = {
            "self_attn.q_proj.weight": _unpair(found.query, dim).mul_(self._scale),
            "self_attn.q_proj.bias": _unpair(found.query_bias, dim).mul_(self._scale),
            "self_attn.k_proj.weight": _unpair(found.key_value[:keys], dim),
            "self_attn.k_proj.bias": _unpair(found.key_value_bias[:keys], dim),
            "self_attn.v_proj.weight": found.key_value[keys:],
            "self_attn.v_proj.bias": found.key_value_bias[keys:],
            "self_attn.o_proj.weight": found.output,
            "mlp.gate_proj.weight": found.gate_up[: len(found.gate_up) // 2],
            "mlp.up_proj.weight": found.gate_up[len(found.gate_up) // 2 :],
            "mlp.down_proj.weight": found.down,
        }
        for norm, readers in _READERS.items():
            weight = p[norm]
            gradient = torch.zeros_like(weight)
            for name in readers:
                gradient += torch.linalg.vecdot(gradients[name], p[name], dim=0)
                gradients[name].mul_(weight)
            gradients[norm] = gradient
        return gradients


_READERS = {
    "input_layernorm.weight": (
        "self_attn.q_proj.weight",
        "self_attn.k_proj.weight",
        "self_attn.v_proj.weight",
    ),
    "post_attention_layernorm.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
}


def _pair(rows: Tensor, dim: int) -> Tensor:
    """Reorder the rows of each head from (0 .. D/2 - 1, D/2 .. D - 1) to (0, D/2, 1, D/2 + 1 ...); a copy."""
    return rows.unflatten(0, (-1, 2, dim // 2)).transpose(1, 2).flatten(0, 2)


def _unpair(rows: Tensor, dim: int) -> Tensor:
    """The inverse of `_pair`; a copy."""
    return rows.unflatten(0, (-1, dim // 2, 2)).transpose(1, 2).flatten(0, 2)
