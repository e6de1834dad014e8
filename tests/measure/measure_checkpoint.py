"""A checkpoint's weights in the lean decoder, so that its logits can be held against those of Qwen2."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from k2repro.fast.pairs import paired
from k2repro.measure.decode import DecoderWeights, MeasuredLayer
from k2repro.measure.matvec import Kernel
from k2repro.wafer.model.shapes import ModelShape

Array = NDArray[np.float32]


def checkpoint_weights(shape: ModelShape, tensors: Mapping[str, Array], kernel: Kernel) -> DecoderWeights:
    """The weights of a Qwen2 checkpoint, names as in Hugging Face files, values float32 arrays."""

    def layer(index: int) -> MeasuredLayer:
        attention = f"model.layers.{index}.self_attn."
        feed_forward = f"model.layers.{index}.mlp."
        parts = {
            kind: [tensors[f"{attention}{name}_proj.{kind}"] for name in "qkv"] for kind in ("weight", "bias")
        }
        for kind in parts:
            parts[kind][:2] = [paired(part, shape.head_dim) for part in parts[kind][:2]]
        gate_up = [tensors[f"{feed_forward}{name}_proj.weight"] for name in ("gate", "up")]
        return MeasuredLayer(
            attention_norm=tensors[f"model.layers.{index}.input_layernorm.weight"],
            qkv=kernel(np.concatenate(parts["weight"])),
            qkv_bias=np.concatenate(parts["bias"]),
            output=kernel(tensors[f"{attention}o_proj.weight"]),
            feed_forward_norm=tensors[f"model.layers.{index}.post_attention_layernorm.weight"],
            gate_up=kernel(np.concatenate(gate_up)),
            down=kernel(tensors[f"{feed_forward}down_proj.weight"]),
        )

    embedding = tensors["model.embed_tokens.weight"]
    head = embedding if shape.tied else tensors["lm_head.weight"]
    return DecoderWeights(
        embedding, tuple(layer(i) for i in range(shape.layers)), tensors["model.norm.weight"], kernel(head)
    )
