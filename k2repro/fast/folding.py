"""Weights made ready for the compiled passes: fewer, larger matrices that give the same logits.

Folded: the weight of a norm into the matrices that read its output, 1 / sqrt(head_dim) into the queries.
Keys and values are one matrix, gate and up another; for decoding, queries, keys and values are one. The rows
of q and k are reordered so that the two dimensions of a rotary pair are neighbours, and a rotation is one
complex product; q.k is a sum over the same products as before. Training folds each layer in every pass and
takes the gradients back (`Folding.unfold`); decoding folds a model once (`fold`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from k2repro.architecture.config import ModelConfig
from k2repro.architecture.qwen2 import Qwen2
from k2repro.errors import K2ReproError
from k2repro.fast.kernels.decode import Angles, FoldedWeights
from k2repro.fast.kernels.panels import packed
from k2repro.fast.pairs import paired, unpaired

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
        if not config.attention_bias:
            raise K2ReproError("the compiled passes add biases, which a Llama has not; use the plain decoder")
        self._config, self._parameters = config, parameters
        self._scale = config.head_dim**-0.5

    def fold(self) -> LayerWeights:
        """The matrices of a pass, copies but for `output` and `down`."""
        p, dim = self._parameters, self._config.head_dim
        reading, feeding = p["input_layernorm.weight"], p["post_attention_layernorm.weight"]
        key, value = p["self_attn.k_proj.weight"], p["self_attn.v_proj.weight"]
        key_bias = paired(p["self_attn.k_proj.bias"], dim)
        return LayerWeights(
            query=paired(p["self_attn.q_proj.weight"], dim) * (reading * self._scale),
            query_bias=paired(p["self_attn.q_proj.bias"], dim) * self._scale,
            key_value=torch.cat((paired(key, dim), value)).mul_(reading),
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
            "self_attn.q_proj.weight": unpaired(found.query, dim).mul_(self._scale),
            "self_attn.q_proj.bias": unpaired(found.query_bias, dim).mul_(self._scale),
            "self_attn.k_proj.weight": unpaired(found.key_value[:keys], dim),
            "self_attn.k_proj.bias": unpaired(found.key_value_bias[:keys], dim),
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


@torch.no_grad()
def fold(model: Qwen2) -> FoldedWeights:
    """Prepare a float32 model on the CPU; well under 10 ms for a million parameters."""
    config = model.config
    layers = [Folding(config, dict(layer.named_parameters())).fold() for layer in model.model.layers]

    def panels(matrices: Iterable[Tensor]) -> NDArray[np.float32]:
        return packed([matrix.t().numpy() for matrix in matrices])

    return FoldedWeights(
        embedding=model.model.embed_tokens.weight.numpy().copy(),
        qkv=panels(torch.cat((layer.query, layer.key_value)) for layer in layers),
        bias=torch.stack([torch.cat((layer.query_bias, layer.key_value_bias)) for layer in layers]).numpy(),
        output=panels(layer.output for layer in layers),
        gate_up=panels(layer.gate_up for layer in layers),
        down=panels(layer.down for layer in layers),
        head=panels([model.lm_head.weight * model.model.norm.weight])[0],
    )


@torch.no_grad()
def angles(model: Qwen2, positions: int) -> Angles:
    """Of positions 0 .. positions - 1, in 32 bit, as the model computes them, with YaRN's factor."""
    turns = torch.arange(positions).float()[:, None] * model.frequencies
    return Angles((turns.cos() * model.magnitude).numpy(), (turns.sin() * model.magnitude).numpy())
