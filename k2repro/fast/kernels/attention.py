"""Causal attention inside each text of a packed batch and its way back, compiled: one call a layer.

A text attends to itself only, so its scores are a small matrix of their own, made BLOCK rows at a time. Of
each row only the keys that it sees are touched: half of the work, seen over a text. As in flash attention
(arXiv 2205.14135), weights are not kept: the way back makes them again from the peak and the sum of each row.

Shapes: M queries and N tokens in all; K key and value heads, G query heads to each, D dimensions of a head.
Of one text and key head: P rows of scores, its queries, G for each place, filled up to BLOCK; C columns, its
keys, filled up to whole vectors. The filling is 0 in queries, keys and values.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from k2repro.fast.kernels import vectors
from k2repro.fast.kernels.compiling import compiled
from k2repro.fast.kernels.softmax import exponentials, peak_of, scale
from k2repro.fast.kernels.tiles import multiply
from k2repro.fast.kernels.vectors import LANES, filled

Array = NDArray[np.float32]
Places = NDArray[np.int64]

# Rows of scores made at a time, and rows whose gradients are summed over at a time.
BLOCK, PART = 8, 128
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)


class Texts(NamedTuple):
    """Who asks in a layer and what is seen, int64; T texts, whose queries stand one text after the other.

    starts: [T], row of a text's first query. firsts: [T], place of that query in its text; the others follow.
    lengths: [T], keys of a text. seen: [sum of lengths], row of [N] of each key, text after text. seen_at:
    [T], where in `seen` those of a text begin.
    """

    starts: Places
    firsts: Places
    lengths: Places
    seen: Places
    seen_at: Places


class Kept(NamedTuple):
    """Of each row of scores, float32 [K, P of all texts]: the largest score, and 1 / the sum of weights."""

    peaks: Array
    shares: Array


class AttentionScratch(NamedTuple):
    """Memory for one text and head, float32.

    queries, mixed, found: [P, D], queries, mixed values and the gradient of queries. keys, values: [C, D], of
    them of_keys, of_values the gradients, keys_across, values_across the transposes [D, C]. weights, scores:
    [PART, C] each. The last four are flat, to be cut to the C of a text.
    """

    queries: Array
    mixed: Array
    found: Array
    keys: Array
    values: Array
    of_keys: Array
    of_values: Array
    keys_across: Array
    values_across: Array
    weights: Array
    scores: Array


@compiled
def attend(texts, groups, heads, query, key_value, kept, out):
    """Causal attention of the key heads heads[0] .. heads[1] - 1 in all texts.

    texts: Texts. query: [M, K G D], scaled and rotated. key_value: [N, 2 K D], keys rotated. kept, and
    out [M, K G D] in the rows that texts have: written.
    """
    dim = key_value.shape[1] // (2 * kept.peaks.shape[0])
    work = work_for(texts, groups, dim)
    for head in range(heads[0], heads[1]):
        at = 0
        for text in range(texts.lengths.shape[0]):
            take_rows(texts, text, head, groups, query, work.queries)
            take_seen(texts, text, head, key_value, work)
            attend_text(texts, text, groups, kept.peaks[head, at:], kept.shares[head, at:], work)
            put_rows(texts, text, head, groups, work.mixed, out)
            at += rows_of(texts, text, groups)


@compiled
def attend_back(texts, groups, heads, query, key_value, kept, gradient, of_query, of_key_value):
    """Gradients from that of the `out` of `attend`, [M, K G D]; other arguments as there.

    of_query: [M, K G D], written in the rows that texts have. of_key_value: [N, 2 K D], added to.
    """
    dim, values_at = key_value.shape[1] // (2 * kept.peaks.shape[0]), key_value.shape[1] // 2
    work = work_for(texts, groups, dim)
    for head in range(heads[0], heads[1]):
        at = 0
        for text in range(texts.lengths.shape[0]):
            take_rows(texts, text, head, groups, query, work.queries)
            take_rows(texts, text, head, groups, gradient, work.mixed)
            take_seen(texts, text, head, key_value, work)
            attend_text_back(texts, text, groups, kept.peaks[head, at:], kept.shares[head, at:], work)
            put_rows(texts, text, head, groups, work.found, of_query)
            add_seen(texts, text, head * dim, work.of_keys, of_key_value)
            add_seen(texts, text, values_at + head * dim, work.of_values, of_key_value)
            at += rows_of(texts, text, groups)


@compiled
def attend_text(texts, text, groups, peaks, shares, work):
    """Mixed values of a text and head, and the peak and share of each row."""
    dim, columns = work.queries.shape[1], columns_of(texts, text)
    keys_across = turned(work.keys, columns, work.keys_across)
    # Only a block of scores at a time: they stay in the nearest cache.
    scores = work.scores[: BLOCK * columns].reshape(BLOCK, columns)
    for row in range(0, rows_of(texts, text, groups), BLOCK):
        queries, mixed = work.queries[row : row + BLOCK], work.mixed[row : row + BLOCK]
        reach = reach_of(texts, text, row, groups)
        multiply(scores, queries, keys_across, (0, BLOCK), reach, (0, dim), False)
        for one in range(BLOCK):
            seen = seen_by(texts, text, row + one, groups)
            peaks[row + one] = peak_of(scores, one, seen)
            shares[row + one] = _ONE / exponentials(scores, one, seen, peaks[row + one])
            hide(scores, one, seen, reach)
        multiply(mixed, scores, work.values, (0, BLOCK), dim, (0, reach), False)
        for one in range(BLOCK):
            for d in range(dim):
                mixed[one, d] *= shares[row + one]


@compiled
def attend_text_back(texts, text, groups, peaks, shares, work):
    """Gradients of queries, keys and values of a text and head from that of its mixed values."""
    columns, rows = columns_of(texts, text), rows_of(texts, text, groups)
    keys_across = turned(work.keys, columns, work.keys_across)
    values_across = turned(work.values, columns, work.values_across)
    weights = work.weights[: PART * columns].reshape(PART, columns)
    scores = work.scores[: PART * columns].reshape(PART, columns)
    work.of_keys[:columns] = 0
    work.of_values[:columns] = 0
    for begin in range(0, rows, PART):
        end = min(begin + PART, rows)
        queries, mixed = work.queries[begin:end], work.mixed[begin:end]
        make_weights(texts, text, groups, begin, peaks, shares, queries, keys_across, weights)
        scores_back(texts, text, groups, begin, mixed, values_across, weights, scores)
        for row in range(0, end - begin, BLOCK):
            reach, block = reach_of(texts, text, begin + row, groups), (row, row + BLOCK)
            multiply(work.found[begin:end], scores, work.keys, block, queries.shape[1], (0, reach), False)
        add_across(texts, text, groups, begin, scores, queries, work.of_keys)
        add_across(texts, text, groups, begin, weights, mixed, work.of_values)


@compiled
def make_weights(texts, text, groups, begin, peaks, shares, queries, keys_across, weights):
    """weights [PART, C], as far as each block reaches, of the rows from `begin` on: `queries` [.., D]."""
    for row in range(0, queries.shape[0], BLOCK):
        reach = reach_of(texts, text, begin + row, groups)
        multiply(weights, queries, keys_across, (row, row + BLOCK), reach, (0, queries.shape[1]), False)
        for one in range(row, row + BLOCK):
            seen = seen_by(texts, text, begin + one, groups)
            exponentials(weights, one, seen, peaks[begin + one])
            scale(weights, one, seen, shares[begin + one])
            hide(weights, one, seen, reach)


@compiled
def scores_back(texts, text, groups, begin, mixed, values_across, weights, scores):
    """Gradient of the scores [PART, C] from that of mixed values, `mixed` [.., D]: w (g - sum of w g)."""
    for row in range(0, mixed.shape[0], BLOCK):
        reach = reach_of(texts, text, begin + row, groups)
        multiply(scores, mixed, values_across, (row, row + BLOCK), reach, (0, mixed.shape[1]), False)
        for one in range(row, row + BLOCK):
            sums = vectors.spread(_ZERO)
            for n in range(0, reach, LANES):
                sums = vectors.fma(vectors.load(weights, one, n), vectors.load(scores, one, n), sums)
            shift = vectors.spread(vectors.total(sums))
            for n in range(0, reach, LANES):
                found = vectors.subtract(vectors.load(scores, one, n), shift)
                vectors.store(vectors.times(vectors.load(weights, one, n), found), scores, one, n)


@compiled
def add_across(texts, text, groups, begin, scores, rows, out):
    """out [C, D] += scores^T rows, of the rows from `begin` on, [.., D], whose blocks reach each key."""
    count = rows.shape[0]
    for key in range(0, reach_of(texts, text, begin + count - BLOCK, groups), BLOCK):
        first = max(0, (key - texts.firsts[text]) * groups - begin)
        inner = (first - first % BLOCK, count)
        multiply(out, scores.T, rows, (key, key + BLOCK), rows.shape[1], inner, True)


@compiled
def seen_by(texts, text, row, groups):
    """How many keys a row of scores sees: those up to its place; in the filling all."""
    return min(texts.firsts[text] + row // groups + 1, texts.lengths[text])


@compiled
def reach_of(texts, text, row, groups):
    """How many keys the block that begins with `row` sees, filled up to whole vectors."""
    seen = seen_by(texts, text, row + BLOCK - 1, groups)
    return filled(seen)


@compiled
def hide(x, row, seen, reach):
    """No weight for vectors of keys that only later rows of the block see."""
    nothing = vectors.spread(_ZERO)
    for n in range(filled(seen), reach, LANES):
        vectors.store(nothing, x, row, n)


@compiled
def rows_of(texts, text, groups):
    """P of a text."""
    rows = (texts.lengths[text] - texts.firsts[text]) * groups
    return rows + -rows % BLOCK


@compiled
def columns_of(texts, text):
    """C of a text."""
    return filled(texts.lengths[text])


@compiled
def all_rows(texts, groups):
    """P of all texts together."""
    found = 0
    for text in range(texts.lengths.shape[0]):
        found += rows_of(texts, text, groups)
    return found


@compiled
def work_for(texts, groups, dim):
    """Enough memory for any of the texts."""
    rows = columns = 0
    for text in range(texts.lengths.shape[0]):
        rows, columns = max(rows, rows_of(texts, text, groups)), max(columns, columns_of(texts, text))
    kind = np.float32
    return AttentionScratch(
        np.empty((rows, dim), kind),
        np.empty((rows, dim), kind),
        np.empty((rows, dim), kind),
        np.empty((columns, dim), kind),
        np.empty((columns, dim), kind),
        np.empty((columns, dim), kind),
        np.empty((columns, dim), kind),
        np.empty(dim * columns, kind),
        np.empty(dim * columns, kind),
        np.empty(PART * columns, kind),
        np.empty(PART * columns, kind),
    )


@compiled
def take_rows(texts, text, head, groups, rows, out):
    """out [P, D] = the rows of a text and head in `rows` [M, K G D]; 0 in the filling."""
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
def put_rows(texts, text, head, groups, rows, out):
    """Rows of `out` [M, K G D] = what `rows` [P, D] holds of a text and head: the inverse of `take_rows`."""
    dim = rows.shape[1]
    for query in range(texts.lengths[text] - texts.firsts[text]):
        line = out[texts.starts[text] + query]
        for group in range(groups):
            begin = (head * groups + group) * dim
            for d in range(dim):
                line[begin + d] = rows[query * groups + group, d]


@compiled
def take_seen(texts, text, head, key_value, work):
    """Keys and values [C, D] of a text and head into `work`; 0 in the filling."""
    length, dim, values_at = texts.lengths[text], work.keys.shape[1], key_value.shape[1] // 2
    for key in range(length):
        line = key_value[texts.seen[texts.seen_at[text] + key]]
        for d in range(dim):
            work.keys[key, d] = line[head * dim + d]
            work.values[key, d] = line[values_at + head * dim + d]
    work.keys[length : columns_of(texts, text)] = 0
    work.values[length : columns_of(texts, text)] = 0


@compiled
def add_seen(texts, text, begin, rows, out):
    """Adds `rows` [.., D] to columns from `begin` on of what a text sees, which another may see too."""
    for key in range(texts.lengths[text]):
        line = out[texts.seen[texts.seen_at[text] + key]]
        for d in range(rows.shape[1]):
            line[begin + d] += rows[key, d]


@compiled
def turned(rows, count, flat):
    """The first `count` rows [.., D] transposed, [D, count], in the memory `flat`."""
    out = flat[: rows.shape[1] * count].reshape(rows.shape[1], count)
    for d in range(rows.shape[1]):
        for row in range(count):
            out[d, row] = rows[row, d]
    return out
