"""A decoding step of all rows as one compiled function, for the processor at hand (numba, through LLVM).

A small model's step is a millisecond of arithmetic, and calling some twenty library functions a layer costs
nearly as much again. The products here pack nothing: four rows times four inputs at a time, each line of the
matrix read once from a near cache. On one processor with AVX-512 they took a quarter to two thirds of the
BLAS's time at 4 rows, and about as long or less at 32 and 64.

A row's numbers depend on that row alone: every sum runs in an order that the widths of the model fix, rows
are filled up to a multiple of four, and attention ends where the row ends.

Shapes: R rows in use, filled up to P; K key and value heads, G query heads to each, D dimensions of a head.
"""

from typing import Any

import numba
import numpy as np

ROW_MULTIPLE = 4
# Sums may be reordered and fused, which vectorises them; values that are not finite keep their meaning.
_compiled: Any = numba.njit(
    nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"}
)
_LOG2_E = np.float32(1.4426950408889634)
_ONE, _LARGEST = np.float32(1.0), np.float32(126.0)
_HALF = np.float32(0.5)
# 2^y on [-1/2, 1/2] as a polynomial, fitted at Chebyshev points; relative error 1e-7 in 32 bit.
_C1, _C2, _C3 = np.float32(0.6931472056), np.float32(0.2402264846), np.float32(0.0555032902)
_C4, _C5, _C6 = np.float32(0.0096183733), np.float32(0.0013399853), np.float32(0.0001537071)


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
                out0[n] += a0 * w0 + b0 * w1 + c0 * w2 + d0 * w3
                out1[n] += a1 * w0 + b1 * w1 + c1 * w2 + d1 * w3
                out2[n] += a2 * w0 + b2 * w1 + c2 * w2 + d2 * w3
                out3[n] += a3 * w0 + b3 * w1 + c3 * w2 + d3 * w3


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
        x[i] = _ONE + y * (_C1 + y * (_C2 + y * (_C3 + y * (_C4 + y * (_C5 + y * _C6)))))
    for i in range(x.shape[0]):
        x[i] *= powers[i]


@_compiled
def normalise(x, out, epsilon):
    """out [P, N] = x / sqrt(mean(x^2) + epsilon), row by row; the weight of the norm is folded away."""
    for r in range(x.shape[0]):
        total = np.float32(0)
        for n in range(x.shape[1]):
            total += x[r, n] * x[r, n]
        scale = _ONE / np.sqrt(total / np.float32(x.shape[1]) + epsilon)
        for n in range(x.shape[1]):
            out[r, n] = x[r, n] * scale


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
def attend(query, keys, values, length, groups, out, scores, bits):
    """out [K G D] = softmax(query . keys) values over the first `length` positions; queries are scaled.

    query: [>= K G D]. keys: [K, D, S], so that scores of neighbouring positions are made together. values:
    [K, S, D]. scores, bits: float32 and int32 buffers of at least `length`.
    """
    dim = keys.shape[1]
    for head in range(keys.shape[0] * groups):
        first = head * dim
        own_keys, own_values = keys[head // groups], values[head // groups]
        scores[:length] = 0
        for d in range(0, dim - 3, 4):
            at = first + d
            q0, q1, q2, q3 = query[at], query[at + 1], query[at + 2], query[at + 3]
            k0, k1, k2, k3 = own_keys[d], own_keys[d + 1], own_keys[d + 2], own_keys[d + 3]
            for s in range(length):
                scores[s] += q0 * k0[s] + q1 * k1[s] + q2 * k2[s] + q3 * k3[s]
        for d in range(dim - dim % 4, dim):
            asked, line = query[first + d], own_keys[d]
            for s in range(length):
                scores[s] += asked * line[s]
        largest = scores[0]
        for s in range(length):
            largest = max(largest, scores[s])
        for s in range(length):
            scores[s] -= largest
        exponentials(scores[:length], bits[:length])
        total = np.float32(0)
        for s in range(length):
            total += scores[s]
        mixed = out[first : first + dim]
        mixed[:] = 0
        even = length - length % 4
        for s in range(0, even, 4):
            w0, w1, w2, w3 = scores[s], scores[s + 1], scores[s + 2], scores[s + 3]
            v0, v1, v2, v3 = own_values[s], own_values[s + 1], own_values[s + 2], own_values[s + 3]
            for d in range(dim):
                mixed[d] += w0 * v0[d] + w1 * v1[d] + w2 * v2[d] + w3 * v3[d]
        for s in range(even, length):
            weight, line = scores[s], own_values[s]
            for d in range(dim):
                mixed[d] += weight * line[d]
        for d in range(dim):
            mixed[d] /= total


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
def decode(
    tokens, places, positions, weights, keys, values, rotation, epsilon, buffers, logits
):
    """logits [P, vocabulary] after each of R tokens, which are one step of R samples or whole prompts.

    tokens, places, positions: int64 [R], the token, its row in the cache and its position there; the tokens
    of one place stand in the order of their positions. weights: embedding [V, hidden], then [layers, ...] of
    qkv, bias, output, gate_up and down, then head [hidden, V]; see `FusedLayer`. keys, values: the cache,
    [layers, places, K, D, S] and [layers, places, K, S, D], written at `positions`. rotation: cosines and
    sines [S, D / 2]. buffers: residual, normed, qkv, mixed, gate_up, product of a Workspace [P, ...]; then
    scores and bits.
    """
    embedding, qkv_matrix, bias, output, gate_up_matrix, down, head = weights
    residual, normed, qkv, mixed, gate_up, activated, scores, bits = buffers
    rows, kv_heads, dim, queries = len(tokens), keys.shape[2], keys.shape[3], output.shape[1]
    groups = queries // (kv_heads * dim)
    residual[rows:] = 0
    for r in range(rows):
        residual[r] = embedding[tokens[r]]
    for layer in range(len(bias)):
        normalise(residual, normed, epsilon)
        product(normed, qkv_matrix[layer], qkv, False)
        for r in range(rows):
            row, place, at = qkv[r], places[r], positions[r]
            row += bias[layer]
            rotate(row, rotation[0][at], rotation[1][at], kv_heads * (groups + 1))
            for head_at in range(kv_heads):
                key = queries + head_at * dim
                keys[layer, place, head_at, :, at] = row[key : key + dim]
                values[layer, place, head_at, at] = row[key + kv_heads * dim : key + (kv_heads + 1) * dim]
            attend(
                row, keys[layer, place], values[layer, place], at + 1, groups, mixed[r], scores, bits
            )
        product(mixed, output[layer], residual, True)
        normalise(residual, normed, epsilon)
        product(normed, gate_up_matrix[layer], gate_up, False)
        gate(gate_up[:rows], activated[:rows], bits)
        product(activated, down[layer], residual, True)
    normalise(residual, normed, epsilon)
    product(normed, head, logits, False)
