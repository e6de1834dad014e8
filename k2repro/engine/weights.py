"""Weights prepared for decoding: fewer, larger matrices that give the same logits.

Folded once, so that no step pays for them: the weight of a norm into the matrix that reads its output,
1 / sqrt(head_dim) into the queries. q, k and v are one matrix, gate and up another. The rows of q and k
are reordered so that the two dimensions of a rotary pair are neighbours; q.k is a sum over the same
products as before.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from k2repro.architecture.config import ModelConfig
from k2repro.architecture.qwen2 import DecoderLayer, Qwen2

Array = NDArray[np.float32]


class FoldedWeights(NamedTuple):
    """A copy of all that a step multiplies with: later changes to the model do not reach it.

    Float32, [inputs, outputs] each, line by line in memory; L layers, H query and K key and value heads of D
    dimensions. embedding: [vocabulary, hidden]. qkv: [L, hidden, (H + 2 K) D], bias: [L, (H + 2 K) D].
    output: [L, H D, hidden]. gate_up: [L, hidden, 2 ffn]. down: [L, ffn, hidden]. head: [hidden, vocabulary].
    """

    embedding: Array
    qkv: Array
    bias: Array
    output: Array
    gate_up: Array
    down: Array
    head: Array


class Rotation(NamedTuple):
    """Cosine and sine of each angle of the rotary embedding, float32 [positions, D / 2]."""

    cosines: Array
    sines: Array


@torch.no_grad()
def fold(model: Qwen2) -> FoldedWeights:
    """Prepare a float32 model on the CPU; well under 10 ms for a million parameters."""
    config = model.config
    layers = [layer for layer in model.model.layers if isinstance(layer, DecoderLayer)]

    def stacked(part: Callable[[DecoderLayer], Tensor]) -> Array:
        return np.stack([np.ascontiguousarray(part(layer).numpy()) for layer in layers])

    return FoldedWeights(
        embedding=model.model.embed_tokens.weight.numpy().copy(),
        qkv=stacked(lambda layer: (_qkv(layer, config, "weight") * layer.input_layernorm.weight).t()),
        bias=stacked(lambda layer: _qkv(layer, config, "bias")),
        output=stacked(lambda layer: layer.self_attn.o_proj.weight.t()),
        gate_up=stacked(
            lambda layer: (
                torch.cat((layer.mlp.gate_proj.weight, layer.mlp.up_proj.weight))
                * layer.post_attention_layernorm.weight
            ).t()
        ),
        down=stacked(lambda layer: layer.mlp.down_proj.weight.t()),
        head=np.ascontiguousarray((model.lm_head.weight * model.model.norm.weight).t().numpy()),
    )


@torch.no_grad()
def rotation(model: Qwen2, positions: int) -> Rotation:
    """Of positions 0 .. positions - 1; angles in 32 bit, as the model computes them, with YaRN's factor."""
    angles = torch.arange(positions).float()[:, None] * model.frequencies
    return Rotation((angles.cos() * model.magnitude).numpy(), (angles.sin() * model.magnitude).numpy())


def _qkv(layer: DecoderLayer, config: ModelConfig, name: str) -> Tensor:
    """Weight [outputs, inputs] or bias [outputs] of the three projections, one below the other."""
    attention = layer.self_attn
    query, key, value = (
        getattr(projection, name) for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    return torch.cat([_pair(query * config.head_dim**-0.5, config), _pair(key, config), value])


def _pair(rows: Tensor, config: ModelConfig) -> Tensor:
    """Reorder the rows of each head from (0 .. D/2 - 1, D/2 .. D - 1) to (0, D/2, 1, D/2 + 1, ...)."""
    heads = rows.unflatten(0, (-1, 2, config.head_dim // 2))
    return heads.transpose(1, 2).flatten(0, 2)
