"""Two texts: read in every way that they can be read, and compared."""

import re
from collections.abc import Callable

from k2repro.verify.maths.compare import same
from k2repro.verify.maths.statements import parse
from k2repro.verify.maths.tree import Node, Unreadable, is_expression, is_plain_number, rebuilt, symbol, walk
from k2repro.verify.maths.value import Undecided

_THREES = re.compile(r"\d{3}(?:,\d{3})+")


def decided_equal(gold: str, answer: str) -> bool | None:
    """Whether the two say the same; None when that is undecided. What cannot be read is not equal."""
    wanted, given = readings(gold), readings(answer)
    undecided = False
    for one in wanted:
        for other in given:
            if _is_open(one, other):
                continue
            try:
                if same(*_same_angles(one, other)):
                    return True
            except (Undecided, RecursionError):
                undecided = True
    return None if undecided else False


def readings(text: str) -> list[Node]:
    """100,200 is a number or two, 1,234 a number; all else has one reading, or none."""
    found: list[Node] = []
    for thousands in (True, False) if _THREES.fullmatch(text) else (True,):
        try:
            node = parse(text, thousands=thousands)
        except Unreadable:
            continue
        if node not in found:
            found.append(node)
    return found


def _is_open(gold: Node, answer: Node) -> bool:
    """Whether a plain number is asked for and a calculation given."""
    one, other = _bare(gold), _bare(answer)
    return is_plain_number(one) and not is_plain_number(other)


def _bare(node: Node) -> Node:
    named = node.head == "rel" and node.value == ("=",) and node.args[0].head in ("sym", "apply")
    return node.args[1] if named else node


def _same_angles(one: Node, other: Node) -> tuple[Node, Node]:
    """90 - a for 90 degrees - a: a sign that only one has, outside of functions, is taken off."""
    signs = [any(part.head == "degree" for part in walk(each)) for each in (one, other)]
    if signs[0] == signs[1]:
        return one, other
    # Of a gold answer all are angles; an answer may not make angles of complex numbers and radians.
    return _without_degrees(one, lambda _: True), _without_degrees(other, _is_measure)


def _without_degrees(node: Node, comes_off: Callable[[Node], bool]) -> Node:
    def change(part: Node) -> Node | None:
        if part.head == "fn":
            return part
        removed = part.head == "degree" and comes_off(part.args[0])
        return rebuilt(part.args[0], change) if removed else None

    return rebuilt(node, change)


def _is_measure(node: Node) -> bool:
    r"""Whether it may be said in degrees: no complex number, and nothing with \pi, which is in radians."""
    return is_expression(node) and not {symbol("i"), symbol("\\pi")} & set(walk(node))
