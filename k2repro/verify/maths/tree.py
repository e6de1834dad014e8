"""The tree of an answer: one kind of node, told apart by its head."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


class Unreadable(ValueError):
    """A text that is not wholly mathematics of the grammar."""


@dataclass(frozen=True, slots=True)
class Node:
    """head: what it is; args: its parts; value: what is no part, such as a name.

    Expressions: num (value: Fraction), sym (name), add, mul, div, pow, neg, root (value: degree), fn (name
    of a known function), apply (f(x) of an unknown one), fact, binom, abs, floor, ceil, percent, degree,
    based (value: digits, base), inf, pm (value: 1 or -1 for the sign above).
    Statements: list, tuple (value: its two brackets), set, matrix (value: columns, brackets), union, meet,
    minus, empty, rel (value: the relations between the args), mod, ratio.
    """

    head: str
    args: tuple["Node", ...] = ()
    value: Any = None


_STATEMENT_WORDS = """
list tuple set matrix union meet minus empty rel mod ratio builder
"""
STATEMENTS = frozenset(_STATEMENT_WORDS.split())


def number(value: int | Fraction) -> Node:
    """A rational number."""
    return Node("num", value=Fraction(value))


def symbol(name: str) -> Node:
    """A variable or a constant by its name."""
    return Node("sym", value=name)


def minus(left: Node, right: Node) -> Node:
    """left - right."""
    return Node("add", (left, Node("neg", (right,))))


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for part in node.args:
        yield from walk(part)


def may_have_members(node: Node) -> bool:
    r"""Whether a set, or a name or a formula that may stand for one: A, f(x), 2\mathbb{Z}."""
    if node.head in ("set", "builder", "union", "meet", "minus", "empty", "apply"):
        return True
    if node.head == "tuple":
        return len(node.args) == 2 and node.value != "<>"
    if node.head == "sym":
        return node.value not in ("e", "i", "\\pi")
    return any(part.head == "sym" and str(part.value).startswith("\\mathbb") for part in walk(node))


def has_letters(node: Node) -> bool:
    """Whether the value depends on variables or unknown functions."""
    return any(
        (part.head == "sym" and part.value not in ("e", "i", "\\pi")) or part.head == "apply"
        for part in walk(node)
    )


def rebuilt(node: Node, change: Callable[[Node], Node | None]) -> Node:
    """A copy in which every node that `change` answers for is replaced, from the top."""
    new = change(node)
    if new is not None:
        return new
    return Node(node.head, tuple(rebuilt(part, change) for part in node.args), node.value)


def variables(node: Node) -> list[str]:
    """Names of the free symbols, sorted."""
    return sorted({str(part.value) for part in walk(node) if part.head == "sym"} - {"e", "i", "\\pi"})


def is_expression(node: Node) -> bool:
    """Whether the node is a value, not a statement or a structure."""
    return all(part.head not in STATEMENTS for part in walk(node))


def is_plain_number(node: Node) -> bool:
    """A number as it is written down, not calculated: 12, -3/4, 1.5e8; a fraction of two whole numbers."""
    if node.head == "neg":
        return node.args[0].head != "neg" and is_plain_number(node.args[0])
    if node.head == "percent":
        return node.args[0].head in ("num", "div") and is_plain_number(node.args[0])
    if node.head == "div":
        return all(_is_whole(part) for part in node.args)
    return node.head == "num"


def _is_whole(node: Node) -> bool:
    if node.head == "neg":
        return _is_whole(node.args[0])
    return node.head == "num" and isinstance(node.value, Fraction) and node.value.denominator == 1
