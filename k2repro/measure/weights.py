"""Random weights for the lean decoder: what a value is does not change how long it takes to read."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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
