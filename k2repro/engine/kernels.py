"""A decoding step of all rows as one compiled function, for the processor at hand (numba, through LLVM).

A small model's step is a millisecond of arithmetic, and calling some twenty library functions a layer costs
time of the same order: with a few rows most of it. The products here pack nothing: four rows times four
inputs at a time, each line of the matrix read once from a near cache.

A row's numbers depend on that row alone: rows are filled up to a multiple of four, and attention ends where
the row ends. Every sum has its order and its roundings written down here, so that vectors of any width give
the same bits; seen with code for eight x86 processors, with and without fused products.

Shapes: R rows in use, filled up to P; K key and value heads, G query heads to each, D dimensions of a head.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Array = NDArray[np.float32]
Ints = NDArray[np.int64]

ROW_MULTIPLE = 4
# Partial sums of a long sum: as many as the widest vector holds.
LANES = 16
# No fast arithmetic: how a compiler fuses or reorders depends on what it inlined where, and the same
# source gave other bits compiled than read from the cache. `fma` says what is to be fused.
_compiled: Any = numba.njit(nogil=True, cache=True, error_model="numpy")
_LOG2_E = np.float32(1.4426950408889634)
_ONE, _LARGEST = np.float32(1.0), np.float32(126.0)
_HALF = np.float32(0.5)
# 2^y on [-1/2, 1/2] as a polynomial, fitted at Chebyshev points; relative error 1e-7 in 32 bit.
_C1, _C2, _C3 = np.float32(0.6931472056), np.float32(0.2402264846), np.float32(0.0555032902)
_C4, _C5, _C6 = np.float32(0.0096183733), np.float32(0.0013399853), np.float32(0.0001537071)


class Batch(NamedTuple):
    """The tokens of a call: one step of R samples, or whole prompts.

    tokens, places, positions: int64 [R], the token, its row in the cache and its position there; tokens of
    one place stand in the order of their positions. asked: int64 [A], rising: rows whose logits are wanted.
    """

    tokens: Ints
    places: Ints
    positions: Ints
    asked: Ints


class Cache(NamedTuple):
    """keys: [layers, places, K, D, S], so that scores of neighbours are made together. values: [.., S, D]."""

    keys: Array
    values: Array


class Buffers(NamedTuple):
    """What a call overwrites, float32, at least [P, width] each.

    residual, normed: [.., hidden]. qkv: [.., (K G + 2 K) D]. mixed: [.., K G D]. gate_up: [.., 2 ffn].
    activated: [.., ffn]. bits (int32): as long as the longest row and as ffn. lanes: [LANES]. Of two heads:
    scores [2, S], pair [2, D].
    """

    residual: Array
    normed: Array
    qkv: Array
    mixed: Array
    gate_up: Array
    activated: Array
    bits: NDArray[np.int32]
    lanes: Array
    scores: Array
    pair: Array


def _fused(typing, a, b, c):
    """a b + c with one rounding, float32 (LLVM's llvm.fma); an instruction on processors since 2013."""

    def code(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return types.float32(types.float32, types.float32, types.float32), code


fma: Any = intrinsic(_fused)


@_compiled
def product(x, matrix, out, add):
    """out [P, N] = x [P, M] matrix [M, N], or added to it; P and M are multiples of 4."""
    width = matrix.shape[1]
    for r in range(0, x.shape[0], 4):
        out0, out1, out2, out3 = out[r], out[r + 1], out[r + 2], out[r + 3]
        if not add:
            out[r : r + 4] = 0
        for m in range(0, x.shape[1], 4):
            a0, a1, a2, a3 = x[r, m], x[r + 1, m], x[r + 2, m], x[r + 3, m]
            b0, b1, b2, b3 = x[r, m + 1], x[r + 1, m + 1], x[r + 2, m + 1], x[r + 3, m + 1]
            c0, c1, c2, c3 = x[r, m + 2], x[r + 1, m + 2], x[r + 2, m + 2], x[r + 3, m + 2]
            d0, d1, d2, d3 = x[r, m + 3], x[r + 1, m + 3], x[r + 2, m + 3], x[r + 3, m + 3]
            line0, line1, line2, line3 = matrix[m], matrix[m + 1], matrix[m + 2], matrix[m + 3]
            for n in range(width):
                w0, w1, w2, w3 = line0[n], line1[n], line2[n], line3[n]
                out0[n] = fma(d0, w3, fma(c0, w2, fma(b0, w1, fma(a0, w0, out0[n]))))
                out1[n] = fma(d1, w3, fma(c1, w2, fma(b1, w1, fma(a1, w0, out1[n]))))
                out2[n] = fma(d2, w3, fma(c2, w2, fma(b2, w1, fma(a2, w0, out2[n]))))
                out3[n] = fma(d3, w3, fma(c3, w2, fma(b3, w1, fma(a3, w0, out3[n]))))


@_compiled
def exponentials(x, bits):
    """x [N] = e^x in place, between 2^-126 and 2^126. bits: int32 [N], overwritten.

    e^x = 2^n 2^y: the power of two is written into the exponent bits, so that the loop has no call and
    vectorises.
    """
    powers = bits.view(np.float32)
    for i in range(x.shape[0]):
        t = min(max(x[i] * _LOG2_E, -_LARGEST), _LARGEST)
        whole = np.floor(t + _HALF)
        y = t - whole
        bits[i] = (np.int32(whole) + np.int32(127)) << np.int32(23)
        x[i] = fma(y, fma(y, fma(y, fma(y, fma(y, fma(y, _C6, _C5), _C4), _C3), _C2), _C1), _ONE)
    for i in range(x.shape[0]):
        x[i] *= powers[i]


@_compiled
def total_of(lanes):
    """The sum of LANES partial sums, halves onto halves; overwrites them."""
    half = LANES // 2
    while half:
        for i in range(half):
            lanes[i] += lanes[half + i]
        half //= 2
    return lanes[0]


@_compiled
def normalise(x, out, epsilon, lanes):
    """out [N] = x / sqrt(mean(x^2) + epsilon); the weight of the norm is folded away."""
    width = x.shape[0]
    even = width - width % LANES
    lanes[:] = 0
    for n in range(0, even, LANES):
        part = x[n : n + LANES]
        for i in range(LANES):
            lanes[i] = fma(part[i], part[i], lanes[i])
    for n in range(even, width):
        lanes[n - even] = fma(x[n], x[n], lanes[n - even])
    scale = _ONE / np.sqrt(total_of(lanes) / np.float32(width) + epsilon)
    for n in range(width):
        out[n] = x[n] * scale


@_compiled
def softmax(x, bits, lanes):
    """x [N] = e^(x - max x) in place; returns its sum, which is left to divide by."""
    width = x.shape[0]
    even = width - width % LANES
    lanes[:] = x[0]
    for n in range(0, even, LANES):
        part = x[n : n + LANES]
        for i in range(LANES):
            lanes[i] = part[i] if part[i] > lanes[i] else lanes[i]
    for n in range(even, width):
        lanes[0] = max(lanes[0], x[n])
    largest = lanes[0]
    for i in range(LANES):
        largest = max(largest, lanes[i])
    for n in range(width):
        x[n] -= largest
    exponentials(x, bits)
    lanes[:] = 0
    for n in range(0, even, LANES):
        part = x[n : n + LANES]
        for i in range(LANES):
            lanes[i] += part[i]
    for n in range(even, width):
        lanes[n - even] += x[n]
    return total_of(lanes)


@_compiled
def rotate(row, cosines, sines, heads):
    """Turn the pairs (2 i, 2 i + 1) of the first `heads` heads of `row`; cosines, sines: [D / 2]."""
    half = cosines.shape[0]
    for h in range(heads):
        for i in range(half):
            at = 2 * (h * half + i)
            real, imaginary = row[at], row[at + 1]
            row[at] = real * cosines[i] - imaginary * sines[i]
            row[at + 1] = real * sines[i] + imaginary * cosines[i]


@_compiled
def attend(query, keys, values, length, groups, out, buffers):
    """out [K G D] = softmax(query . keys) values over the first `length` positions; queries are scaled.

    query: [>= K G D]. keys: [K, D, S]. values: [K, S, D]. The query heads of a group are taken in pairs, so
    that each key and value is read once for both; the last of an odd group is computed twice.
    """
    dim = keys.shape[1]
    one_scores, two_scores = buffers.scores[0, :length], buffers.scores[1, :length]
    bits, lanes, mixed = buffers.bits[:length], buffers.lanes, buffers.pair
    for head in range(keys.shape[0]):
        for pair in range(0, groups, 2):
            one = (head * groups + pair) * dim
            two = (head * groups + min(pair + 1, groups - 1)) * dim
            two_products(query[one : one + dim], query[two : two + dim], keys[head], one_scores, two_scores)
            one_total = softmax(one_scores, bits, lanes)
            two_total = softmax(two_scores, bits, lanes)
            two_products(one_scores, two_scores, values[head], mixed[0], mixed[1])
            for d in range(dim):
                out[one + d] = mixed[0, d] / one_total
                out[two + d] = mixed[1, d] / two_total


@_compiled
def two_products(one, two, matrix, one_out, two_out):
    """out [N] = row [M] . matrix [>= M, >= N], for two rows, so that each line is read once for both."""
    inner, width = one.shape[0], one_out.shape[0]
    even = inner - inner % 4
    one_out[:] = 0
    two_out[:] = 0
    for m in range(0, even, 4):
        a0, a1, a2, a3 = one[m], one[m + 1], one[m + 2], one[m + 3]
        b0, b1, b2, b3 = two[m], two[m + 1], two[m + 2], two[m + 3]
        line0, line1, line2, line3 = matrix[m], matrix[m + 1], matrix[m + 2], matrix[m + 3]
        for n in range(width):
            w0, w1, w2, w3 = line0[n], line1[n], line2[n], line3[n]
            one_out[n] = fma(a3, w3, fma(a2, w2, fma(a1, w1, fma(a0, w0, one_out[n]))))
            two_out[n] = fma(b3, w3, fma(b2, w2, fma(b1, w1, fma(b0, w0, two_out[n]))))
    for m in range(even, inner):
        line = matrix[m]
        for n in range(width):
            one_out[n] = fma(one[m], line[n], one_out[n])
            two_out[n] = fma(two[m], line[n], two_out[n])


@_compiled
def store(batch, bias, rotation, keys, values, groups, qkv):
    """Add the bias, turn queries and keys, and write keys and values of every row into one layer's cache."""
    kv_heads, dim = keys.shape[1], keys.shape[2]
    queries = kv_heads * groups * dim
    for r in range(batch.tokens.shape[0]):
        row, place, at = qkv[r], batch.places[r], batch.positions[r]
        row += bias
        rotate(row, rotation.cosines[at], rotation.sines[at], kv_heads * (groups + 1))
        for head in range(kv_heads):
            key = queries + head * dim
            value = key + kv_heads * dim
            keys[place, head, :, at] = row[key : key + dim]
            values[place, head, at] = row[value : value + dim]


@_compiled
def attend_all(batch, keys, values, groups, buffers):
    """`attend` for every row, in one layer: keys [places, K, D, S], values [places, K, S, D]."""
    for r in range(batch.tokens.shape[0]):
        place, length = batch.places[r], batch.positions[r] + 1
        attend(buffers.qkv[r], keys[place], values[place], length, groups, buffers.mixed[r], buffers)


@_compiled
def gate(gate_up, out, bits):
    """out [R, F] = silu(gate) up, of gate_up [R, 2 F]. bits: int32, at least F."""
    width = out.shape[1]
    for r in range(out.shape[0]):
        both, result = gate_up[r], out[r]
        for n in range(width):
            result[n] = -both[n]
        exponentials(result, bits[:width])
        for n in range(width):
            result[n] = both[n] / (_ONE + result[n]) * both[width + n]


@_compiled
def decode(batch, weights, cache, rotation, epsilon, buffers, logits):
    """logits [>= A, vocabulary] after the tokens asked for; keys and values go to the cache.

    batch: Batch. weights: FoldedWeights. cache: Cache. rotation: Rotation. buffers: Buffers. logits has a
    multiple of ROW_MULTIPLE rows, the last of which mean nothing.
    """
    rows = batch.tokens.shape[0]
    filled = rows + -rows % ROW_MULTIPLE
    residual, normed = buffers.residual[:filled], buffers.normed[:filled]
    qkv, mixed = buffers.qkv[:filled], buffers.mixed[:filled]
    gate_up, activated = buffers.gate_up[:filled], buffers.activated[:filled]
    keys, values = cache.keys, cache.values
    groups = weights.output.shape[1] // (keys.shape[2] * keys.shape[3])
    residual[rows:] = 0
    for r in range(rows):
        residual[r] = weights.embedding[batch.tokens[r]]
    for layer in range(weights.bias.shape[0]):
        for r in range(filled):
            normalise(residual[r], normed[r], epsilon, buffers.lanes)
        product(normed, weights.qkv[layer], qkv, False)
        store(batch, weights.bias[layer], rotation, keys[layer], values[layer], groups, qkv)
        attend_all(batch, keys[layer], values[layer], groups, buffers)
        product(mixed, weights.output[layer], residual, True)
        for r in range(filled):
            normalise(residual[r], normed[r], epsilon, buffers.lanes)
        product(normed, weights.gate_up[layer], gate_up, False)
        gate(gate_up[:rows], activated[:rows], buffers.bits)
        product(activated, weights.down[layer], residual, True)
    for i in range(batch.asked.shape[0]):
        normalise(residual[batch.asked[i]], normed[i], epsilon, buffers.lanes)
    product(normed[: logits.shape[0]], weights.head, logits, False)
