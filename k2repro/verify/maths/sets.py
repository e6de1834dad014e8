"""Sets of real numbers with constant ends: intervals, unions, what is left out; in one normal form."""

from dataclasses import dataclass
from functools import reduce

from k2repro.verify.maths.identity import sign_at
from k2repro.verify.maths.tree import Node, has_letters, is_expression, minus
from k2repro.verify.maths.value import Undefined

REALS = Node("sym", value="\\mathbb{R}")
_INFINITY = Node("inf")
_MINUS_INFINITY = Node("neg", (_INFINITY,))
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "!=": "!=", "=": "="}


class NoSet(ValueError):
    """What is not a set of real numbers with constant ends."""


@dataclass(frozen=True)
class Piece:
    """From low to high; whether each end is in it."""

    low: Node
    with_low: bool
    high: Node
    with_high: bool


Pieces = list[Piece]
_ALL = Piece(_MINUS_INFINITY, False, _INFINITY, False)


def compare(one: Node, other: Node) -> int:
    """-1, 0 or 1 for less, equal and more, infinity included; raises Undecided."""
    if one == other:
        return 0
    for first, sign in ((one, 1), (other, -1)):
        if first == _INFINITY:
            return sign
        if first == _MINUS_INFINITY:
            return -sign
    return sign_at(minus(one, other))


def pieces(node: Node) -> Pieces:
    """The normal form of a set: disjoint pieces in order, none touching. Raises NoSet, Undecided."""
    return _joined(_read(node))


def _read(node: Node) -> Pieces:
    if node == REALS:
        return [_ALL]
    if node.head == "empty":
        return []
    if node.head == "set":
        points = [_constant(part) for part in node.args]
        if any(compare(one, other) == 0 for at, one in enumerate(points) for other in points[:at]):
            raise NoSet  # a member twice is a slip
        return [Piece(point, True, point, True) for point in points]
    if node.head == "tuple" and len(node.args) == 2:
        return _interval(node)
    if len(set(flat(node))) < len(flat(node)):
        raise NoSet  # a part twice is a slip
    if node.head in ("union", "meet", "minus"):
        left, right = (_joined(_read(part)) for part in node.args)
        if node.head == "union":
            return left + right
        return _without(left, right) if node.head == "minus" else _common(left, right)
    if node.head == "list" and node.value in ("or", "and"):
        parts = [pieces(part) for part in node.args]
        if node.value == "or":
            return [piece for part in parts for piece in part]
        return reduce(_common, parts)
    if node.head == "rel":
        return _relation(node)
    raise NoSet


def flat(node: Node) -> list[Node]:
    """The parts of a union of unions, of conditions joined by or: of whatever joins like with like."""
    return [part for arg in node.args for part in (flat(arg) if arg.head == node.head else [arg])]


def names(node: Node) -> set[str]:
    """The variables of a condition such as x > 1."""
    if node.head == "rel":
        return {str(part.value) for part in node.args if part.head == "sym" and has_letters(part)}
    if node.head == "list":
        return {name for part in node.args for name in names(part)}
    return set()


def _constant(node: Node) -> Node:
    if not is_expression(node) or has_letters(node):
        raise NoSet
    if node not in (_INFINITY, _MINUS_INFINITY):
        sign_at(node)  # a real number, or no set
    return node


def _interval(node: Node) -> Pieces:
    low, high = (_constant(part) for part in node.args)
    left, right = node.value[0], node.value[1]
    if compare(low, high) > 0:
        raise NoSet
    return [Piece(low, left == "[", high, right == "]")]


def _relation(node: Node) -> Pieces:
    """x > a, a < x <= b, x != a."""
    relations = node.value
    assert isinstance(relations, tuple)
    if not set(relations) <= set(_FLIPPED):
        raise NoSet
    found = [_ALL]
    for left, sign, right in zip(node.args, relations, node.args[1:], strict=False):
        if has_letters(left) and left.head == "sym":
            half = _half_line(sign, _constant(right))
        elif has_letters(right) and right.head == "sym":
            half = _half_line(_FLIPPED[sign], _constant(left))
        else:
            raise NoSet
        found = _common(found, half)
    return found


def _half_line(sign: str, end: Node) -> Pieces:
    if sign == "=":
        return [Piece(end, True, end, True)]
    if sign == "!=":
        return _without([_ALL], [Piece(end, True, end, True)])
    if sign in (">", ">="):
        return [Piece(end, sign == ">=", _INFINITY, False)]
    return [Piece(_MINUS_INFINITY, False, end, sign == "<=")]


def _is_empty(piece: Piece) -> bool:
    order = compare(piece.low, piece.high)
    return order > 0 or (order == 0 and not (piece.with_low and piece.with_high))


def _without(whole: Pieces, holes: Pieces) -> Pieces:
    """What of `whole` is in no hole."""
    left = whole
    for hole in holes:
        after: Pieces = []
        for piece in left:
            below = Piece(
                piece.low, piece.with_low, *_end(-1, piece.high, piece.with_high, hole.low, not hole.with_low)
            )
            above = Piece(
                *_end(1, piece.low, piece.with_low, hole.high, not hole.with_high),
                piece.high,
                piece.with_high,
            )
            after += [part for part in (below, above) if not _is_empty(part)]
        left = after
    return left


def _common(left: Pieces, right: Pieces) -> Pieces:
    """What is in both."""
    return _without(left, _without([_ALL], right))


def _end(side: int, one: Node, with_one: bool, other: Node, with_other: bool) -> tuple[Node, bool]:
    """The lower (side -1) or the higher (1) of two ends; one that is left out of either is left out."""
    order = compare(one, other)
    if order == 0:
        return one, with_one and with_other
    return (one, with_one) if order == side else (other, with_other)


def _joined(parts: Pieces) -> Pieces:
    """In order, with those that touch or overlap made one."""
    left = [piece for piece in parts if not _is_empty(piece)]
    if len(left) > 30:
        raise NoSet
    done: Pieces = []
    while left:
        first = left[0]
        for piece in left[1:]:
            order = compare(piece.low, first.low)
            if order < 0 or (order == 0 and piece.with_low and not first.with_low):
                first = piece
        left.remove(first)
        if done and _touch(done[-1], first):
            last = done.pop()
            order = compare(last.high, first.high)
            high, with_high = (last.high, last.with_high) if order >= 0 else (first.high, first.with_high)
            done.append(Piece(last.low, last.with_low, high, with_high or (order == 0 and first.with_high)))
        else:
            done.append(first)
    return done


def _touch(one: Piece, following: Piece) -> bool:
    order = compare(following.low, one.high)
    return order < 0 or (order == 0 and (one.with_high or following.with_low))


def same_sets(one: Node, other: Node) -> bool:
    """Whether two sets hold the same numbers; raises NoSet, Undecided."""
    try:
        left, right = pieces(one), pieces(other)
    except Undefined:
        raise NoSet from None
    if len(left) != len(right):
        return False
    return all(
        (a.with_low, a.with_high) == (b.with_low, b.with_high)
        and compare(a.low, b.low) == 0
        and compare(a.high, b.high) == 0
        for a, b in zip(left, right, strict=True)
    )
