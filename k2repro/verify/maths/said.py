"""What a statement says without the names before its equals signs, and with every +- as its two values."""

from dataclasses import dataclass
from itertools import product

from k2repro.verify.maths.tree import Node, is_expression, may_have_members, rebuilt, variables, walk
from k2repro.verify.maths.value import Undecided

_MOST_SIGNS = 4  # signs like +-, in one item


@dataclass(frozen=True)
class Said:
    """A statement without the names before its equals signs. names: one for each of the parts."""

    names: tuple[str, ...]
    parts: tuple[Node, ...]
    whole: Node


def said(node: Node) -> Said:
    """Take the names off."""
    items = tuple(map(_name_first, node.args if node.head == "list" else (node,)))
    if len(items) == 1 and items[0].head == "rel" and items[0].value == ("=",):
        left, right = items[0].args
        named = (left.head, left.value) == (right.head, right.value) == ("tuple", "()")
        names = [_name(part) for part in left.args] if named else []
        if all(names) and 0 < len(set(names)) == len(names) == len(right.args):
            return Said(tuple(map(str, names)), right.args, right)
    names_found: list[str] = []
    bodies: list[Node] = []
    of_sets = False
    for item in items:
        name = _name(item.args[0]) if item.head == "rel" and item.value in (("=",), ("in",)) else None
        if name and name in variables(item.args[1]):
            name = None  # x = x + 1 defines nothing
        if name is None and item.head in ("rel", "mod") or (name is None and not names_found):
            return Said((), (), _spread(node))
        of_sets = item.value == ("in",) if name else of_sets
        if of_sets and not name and not may_have_members(item):
            return Said((), (), _spread(node))  # x in A, or 5
        names_found.append(name or names_found[-1])
        bodies.append(item.args[1] if name else item)
    whole = _spread(bodies[0] if len(bodies) == 1 else Node("list", tuple(bodies), node.value))
    parts = whole.args if whole.head == "list" and len(set(names_found)) == 1 else tuple(map(_spread, bodies))
    if len(set(names_found)) == 1:
        names_found = names_found[:1] * len(parts)
    return Said(tuple(names_found), parts, whole)


def _name_first(node: Node) -> Node:
    """3 = x as x = 3."""
    if node.head == "rel" and node.value == ("=",):
        left, right = node.args
        if right.head == "sym" and right.value != "\\pi" and not variables(left) and is_expression(left):
            return Node("rel", (right, left), node.value)
    return node


def _name(node: Node) -> str | None:
    """The name that a side of an equation is: x, a_{n}, f(x)."""
    if node.head == "sym" and node.value != "\\pi":
        return str(node.value)
    if node.head == "apply" and all(part.head in ("sym", "num") for part in node.args):
        return f"{node.value}({','.join(str(part.value) for part in node.args)})"
    return None


def _spread(node: Node) -> Node:
    """Every item with a sign +- as its two, lists within lists as one."""
    items = node.args if node.head == "list" else (node,)
    found: list[Node] = []
    for item in items:
        for each in _signed(item):
            if each.head == "set":
                each = Node("set", tuple(part for member in each.args for part in _signed(member)))
            found.append(each)
    if len(found) == 1:
        return found[0]
    return Node("list", tuple(found), node.value if node.head == "list" else "or")


def _signed(node: Node) -> list[Node]:
    if node.head == "set":
        return [node]
    signs = [part for part in walk(node) if part.head == "pm"]
    if not signs:
        return [node]
    if len(signs) > _MOST_SIGNS:
        raise Undecided
    tied = len({part.value for part in signs}) == 2  # +- with -+: one choice for all
    choices = [(up,) * len(signs) for up in (1, -1)] if tied else list(product((1, -1), repeat=len(signs)))
    return [_chosen(node, choice) for choice in choices]


def _chosen(node: Node, choice: tuple[int, ...]) -> Node:
    left = list(choice)

    def change(part: Node) -> Node | None:
        if part.head != "pm":
            return None
        sign = left.pop(0) * part.value
        inside = rebuilt(part.args[0], change)
        return inside if sign > 0 else Node("neg", (inside,))

    return rebuilt(node, change)
