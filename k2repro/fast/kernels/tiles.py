"""Products of small matrices: tiles of the result that stay in registers while a whole sum runs.

A tile is a few rows by a few vectors. Each step of its sum loads the vectors of one line of the right matrix
and one number of each row of the left one: many multiplications for few loads, and no store until the end.
The order of each sum is that of the inner dimension, whatever the tile: the same bits on any processor.

Written as LLVM instructions, because a compiler left to itself keeps partial results in memory: on one
processor (512-bit vectors) loops over lines reached 87 to 180 billion operations a second, tiles 250.
"""

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from k2repro.fast.kernels.compiling import compiled
from k2repro.fast.kernels.vectors import FLOATS, LANES, address_of, call, constant, fused, spread_of

_ZERO = np.float32(0.0)


def _tile(rows: int, vectors: int) -> Any:
    """The function that makes tiles of `rows` rows and `vectors` LANES columns.

    tile(out, row, column, left, right, begin, end, add): out[row.., column..] = the sum over m, from `begin`
    to `end` - 1, of left[row.., m] right[m, column..], onto what is there if `add`. float32 matrices; out and
    right have neighbours side by side in their rows, left may lie any way in memory. Bounds are not checked.
    """

    def tile(typing, out, row, column, left, right, begin, end, add):
        place = types.intp
        return types.void(out, place, place, left, right, place, place, types.boolean), code

    def code(context, builder, signature, arguments):
        out, row, column, left, right, begin, end, add = arguments
        out, left, right = (
            context.make_array(signature.args[at])(context, builder, value)
            for at, value in ((0, out), (3, left), (4, right))
        )
        down = [builder.add(row, ir.Constant(row.type, r)) for r in range(rows)]
        across = [builder.add(column, ir.Constant(column.type, v * LANES)) for v in range(vectors)]
        places = [address_of(builder, out, r, c) for r in down for c in across]
        sums = [cgutils.alloca_once_value(builder, constant(0.0)) for _ in places]
        for one in sums:
            builder.store(constant(0.0), one)
        with builder.if_then(add):
            for one, place in zip(sums, places, strict=True):
                builder.store(builder.load(place, typ=FLOATS, align=4), one)
        with cgutils.for_range_slice(builder, begin, end, ir.Constant(begin.type, 1)) as (m, _):
            line = [builder.load(address_of(builder, right, m, c), typ=FLOATS, align=4) for c in across]
            numbers = [builder.load(address_of(builder, left, r, m), typ=ir.FloatType()) for r in down]
            pairs = [(spread_of(builder, number), part) for number in numbers for part in line]
            for one, (factor, part) in zip(sums, pairs, strict=True):
                builder.store(call(builder, "fma", factor, part, builder.load(one, typ=FLOATS)), one)
        for one, place in zip(sums, places, strict=True):
            builder.store(builder.load(one, typ=FLOATS), place, align=4)
        return context.get_dummy_value()

    return intrinsic(tile)


# 512-bit vectors come with 32 registers: 16 for sums, others for a line and a factor. Elsewhere half of that.
_MANY = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
_TALL, _BROAD = (8, 2) if _MANY else (4, 1)
_tall, _tall_last = _tile(_TALL, _BROAD), _tile(_TALL, 1)
_four, _four_last = _tile(4, 2), _tile(4, 1)
_two_long, _two, _two_last = _tile(2, 4), _tile(2, 2), _tile(2, 1)
_one_long, _one, _one_last = _tile(1, 4), _tile(1, 2), _tile(1, 1)


@compiled
def multiply(out, left, right, rows, columns, inner, add):
    """Some rows of out [R, N] = left [R, M] right [M, N], float32, or added to them.

    rows: (first, end) of those to make. columns: how many from 0 on. inner: (begin, end) of the sum. Rows of
    out and right have their numbers side by side; left may be a transposed view. Bounds are not checked.
    """
    row, last = rows
    begin, end = inner
    whole = columns - columns % LANES
    talls = last - (last - row) % _TALL
    if row < talls:
        _talls(out, row, talls, whole, left, right, begin, end, add)
    row = talls
    if row + 4 <= last:
        _fours(out, row, whole, left, right, begin, end, add)
        row += 4
    if row + 2 <= last:
        _pair(out, row, whole, left, right, begin, end, add)
        row += 2
    if row < last:
        _single(out, row, whole, left, right, begin, end, add)
    if whole < columns:
        _last_columns(out, left, right, rows, (whole, columns), inner, add)


@compiled
def _talls(out, first, last, columns, left, right, begin, end, add):
    """Strips of columns, so that a strip of `right` stays in the nearest cache for all rows."""
    column = 0
    while column + _BROAD * LANES <= columns:
        for row in range(first, last, _TALL):
            _tall(out, row, column, left, right, begin, end, add)
        column += _BROAD * LANES
    while column < columns:
        for row in range(first, last, _TALL):
            _tall_last(out, row, column, left, right, begin, end, add)
        column += LANES


@compiled
def _fours(out, row, columns, left, right, begin, end, add):
    column = 0
    while column + 2 * LANES <= columns:
        _four(out, row, column, left, right, begin, end, add)
        column += 2 * LANES
    if column < columns:
        _four_last(out, row, column, left, right, begin, end, add)


@compiled
def _pair(out, row, columns, left, right, begin, end, add):
    column = 0
    while column + 4 * LANES <= columns:
        _two_long(out, row, column, left, right, begin, end, add)
        column += 4 * LANES
    if column + 2 * LANES <= columns:
        _two(out, row, column, left, right, begin, end, add)
        column += 2 * LANES
    if column < columns:
        _two_last(out, row, column, left, right, begin, end, add)


@compiled
def _single(out, row, columns, left, right, begin, end, add):
    column = 0
    while column + 4 * LANES <= columns:
        _one_long(out, row, column, left, right, begin, end, add)
        column += 4 * LANES
    if column + 2 * LANES <= columns:
        _one(out, row, column, left, right, begin, end, add)
        column += 2 * LANES
    if column < columns:
        _one_last(out, row, column, left, right, begin, end, add)


@compiled
def _last_columns(out, left, right, rows, columns, inner, add):
    """`multiply` for columns that do not fill a vector."""
    for row in range(rows[0], rows[1]):
        for column in range(columns[0], columns[1]):
            found = out[row, column] if add else _ZERO
            for m in range(inner[0], inner[1]):
                found = fused(left[row, m], right[m, column], found)
            out[row, column] = found
