"""A decoding step of all rows as one compiled function, for the processor at hand.

A small model's step is a millisecond of arithmetic, and calling some twenty library functions a layer costs
time of the same order: with a few rows most of it.

A row's numbers depend on that row alone: tiles sum in one order whatever their size, and a row has no weight
for what stands behind it. So several tokens of a text in one call give the bits of one call each.

Shapes: R rows in use; K key and value heads, G query heads to each, D dimensions of a head.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from k2repro.fast.kernels import vectors
from k2repro.fast.kernels.compiling import compiled
from k2repro.fast.kernels.panels import multiply_panels
from k2repro.fast.kernels.softmax import exponential, softmax
from k2repro.fast.kernels.tiles import multiply
from k2repro.fast.kernels.vectors import LANES, filled

Array = NDArray[np.float32]
Ints = NDArray[np.int64]

# Rows of one text that attend together: their scores are one product.
BLOCK = 8
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


class DecodeBatch(NamedTuple):
    """The tokens of a call: one step of R samples, or whole prompts.

    tokens, places, positions: int64 [R], the token, its row in the cache and its position there; tokens of
    one place stand in the order of their positions. asked: int64 [A], rising: rows whose logits are wanted.
    """

    tokens: Ints
    places: Ints
    positions: Ints
    asked: Ints


class KeyValueCache(NamedTuple):
    """keys: [layers, places, K, D, S], so that scores of neighbours are made together. values: [.., S, D]."""

    keys: Array
    values: Array


class FoldedWeights(NamedTuple):
    """A copy of all that a step multiplies with: later changes to the model do not reach it.

    Float32. L layers, H query and K key and value heads of D dimensions. embedding: [vocabulary, hidden].
    bias: [L, (H + 2 K) D]. All others in panels of outputs, [L, outputs / PANEL, inputs, PANEL], the head
    without L (`panels.py`). qkv: hidden to (H + 2 K) D. output: H D to hidden. gate_up: hidden to 2 ffn.
    down: ffn to hidden. head: hidden to vocabulary.
    """

    embedding: Array
    qkv: Array
    bias: Array
    output: Array
    gate_up: Array
    down: Array
    head: Array


class Angles(NamedTuple):
    """Cosine and sine of each angle of the rotary embedding, float32 [positions, D / 2]."""

    cosines: Array
    sines: Array


class Buffers(NamedTuple):
    """What a call overwrites, float32, at least [R, width] each, `room` of the width and some.

    residual, normed: [.., hidden]. qkv: [.., (K G + 2 K) D]. mixed: [.., K G D]. gate_up: [.., 2 ffn].
    activated: [.., ffn]. Of BLOCK rows and one KV head: queries, found [BLOCK G, D], scores [BLOCK G, S],
    totals [BLOCK G]. What stands behind the width is 0 in residual: whole vectors and panels are read.
    """

    residual: Array
    normed: Array
    qkv: Array
    mixed: Array
    gate_up: Array
    activated: Array
    queries: Array
    found: Array
    scores: Array
    totals: Array


@compiled
def normalise(x, row, out, to, width, epsilon):
    """First `width` of out[to] = x[row] / sqrt(mean(x[row]^2) + epsilon); the norm's weight is folded away.

    What stands behind them in the last vector of x[row] is 0.
    """
    sums = vectors.spread(_ZERO)
    for n in range(0, width, LANES):
        part = vectors.load(x, row, n)
        sums = vectors.fma(part, part, sums)
    scale = vectors.spread(_ONE / np.sqrt(vectors.total(sums) / np.float32(width) + epsilon))
    for n in range(0, width, LANES):
        vectors.store(vectors.times(vectors.load(x, row, n), scale), out, to, n)


@compiled
def rotate(row, cosines, sines, heads):
    """Turn the pairs (2 i, 2 i + 1) of the first `heads` heads of `row`; cosines, sines: [D / 2]."""
    half = cosines.shape[0]
    for h in range(heads):
        for i in range(half):
            at = 2 * (h * half + i)
            real, imaginary = row[at], row[at + 1]
            row[at] = real * cosines[i] - imaginary * sines[i]
            row[at + 1] = real * sines[i] + imaginary * cosines[i]


@compiled
def attend(batch, first, last, head, keys, values, groups, buffers):
    """Attention of one KV head for rows first .. last - 1, which follow each other in one text.

    keys: [D, S], values: [S, D] of that head. Each row sees the positions up to its own: behind them its
    weights are 0, which changes no bit of a sum.
    """
    dim, rows = keys.shape[0], (last - first) * groups
    for r in range(first, last):
        for g in range(groups):
            at = (head * groups + g) * dim
            buffers.queries[(r - first) * groups + g, :dim] = buffers.qkv[r, at : at + dim]
    length = batch.positions[last - 1] + 1
    columns = filled(length)
    multiply(buffers.scores, buffers.queries, keys, (0, rows), columns, (0, dim), False)
    for row in range(rows):
        seen = batch.positions[first + row // groups] + 1
        buffers.totals[row] = softmax(buffers.scores, row, seen)
        for n in range(filled(seen), columns, LANES):
            vectors.store(vectors.spread(_ZERO), buffers.scores, row, n)
    multiply(buffers.found, buffers.scores, values, (0, rows), dim, (0, length), False)
    for row in range(rows):
        at = (head * groups + row % groups) * dim
        mixed, total = buffers.mixed[first + row // groups], buffers.totals[row]
        for d in range(dim):
            mixed[at + d] = buffers.found[row, d] / total


@compiled
def store(batch, bias, angles, keys, values, groups, qkv):
    """Add the bias, turn queries and keys, and write keys and values of every row into one layer's cache."""
    kv_heads, dim = keys.shape[1], keys.shape[2]
    queries = kv_heads * groups * dim
    for r in range(batch.tokens.shape[0]):
        row, place, at = qkv[r], batch.places[r], batch.positions[r]
        row += bias
        rotate(row, angles.cosines[at], angles.sines[at], kv_heads * (groups + 1))
        for head in range(kv_heads):
            key = queries + head * dim
            value = key + kv_heads * dim
            keys[place, head, :, at] = row[key : key + dim]
            values[place, head, at] = row[value : value + dim]


