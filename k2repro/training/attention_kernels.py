"""Causal attention inside each text of a packed batch and its way back, compiled: one call a layer.

A text attends to itself only, so its scores are a small matrix of their own, made BLOCK rows at a time. Of
each row only the keys that it sees are touched: half of the work, seen over a text. As in flash attention
(arXiv 2205.14135), weights are not kept: the way back makes them again from the peak and the sum of each row.

Shapes: M queries and N keys in all; K key and value heads, G query heads to each, D dimensions of a head. The
rows of scores of a text and key head are its queries, G for each place, filled up to BLOCK; the columns are
its keys, filled up to whole vectors.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from k2repro.kernels import LANES, compiled, exponentials, multiply, peak_of, scale, vectors
from k2repro.training.spans import Texts

Array = NDArray[np.float32]

BLOCK = 8
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


class Kept(NamedTuple):
    """Of each row of scores, float32 [K, rows of all texts]: the largest score, and 1 / the sum of weights."""

    peaks: Array
    shares: Array


class Work(NamedTuple):
    """Memory for one text and head, float32: queries and mixed values [rows, D], the same of the gradients.

    keys, values, sums: [columns, D]. across: [D columns]. weights, scores: [rows columns].
    """

    queries: Array
    mixed: Array
    found: Array
    keys: Array
    values: Array
    sums: Array
    across: Array
    weights: Array
    scores: Array


@compiled
def rows_of(texts, text, groups):
    """How many rows of scores a text has."""
    rows = (texts.lengths[text] - texts.firsts[text]) * groups
    return rows + -rows % BLOCK


@compiled
def all_rows(texts, groups):
    """How many all texts have."""
    found = 0
    for text in range(texts.lengths.shape[0]):
        found += rows_of(texts, text, groups)
    return found


@compiled
def work_for(texts, groups, dim):
    """Enough memory for any of the texts."""
    rows = columns = 0
    for text in range(texts.lengths.shape[0]):
        rows, columns = max(rows, rows_of(texts, text, groups)), max(columns, texts.lengths[text])
    columns += -columns % LANES
    kind = np.float32
    return Work(
        np.empty((rows, dim), kind), np.empty((rows, dim), kind), np.empty((rows, dim), kind),
        np.empty((columns, dim), kind), np.empty((columns, dim), kind), np.empty((columns, dim), kind),
        np.empty(dim * columns, kind), np.empty(rows * columns, kind), np.empty(rows * columns, kind),
    )


@compiled
def attend(texts, groups, heads, query, key_value, kept, out):
    """out [M, K G D] = attention of the key heads heads[0] .. heads[1] - 1; other rows than queries are left.

    query: [M, K G D], scaled and rotated. key_value: [N, 2 K D], keys rotated. kept: written.
    """
    kv_heads = kept.peaks.shape[0]
    dim = key_value.shape[1] // (2 * kv_heads)
    work = work_for(texts, groups, dim)
    for head in range(heads[0], heads[1]):
        at = 0
        for text in range(texts.lengths.shape[0]):
            rows, columns = rows_of(texts, text, groups), take(texts, text, head, groups, query, key_value, work)
            keys_across = work.across.reshape(dim, -1)[:, :columns]
            turn(work.keys, columns, keys_across)
            # Only a block of them at a time: they stay in the nearest cache.
            scores = work.scores[: BLOCK * columns].reshape(BLOCK, columns)
            peaks, shares = kept.peaks[head, at : at + rows], kept.shares[head, at : at + rows]
            for row in range(0, rows, BLOCK):
                block, reach = slice(row, row + BLOCK), reach_of(texts, text, row, groups)
                multiply(scores, work.queries[block], keys_across, (0, BLOCK), reach, (0, dim), False)
                for one in range(BLOCK):
                    seen = seen_by(texts, text, row + one, groups)
                    peaks[row + one] = peak_of(scores, one, seen)
                    shares[row + one] = _ONE / exponentials(scores, one, seen, peaks[row + one])
                    hide(scores, one, seen, reach)
                multiply(work.mixed[block], scores, work.values, (0, BLOCK), dim, (0, reach), False)
                for one in range(row, row + BLOCK):
                    for d in range(dim):
                        work.mixed[one, d] *= shares[one]
            put(texts, text, head, groups, work.mixed, out)
            at += rows


@compiled
def attend_back(texts, groups, heads, query, key_value, kept, gradient, of_query, of_key_value):
    """Gradients of queries (written) and of keys and values (added) from that of what `attend` returns."""
    kv_heads = kept.peaks.shape[0]
    dim = key_value.shape[1] // (2 * kv_heads)
    work = work_for(texts, groups, dim)
    for head in range(heads[0], heads[1]):
        at = 0
        for text in range(texts.lengths.shape[0]):
            rows, columns = rows_of(texts, text, groups), take(texts, text, head, groups, query, key_value, work)
            take_rows(texts, text, head, groups, gradient, work.mixed)
            peaks, shares = kept.peaks[head, at : at + rows], kept.shares[head, at : at + rows]
            weights = work.weights[: rows * columns].reshape(rows, columns)
            scores = work.scores[: rows * columns].reshape(rows, columns)
            make_weights(texts, text, groups, peaks, shares, work, weights)
            scores_back(texts, text, groups, weights, work, scores)
            put(texts, text, head, groups, work.found, of_query)
            across_back(texts, text, groups, scores, work.queries, work.sums)
            add_seen(texts, text, head * dim, work.sums, of_key_value)
            across_back(texts, text, groups, weights, work.mixed, work.sums)
            add_seen(texts, text, (kv_heads + head) * dim, work.sums, of_key_value)
            at += rows


@compiled
def make_weights(texts, text, groups, peaks, shares, work, weights):
    """weights [rows, columns] of `attend` again, as far as each block reaches."""
    dim, columns = work.queries.shape[1], weights.shape[1]
    keys_across = work.across.reshape(dim, -1)[:, :columns]
    turn(work.keys, columns, keys_across)
    for row in range(0, weights.shape[0], BLOCK):
        reach = reach_of(texts, text, row, groups)
        multiply(weights, work.queries, keys_across, (row, row + BLOCK), reach, (0, dim), False)
        for one in range(row, row + BLOCK):
            seen = seen_by(texts, text, one, groups)
            exponentials(weights, one, seen, peaks[one])
            scale(weights, one, seen, shares[one])
            hide(weights, one, seen, reach)


@compiled
def scores_back(texts, text, groups, weights, work, scores):
    """Gradients of the scores, and of the queries in work.found, from that of the mixed values."""
    dim, columns = work.queries.shape[1], weights.shape[1]
    values_across = work.across.reshape(dim, -1)[:, :columns]
    turn(work.values, columns, values_across)
    for row in range(0, weights.shape[0], BLOCK):
        block, reach = (row, row + BLOCK), reach_of(texts, text, row, groups)
        multiply(scores, work.mixed, values_across, block, reach, (0, dim), False)
        for one in range(row, row + BLOCK):
            softmax_back(weights, scores, one, reach)
        multiply(work.found, scores, work.keys, block, dim, (0, reach), False)


@compiled
def softmax_back(weights, gradient, row, length):
    """Gradient of the scores of a row from that of the weights, in place: w (g - sum of w g)."""
    sums = vectors.spread(_ZERO)
    for n in range(0, length, LANES):
        sums = vectors.fma(vectors.load(weights, row, n), vectors.load(gradient, row, n), sums)
    shift = vectors.spread(vectors.total(sums))
    for n in range(0, length, LANES):
        found = vectors.subtract(vectors.load(gradient, row, n), shift)
        vectors.store(vectors.times(vectors.load(weights, row, n), found), gradient, row, n)


@compiled
def across_back(texts, text, groups, scores, rows, out):
    """out [columns, D] = scores^T rows, for each key from the first block on that reaches it."""
    dim, last = rows.shape[1], scores.shape[0]
    for key in range(0, scores.shape[1], BLOCK):
        begin = max(0, (key - texts.firsts[text]) * groups)
        inner = (begin - begin % BLOCK, last)
        multiply(out, scores.T, rows, (key, key + BLOCK), dim, inner, False)


@compiled
def seen_by(texts, text, row, groups):
    """How many keys a row of scores sees."""
    return min(texts.firsts[text] + row // groups + 1, texts.lengths[text])


@compiled
def reach_of(texts, text, row, groups):
    """How many keys the block that begins with `row` sees, filled up to whole vectors."""
    seen = seen_by(texts, text, row + BLOCK - 1, groups)
    return seen + -seen % LANES


@compiled
def hide(x, row, seen, reach):
    """No weight for vectors of keys that only later rows of the block see."""
    nothing = vectors.spread(_ZERO)
    for n in range(seen + -seen % LANES, reach, LANES):
        vectors.store(nothing, x, row, n)


@compiled
def take(texts, text, head, groups, query, key_value, work):
    """Queries, keys and values of a text and head into `work`; returns the columns of its scores."""
    dim = work.keys.shape[1]
    length = texts.lengths[text]
    columns = length + -length % LANES
    take_rows(texts, text, head, groups, query, work.queries)
    value_at = key_value.shape[1] // 2
    for key in range(length):
        line = key_value[texts.seen[texts.seen_at[text] + key]]
        for d in range(dim):
            work.keys[key, d] = line[head * dim + d]
            work.values[key, d] = line[value_at + head * dim + d]
    work.keys[length:columns] = 0
    work.values[length:columns] = 0
    return columns


@compiled
def take_rows(texts, text, head, groups, rows, out):
    """out [rows of scores, D] from `rows` [M, K G D]; 0 in the filling."""
    dim = out.shape[1]
    count = texts.lengths[text] - texts.firsts[text]
    for query in range(count):
        line = rows[texts.starts[text] + query]
        for group in range(groups):
            begin = (head * groups + group) * dim
            for d in range(dim):
                out[query * groups + group, d] = line[begin + d]
    out[count * groups : rows_of(texts, text, groups)] = 0


@compiled
def put(texts, text, head, groups, rows, out):
    """`take_rows` the other way."""
    dim = rows.shape[1]
    for query in range(texts.lengths[text] - texts.firsts[text]):
        line = out[texts.starts[text] + query]
        for group in range(groups):
            begin = (head * groups + group) * dim
            for d in range(dim):
                line[begin + d] = rows[query * groups + group, d]


@compiled
def add_seen(texts, text, begin, rows, out):
    """Adds rows [keys, D] to the columns from `begin` on of the rows that a text sees, which may be another's."""
    for key in range(texts.lengths[text]):
        line = out[texts.seen[texts.seen_at[text] + key]]
        for d in range(rows.shape[1]):
            line[begin + d] += rows[key, d]


@compiled
def turn(rows, count, out):
    """out [D, count] = the first rows [.., D] transposed."""
    for d in range(rows.shape[1]):
        for row in range(count):
            out[d, row] = rows[row, d]
