"""Products with weights kept in panels: what one step reads of a matrix lies side by side in memory.

A panel holds PANEL columns of a matrix, line by line. One tile of up to ROWS rows by a whole panel stays in
registers while the sum runs, so a pass over eight tokens reads every weight once, as a pass over one does.
LINES of it serve all rows while the next LINES are asked for: a strip of a matrix stored line by line jumps a
whole row at each step, and there the processor's own prefetching gives up.

The order of each sum is that of `tiles.multiply`: the same bits.
"""

import math
from collections.abc import Sequence
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from k2repro.fast.kernels.compiling import compiled
from k2repro.fast.kernels.vectors import FLOATS, LANES, address_of, call, constant, spread_of

PANEL = 2 * LANES
# Lines of a panel that all rows go through before the next: 8 KiB, with those asked for half of the nearest
# cache. A line is two of the processor's cache lines.
LINES = 64
# Bytes of a cache line.
_ALIGNMENT = 64

# 512-bit vectors come with 32 registers: 16 for sums, others for a line and a factor. Elsewhere half of that.
_MANY = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
ROWS = 8 if _MANY else 4


def packed(matrices: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Panels [L, N / PANEL, M, PANEL] of L matrices [M, N], the last of each filled with zeros; aligned."""
    inner, columns = matrices[0].shape
    count, whole = -(-columns // PANEL), columns // PANEL
    shape = (len(matrices), count, inner, PANEL)
    room = np.zeros(math.prod(shape) + _ALIGNMENT, np.float32)
    begin = -room.ctypes.data // room.itemsize % (_ALIGNMENT // room.itemsize)
    out = room[begin : begin + math.prod(shape)].reshape(shape)
    for panels, matrix in zip(out, matrices, strict=True):
        panels[:whole] = matrix[:, : whole * PANEL].reshape(inner, whole, PANEL).swapaxes(0, 1)
        if whole < count:
            panels[whole, :, : columns - whole * PANEL] = matrix[:, whole * PANEL :]
    return out


def _tile(rows: int) -> Any:
    """The function that makes a part of a sum for `rows` rows and one panel's columns.

    tile(out, row, column, left, panel, begin, end, add, share, shares): out[row.., column..] = the sum over
    the lines m = begin .. end - 1 of left[row.., m] panel[m, :], onto what is there if `add`. float32, the
    numbers of a row side by side; panel [M, PANEL]. Of the lines that come next as many are asked for
    meanwhile, by `shares` calls in turn, of which this is number `share`. No bounds are checked.
    """

    def tile(typing, out, row, column, left, panel, begin, end, add, share, shares):
        place = types.intp
        return types.void(out, place, place, left, panel, place, place, types.boolean, place, place), code

    def code(context, builder, signature, arguments):
        out, row, column, left, panel, begin, end, add, share, shares = arguments
        out, left, panel = (
            context.make_array(signature.args[at])(context, builder, value)
            for at, value in ((0, out), (3, left), (4, panel))
        )
        kind = row.type
        zero, step = ir.Constant(kind, 0), builder.sdiv(ir.Constant(kind, 4 * PANEL), shares)
        down = [builder.add(row, ir.Constant(kind, r)) for r in range(rows)]
        halves = [ir.Constant(kind, LANES * half) for half in range(2)]
        # Both halves of the panel at once, or where registers are few one after the other.
        parts = [halves] if _MANY or rows <= 2 else [[half] for half in halves]
        step = builder.sdiv(step, ir.Constant(kind, len(parts)))
        for number, part in enumerate(parts):
            places = [address_of(builder, out, r, builder.add(column, half)) for r in down for half in part]
            sums = [cgutils.alloca_once_value(builder, constant(0.0)) for _ in places]
            for one in sums:
                builder.store(constant(0.0), one)
            with builder.if_then(add):
                for one, place in zip(sums, places, strict=True):
                    builder.store(builder.load(place, typ=FLOATS, align=4), one)
            turn = builder.add(builder.mul(share, ir.Constant(kind, len(parts))), ir.Constant(kind, number))
            ahead = builder.mul(builder.mul(turn, builder.sub(end, begin)), step)
            with cgutils.for_range_slice(builder, begin, end, ir.Constant(kind, 1)) as (m, _):
                asked = builder.add(ahead, builder.mul(builder.sub(m, begin), step))
                _ask_for(builder, address_of(builder, panel, end, zero), asked, 2 if len(part) == 2 else 1)
                line = [
                    builder.load(address_of(builder, panel, m, half), typ=FLOATS, align=4) for half in part
                ]
                numbers = [builder.load(address_of(builder, left, r, m), typ=ir.FloatType()) for r in down]
                pairs = [(spread_of(builder, number), piece) for number in numbers for piece in line]
                for one, (factor, piece) in zip(sums, pairs, strict=True):
                    builder.store(call(builder, "fma", factor, piece, builder.load(one, typ=FLOATS)), one)
            for one, place in zip(sums, places, strict=True):
                builder.store(builder.load(one, typ=FLOATS), place, align=4)
        return context.get_dummy_value()

    return intrinsic(tile)


def _ask_for(builder: Any, base: Any, offset: Any, lines: int) -> None:
    """Ask for `lines` cache lines, `offset` bytes behind `base`; behind the end of memory it does no harm."""
    number = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(), number, number, number])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    hint = [ir.Constant(number, value) for value in (0, 3, 1)]
    for line in range(lines):
        place = builder.add(builder.ptrtoint(base, offset.type), offset)
        place = builder.add(place, ir.Constant(offset.type, _ALIGNMENT * line))
        builder.call(function, [builder.inttoptr(place, ir.PointerType()), *hint])


_one, _two, _three, _four, _five, _six, _seven, _eight = (_tile(rows) for rows in range(1, 9))


@compiled
def multiply_panels(out, left, panels, rows, add):
    """First `rows` rows of out [R, >= N] = left [R, >= M] panels [N / PANEL, M, PANEL], or added to them.

    Whole panels are written: what stands behind the last column of `out` up to a whole panel becomes 0, or
    stays as it is if `add`.
    """
    inner, shares = panels.shape[1], (rows + ROWS - 1) // ROWS
    for at in range(panels.shape[0]):
        panel, column = panels[at], at * PANEL
        for begin in range(0, inner, LINES):
            end, onto = min(begin + LINES, inner), add or begin > 0
            for share in range(shares):
                row = share * ROWS
                _some(out, row, rows - row, column, left, panel, begin, end, onto, share, shares)


@compiled
def _some(out, row, many, column, left, panel, begin, end, add, share, shares):
    """The tile of `many` rows, at most ROWS."""
    if many >= 8 and ROWS == 8:
        _eight(out, row, column, left, panel, begin, end, add, share, shares)
    elif many == 1:
        _one(out, row, column, left, panel, begin, end, add, share, shares)
    elif many == 2:
        _two(out, row, column, left, panel, begin, end, add, share, shares)
    elif many == 3:
        _three(out, row, column, left, panel, begin, end, add, share, shares)
    elif many == 4 or ROWS == 4:
        _four(out, row, column, left, panel, begin, end, add, share, shares)
    elif many == 5:
        _five(out, row, column, left, panel, begin, end, add, share, shares)
    elif many == 6:
        _six(out, row, column, left, panel, begin, end, add, share, shares)
    else:
        _seven(out, row, column, left, panel, begin, end, add, share, shares)
