"""Where the cuts of a formula bend or jump: |x - 3| at 3, max(x, y) at x = y, floor(2x) at 1.

A difference of two formulas that is zero at all points tried may still differ in a window between two bends.
So the places themselves are tried, and what lies between them (`zeros`). Bends that cannot be found are
named, so that the caller can leave the question undecided.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from itertools import combinations, islice, pairwise

from k2repro.verify.maths.evaluate import Evaluator, Point, precision
from k2repro.verify.maths.pieces import is_fold, is_piece
from k2repro.verify.maths.tree import Node, minus, number, variables, walk
from k2repro.verify.maths.value import Unclear, Undecided, Undefined, excludes_zero
from k2repro.verify.maths.zeros import crossings, is_never_negative, zeros

_MOST_BENDS = 24
_BITS = 128


def bends(node: Node) -> list[Node]:
    """Expressions that are zero where a cut of `node` bends or jumps, each once."""
    return list(dict.fromkeys(bend for part in walk(node) if variables(part) for bend in _of(part)))


def _of(part: Node) -> Iterator[Node]:
    if part.head == "abs":
        yield part.args[0]
    elif part.head in ("floor", "ceil"):
        yield minus(part.args[0], number(2))  # it jumps at every whole number alike
    elif part.head == "fn" and part.value in ("max", "min"):
        yield from (minus(one, other) for one, other in combinations(part.args, 2))
    elif part.head == "fn" and is_fold(part):
        yield part
    elif part.head in ("root", "pow") and is_piece(part) and is_fold(part):
        yield from _bases(part.args[0])


def _bases(square: Node) -> Iterator[Node]:
    """x and y of 4 x^2 y^4; of a square that is written out, all of it, which is zero at the same places."""
    if square.head in ("mul", "div"):
        yield from (base for part in square.args if variables(part) for base in _bases(part))
    else:
        yield square.args[0] if square.head == "pow" else square


def points(node: Node, draw: Point, whole: frozenset[str]) -> Iterator[Point]:
    """`draw` moved to every bend that can be found, and between two of them.

    To the whole numbers beside these places where only whole numbers count.
    """
    found = list(islice(bends(node), _MOST_BENDS))
    for name in variables(node):
        roots = sorted({root for bend in found for root in crossings(bend, name, draw.at)})
        places = {*roots, *((left + right) / 2 for left, right in pairwise(roots))}
        if name in whole:
            places = {Fraction(beside) for at in places for beside in (math.floor(at), math.ceil(at))}
        for at in sorted(places):
            if name not in whole or at >= 0:
                yield replace(draw, at={**draw.at, name: at})


def unreached(node: Node, draw: Point) -> list[Node]:
    """Bends that `points` does not come to; one in one variable without a real root is none."""
    found = bends(node)
    return [bend for at, bend in enumerate(found) if at >= _MOST_BENDS or not _is_reached(bend, draw)]


def hide_nothing(one: Node, other: Node, draws: Sequence[Point]) -> bool:
    """Whether the bends whose places cannot all be found are the same in both, or one that is seen to bend.

    The same: each has its multiple on the other side, or their products are, as sin x cos x of sin 2x. One: a
    window lies between two bends. (That it lies between two zeros of one, of which a third is seen, is not
    looked for.)
    """
    wanted, given = (unreached(each, draws[0]) for each in (one, other))
    found = [*wanted, *given]
    if (
        found
        and all(_is_multiple(found[0], each, draws) for each in found[1:])
        and _is_seen(found[0], draws[0])
    ):
        return True
    if wanted and given and _is_multiple(_product(wanted), _product(given), draws):
        return True
    return all(
        any(_is_multiple(bend, each, draws) for each in others)
        for own, others in ((wanted, given), (given, wanted))
        for bend in own
    )


def _product(factors: Sequence[Node]) -> Node:
    return reduce(lambda one, other: Node("mul", (one, other)), factors)


def _is_multiple(one: Node, other: Node, draws: Sequence[Point]) -> bool:
    """Whether one is a number times the other, as far as two points show where both have a value."""
    if one == other:
        return True
    precision(_BITS)
    found = []
    for point in draws:
        try:
            found.append([Evaluator(point).value(node).ball for node in (one, other)])
        except (Undefined, Unclear, Undecided):
            continue
        if len(found) == 2:
            (left, right), (left_then, right_then) = found
            return not excludes_zero(left * right_then - left_then * right)
    return False


def _is_seen(bend: Node, draw: Point) -> bool:
    """Whether its sign changes at a place that `points` comes to."""
    return any(crossings(bend, name, draw.at) for name in variables(bend))


def _is_reached(bend: Node, draw: Point) -> bool:
    if is_never_negative(bend):
        return True
    names = variables(bend)
    found = [zeros(bend, name, draw.at) for name in names]
    return any(found) or (len(names) == 1 and found[0] is not None)
