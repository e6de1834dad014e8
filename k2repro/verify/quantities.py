"""What a unit or a currency may stand beside: one amount, and no point, ratio or complex number."""

import re

from k2repro.verify.maths.tree import Node, Unreadable, symbol, walk

_DECIMAL = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_SIGNS = re.compile(r"[\d.,\\f{}racsqt/]+", re.ASCII)  # of numbers, fractions and roots
_NO_QUANTITIES = frozenset({"matrix", "ratio", "mod"})


def is_amount(text: str) -> bool:
    r"""Whether a currency may stand before it: a decimal with its sign, a fraction or a root without.

    >>> is_amount("-1,250.50"), is_amount(r"4\frac12"), is_amount(r"-\frac12"), is_amount("1,2")
    (True, True, False, False)
    """
    if _DECIMAL.fullmatch(text):
        return True
    node = _read(text) if _SIGNS.fullmatch(text) else None
    return node is not None and all(part.head in ("num", "div", "mul", "root") for part in walk(node))


def may_have_unit(text: str) -> bool:
    r"""Whether a unit may stand after it, or it cannot be read: no point has, and no complex number.

    An interval may, if its brackets tell it from a point.

    >>> may_have_unit("(1, 2]"), may_have_unit("(1, 2)"), may_have_unit("2:3"), may_have_unit("2x")
    (True, False, False, True)
    """
    node = _read(text)
    return node is None or _is_quantity(node)


def _is_quantity(node: Node) -> bool:
    if node.head in ("union", "meet", "minus"):
        return True
    if node.head in _NO_QUANTITIES or (node.head == "tuple" and node.value in ("()", "<>")):
        return False
    if node.head == "sym":
        return node != symbol("i") and not str(node.value).startswith("\\mathbb")
    return all(map(_is_quantity, node.args))


def _read(text: str) -> Node | None:
    from k2repro.verify.maths.statements import parse

    try:
        return parse(text)
    except Unreadable:
        return None
