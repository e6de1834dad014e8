"""The proof that a value is zero: exactly, or below the least that it could be if it were not."""

from typing import Any

from flint import acb, arb

from k2repro.verify.maths import value as values
from k2repro.verify.maths.evaluate import Point, precision
from k2repro.verify.maths.formal import Formal
from k2repro.verify.maths.standins import Restart
from k2repro.verify.maths.tree import Node
from k2repro.verify.maths.value import Unclear, Undecided

_CAP_BITS = 150_000


def proved_zero(node: Node, point: Point) -> bool:
    """Whether the value at the point is exactly zero; raises Undecided, Undefined.

    The value must have been found to be near zero, or a "no" may be that of the stand-ins.
    """
    units: dict[Any, int] = {}
    bits = 192
    for _ in range(14):
        precision(bits)
        evaluator = Formal(point, units, proved_zero)
        try:
            value = evaluator.value(node)
        except Restart:
            continue
        except Unclear:
            bits *= 2
            if bits > _CAP_BITS:
                raise Undecided from None
            continue
        if value.exact is not None:
            return value.exact == 0
        if values.excludes_zero(value.ball):
            return False
        need = (evaluator.degree() - 1) * max(value.u, 0.0) + max(value.l, 0.0) + 8
        if not need < _CAP_BITS:
            raise Undecided
        if acb(value.ball).abs_upper() < arb(2) ** -int(need):
            return True
        bits = max(2 * bits, int(need) + 64) if bits < need + 64 else 2 * bits
        if bits > 4 * _CAP_BITS:
            raise Undecided
    raise Undecided