@compiled
def attend_all(batch, keys, values, groups, buffers):
    """`attend` for every row, in one layer: keys [places, K, D, S], values [places, K, S, D]."""
    count, first = batch.tokens.shape[0], 0
    while first < count:
        place, last = batch.places[first], first + 1
        while last < min(count, first + BLOCK) and batch.places[last] == place:
            last += 1
        for head in range(keys.shape[1]):
            attend(batch, first, last, head, keys[place, head], values[place, head], groups, buffers)
        first = last


@compiled
def gate(gate_up, out, rows, width):
    """First `width` columns of out = silu(gate) up, of gate_up [rows, 2 width]; behind them anything."""
    one = vectors.spread(_ONE)
    for row in range(rows):
        for n in range(0, width, LANES):
            x = vectors.load(gate_up, row, n)
            share = vectors.add(one, exponential(vectors.subtract(vectors.spread(_ZERO), x)))
            lit = vectors.over(x, share)
            vectors.store(vectors.times(lit, vectors.load(gate_up, row, width + n)), out, row, n)


@compiled
def decode(batch, weights, cache, angles, epsilon, buffers, logits):
    """Logits after the tokens asked for; keys and values go to the cache.

    logits: [A, vocabulary filled up to whole panels]. batch: Batch. weights: FoldedWeights. cache: Cache.
    angles: Angles. buffers: Buffers.
    """
    rows, hidden, width = batch.tokens.shape[0], weights.embedding.shape[1], weights.down.shape[2]
    residual, normed, qkv, mixed = buffers.residual, buffers.normed, buffers.qkv, buffers.mixed
    gate_up, activated = buffers.gate_up, buffers.activated
    keys, values = cache.keys, cache.values
    groups = weights.output.shape[2] // (keys.shape[2] * keys.shape[3])
    for r in range(rows):
        residual[r, :hidden] = weights.embedding[batch.tokens[r]]
    for layer in range(weights.bias.shape[0]):
        for r in range(rows):
            normalise(residual, r, normed, r, hidden, epsilon)
        multiply_panels(qkv, normed, weights.qkv[layer], rows, False)
        store(batch, weights.bias[layer], angles, keys[layer], values[layer], groups, qkv)
        attend_all(batch, keys[layer], values[layer], groups, buffers)
        multiply_panels(residual, mixed, weights.output[layer], rows, True)
        for r in range(rows):
            normalise(residual, r, normed, r, hidden, epsilon)
        multiply_panels(gate_up, normed, weights.gate_up[layer], rows, False)
        gate(gate_up, activated, rows, width)
        multiply_panels(residual, activated, weights.down[layer], rows, True)
    for i in range(batch.asked.shape[0]):
        normalise(residual, batch.asked[i], normed, i, hidden, epsilon)
    multiply_panels(logits, normed, weights.head, batch.asked.shape[0], False)
