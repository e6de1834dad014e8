"""Products of small matrices: tiles of the result that stay in registers while a whole sum runs.

A tile is a few rows by a few vectors. Each step of its sum loads the vectors of one line of the right matrix
and one number of each row of the left one: many multiplications for few loads, and no store until the end.
The order of each sum is that of the inner dimension, whatever the tile: the same bits on any processor.

Written as LLVM instructions, because a compiler left to itself keeps partial results in memory: on one
processor (512-bit vectors) loops over lines reached 87 to 180 billion operations a second, tiles 250.
"""

from collections.abc import Sequence
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types

from k2repro.fast.kernels.compiling import compiled
from k2repro.fast.kernels.vectors import (
    FLOATS,
    LANES,
    address_of,
    call,
    constant,
    fused,
    instruction,
    load_at,
    spread_of,
)

_ZERO = np.float32(0.0)


# 512-bit vectors come with 32 registers: up to 16 for sums, others for a line and a factor. Elsewhere half of
# that, and a vector takes two: tiles of two rows by four vectors spilled there, at twice the time.
_MANY = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
# Rows of a tile and its widths in vectors, the largest first. Few rows get wide tiles: sums enough that none
# has to wait for itself.
_SHAPES = (
    ((8, (2, 1)), (4, (2, 1)), (2, (4, 2, 1)), (1, (4, 2, 1)))
    if _MANY
    else ((4, (1,)), (2, (2, 1)), (1, (4, 2, 1)))
)


class _Product:
    """Writes the instructions of out[row.., column..] = the sum of left[row.., m] right[m, column..].

    m runs from inner[0] to inner[1] - 1; the sum goes onto what is there if `add`. out, left, right: arrays
    as numba's `make_array` gives them, float32; out and right have neighbours side by side in their rows,
    left may lie any way in memory. All others: values of the function being built.
    """

    def __init__(self, builder: Any, arrays: Sequence[Any], inner: tuple[Any, Any], add: Any) -> None:
        self.builder, (self.out, self.left, self.right) = builder, arrays
        self.inner, self.add = inner, add

    def fill(self, row: Any, last: Any, columns: Any) -> None:
        """Rows `row` .. last - 1 and the first `columns` columns, whole vectors, in the largest tiles."""
        for rows, widths in _SHAPES:
            upto, column = self._whole_steps(row, last, rows), ir.Constant(row.type, 0)
            for vectors in widths:
                edge = self._whole_steps(column, columns, vectors * LANES)
                # Strips of columns, so that a strip of `right` stays in the nearest cache for all rows.
                with (
                    self._steps(column, edge, vectors * LANES) as (c, _),
                    self._steps(row, upto, rows) as (r, _),
                ):
                    self._tile(r, c, rows, vectors)
                column = edge
            row = upto

    def _tile(self, row: Any, column: Any, rows: int, vectors: int) -> None:
        """`rows` rows and `vectors` LANES columns."""
        builder, (begin, end) = self.builder, self.inner
        down = [builder.add(row, ir.Constant(row.type, r)) for r in range(rows)]
        across = [builder.add(column, ir.Constant(row.type, v * LANES)) for v in range(vectors)]
        places = [address_of(builder, self.out, r, c) for r in down for c in across]
        sums = [cgutils.alloca_once_value(builder, constant(0.0)) for _ in places]
        for one in sums:
            builder.store(constant(0.0), one)
        with builder.if_then(self.add):
            for one, place in zip(sums, places, strict=True):
                builder.store(builder.load(place, typ=FLOATS, align=4), one)
        with cgutils.for_range_slice(builder, begin, end, ir.Constant(begin.type, 1)) as (m, _):
            line = [load_at(builder, self.right, m, c) for c in across]
            numbers = [builder.load(address_of(builder, self.left, r, m), typ=ir.FloatType()) for r in down]
            pairs = [(spread_of(builder, number), part) for number in numbers for part in line]
            for one, (factor, part) in zip(sums, pairs, strict=True):
                builder.store(call(builder, "fma", factor, part, builder.load(one, typ=FLOATS)), one)
        for one, place in zip(sums, places, strict=True):
            builder.store(builder.load(one, typ=FLOATS), place, align=4)

    def _steps(self, first: Any, last: Any, step: int) -> Any:
        """A loop over first, first + step, ... below `last`."""
        return cgutils.for_range_slice(self.builder, first, last, ir.Constant(first.type, step))

    def _whole_steps(self, first: Any, last: Any, step: int) -> Any:
        """Where the last whole step from `first` to `last` ends."""
        rest = self.builder.srem(self.builder.sub(last, first), ir.Constant(first.type, step))
        return self.builder.sub(last, rest)


@instruction
def _fill(typing, out, left, right, first, last, columns, begin, end, add):
    """`multiply` for whole vectors of columns."""

    def code(context, builder, signature, arguments):
        arrays = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
        ]
        first, last, columns, begin, end, add = arguments[3:]
        _Product(builder, arrays, (begin, end), add).fill(first, last, columns)
        return context.get_dummy_value()

    place = types.intp
    return types.void(out, left, right, place, place, place, place, place, types.boolean), code


@compiled
def multiply(out, left, right, rows, columns, inner, add):
    """Some rows of out [R, N] = left [R, M] right [M, N], float32, or added to them.

    rows: (first, end) of those to make. columns: how many from 0 on. inner: (begin, end) of the sum. Rows of
    out and right have their numbers side by side; left may be a transposed view. Bounds are not checked.
    """
    whole = columns - columns % LANES
    _fill(out, left, right, rows[0], rows[1], whole, inner[0], inner[1], add)
    if whole < columns:
        _last_columns(out, left, right, rows, (whole, columns), inner, add)


@compiled
def _last_columns(out, left, right, rows, columns, inner, add):
    """`multiply` for columns that do not fill a vector."""
    for row in range(rows[0], rows[1]):
        for column in range(columns[0], columns[1]):
            found = out[row, column] if add else _ZERO
            for m in range(inner[0], inner[1]):
                found = fused(left[row, m], right[m, column], found)
            out[row, column] = found
