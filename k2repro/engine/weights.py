"""Weights prepared for decoding: fewer, larger matrices that give the same logits.

Folded once, so that no step pays for them: the weight of a norm into the matrix that reads its output,
1 / sqrt(head_dim) into the queries. q, k and v are one matrix, gate and up another. The rows of q and k
are reordered so that the two dimensions of a rotary pair are neighbours: the rotation is then one complex
product, and q.k is a sum over the same products as before.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..architecture.config import ModelConfig
from ..architecture.qwen2 import DecoderLayer, Qwen2


@dataclass(frozen=True)
class FusedLayer:
    """Matrices of one layer, float32 [inputs, outputs]; H query, K key and value heads of D dimensions.

    qkv: [hidden, (H + 2 K) D], bias: [(H + 2 K) D]. output: [H D, hidden]. gate_up: [hidden, 2 ffn].
    down: [ffn, hidden].
    """

    qkv: Tensor
    bias: Tensor
    output: Tensor
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True)
class FusedWeights:
    """A copy of all that a step reads: later changes to the model do not reach it.

    embedding: [vocabulary, hidden]. head: [hidden, vocabulary]. frequencies: float32 [D / 2], radians a
    position; magnitude: YaRN's factor on cosine and sine.
    """

    config: ModelConfig
    embedding: NDArray[np.float32]
    layers: tuple[FusedLayer, ...]
    head: Tensor
    frequencies: Tensor
    magnitude: float

    def rotation(self, positions: int) -> NDArray[np.complex64]:
        """cos + i sin of each angle, [positions, D / 2]; angles in 32 bit, as the model computes them."""
        angles = torch.arange(positions).float()[:, None] * self.frequencies
        turned = torch.complex(angles.cos() * self.magnitude, angles.sin() * self.magnitude)
        return turned.numpy()


@torch.no_grad()
def fuse(model: Qwen2) -> FusedWeights:
    """Prepare a float32 model on the CPU; well under 10 ms for a million parameters."""
    config = model.config
    norm = model.model.norm.weight
    return FusedWeights(
        config=config,
        embedding=model.model.embed_tokens.weight.detach().clone().numpy(),
        layers=tuple(_fuse_layer(layer, config) for layer in _layers(model)),
        head=(model.lm_head.weight * norm).t(),
        frequencies=model.frequencies.clone(),
        magnitude=model.magnitude,
    )


def _layers(model: Qwen2) -> list[DecoderLayer]:
    return [layer for layer in model.model.layers if isinstance(layer, DecoderLayer)]


def _fuse_layer(layer: DecoderLayer, config: ModelConfig) -> FusedLayer:
    attention, mlp = layer.self_attn, layer.mlp
    scale = config.head_dim**-0.5
    projections = (
        (_pair(attention.q_proj.weight * scale, config), _pair(attention.q_proj.bias * scale, config)),
        (_pair(attention.k_proj.weight, config), _pair(attention.k_proj.bias, config)),
        (attention.v_proj.weight, attention.v_proj.bias),
    )
    qkv = torch.cat([weight for weight, _ in projections]) * layer.input_layernorm.weight
    gate_up = torch.cat((mlp.gate_proj.weight, mlp.up_proj.weight)) * layer.post_attention_layernorm.weight
    return FusedLayer(
        qkv=qkv.t(),
        bias=torch.cat([bias for _, bias in projections]),
        output=attention.o_proj.weight.detach().clone().t(),
        gate_up=gate_up.t(),
        down=mlp.down_proj.weight.detach().clone().t(),
    )


def _pair(rows: Tensor, config: ModelConfig) -> Tensor:
    """Reorder the rows of each head from (0 .. D/2 - 1, D/2 .. D - 1) to (0, D/2, 1, D/2 + 1, ...)."""
    heads = rows.unflatten(0, (-1, 2, config.head_dim // 2))
    return heads.transpose(1, 2).flatten(0, 2)
