"""Weights for the lean decoder: random ones for timing, or a checkpoint's for checking it."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.fast.pairs import paired
from k2repro.measure.decode import DecoderWeights, MeasuredLayer
from k2repro.measure.matvec import Kernel
from k2repro.wafer.model.shapes import ModelShape

Array = NDArray[np.float32]
# Random matrices repeat one block of this many values: drawing 1.5 billion normal numbers takes
# longer than the measurement, and what a value is does not change how long it takes to read.
_BLOCK = 1 << 20
# One row of the embedding is read per token: a table of this many rows stands for a large one.
_EMBEDDING_ROWS = 1024


def random_matrices(generator: np.random.Generator) -> Callable[[int, int], Array]:
    """A function (rows, columns) -> matrix with the variance of an initialised model.

    Every matrix has pages of its own, so each is really read from memory.
    """
    block = generator.standard_normal(_BLOCK, dtype=np.float32)

    def draw(rows: int, columns: int) -> Array:
        matrix = np.resize(block, (rows, columns))
        matrix *= np.float32(columns**-0.5)
        return matrix

    return draw


def random_weights(shape: ModelShape, kernel: Kernel, draw: Callable[[int, int], Array]) -> DecoderWeights:
    """A model of that shape with random weights and norms of one.

    The head is built first: it is the largest matrix, and its copies should not come on top of
    all the others.
    """
    head = kernel(draw(shape.vocab, shape.hidden))
    q, kv = shape.q_heads * shape.head_dim, shape.kv_heads * shape.head_dim
    ones = np.ones(shape.hidden, np.float32)
    layers = tuple(
        MeasuredLayer(
            attention_norm=ones,
            qkv=kernel(draw(q + 2 * kv, shape.hidden)),
            qkv_bias=draw(1, q + 2 * kv)[0],
            output=kernel(draw(shape.hidden, q)),
            feed_forward_norm=ones,
            gate_up=kernel(draw(2 * shape.ffn, shape.hidden)),
            down=kernel(draw(shape.hidden, shape.ffn)),
        )
        for _ in range(shape.layers)
    )
    embedding = draw(min(shape.vocab, _EMBEDDING_ROWS), shape.hidden)
    return DecoderWeights(embedding, layers, ones, head)


def checkpoint_weights(shape: ModelShape, tensors: Mapping[str, Array], kernel: Kernel) -> DecoderWeights:
    """The weights of a Qwen2 checkpoint, names as in Hugging Face files, values float32 arrays.

    Raises K2ReproError when a tensor is missing.
    """

    def take(name: str) -> Array:
        if name not in tensors:
            raise K2ReproError(
                f"the checkpoint has no tensor {name!r}; the usual cause is an architecture that is not Qwen2"
            )
        return np.asarray(tensors[name], np.float32)

    def layer(index: int) -> MeasuredLayer:
        attention = f"model.layers.{index}.self_attn."
        feed_forward = f"model.layers.{index}.mlp."
        parts = {
            kind: [take(f"{attention}{name}_proj.{kind}") for name in "qkv"] for kind in ("weight", "bias")
        }
        for kind in parts:
            parts[kind][:2] = [paired(part, shape.head_dim) for part in parts[kind][:2]]
        gate_up = [take(f"{feed_forward}{name}_proj.weight") for name in ("gate", "up")]
        return MeasuredLayer(
            attention_norm=take(f"model.layers.{index}.input_layernorm.weight"),
            qkv=kernel(np.concatenate(parts["weight"])),
            qkv_bias=np.concatenate(parts["bias"]),
            output=kernel(take(f"{attention}o_proj.weight")),
            feed_forward_norm=take(f"model.layers.{index}.post_attention_layernorm.weight"),
            gate_up=kernel(np.concatenate(gate_up)),
            down=kernel(take(f"{feed_forward}down_proj.weight")),
        )

    embedding = take("model.embed_tokens.weight")
    head = embedding if shape.tied else take("lm_head.weight")
    return DecoderWeights(
        embedding, tuple(layer(i) for i in range(shape.layers)), take("model.norm.weight"), kernel(head)
    )
