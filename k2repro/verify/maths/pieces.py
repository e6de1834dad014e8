"""What changes the course of a formula: |x|, floors, maxima, even roots, arcs of angles.

Between such places a formula is one analytic function, and a few points tell two of them apart. Across them
a difference may hide where no point is tried: |x-999| + |x-1001| - 2|x-1000| is zero but for a narrow window.
Two rules stand against it. An answer may not be put together from more cases than the gold one. And the
places where the cuts of the two bend are tried themselves (`bends`); where several cannot be found, and the
two have not the same ones, nothing is decided.
"""

from fractions import Fraction
from typing import Any

from k2repro.verify.maths.polynomials import polynomial
from k2repro.verify.maths.tree import Node, variables, walk
from k2repro.verify.maths.value import Undecided

_CASES = frozenset({"max", "min", "gcd", "lcm"})
_ARCS = frozenset({"arcsin", "arccos", "arctan", "arccot"})
_TURNS = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
_COMPLEX_BY_NAME = frozenset({"z", "w", "\\zeta", "\\omega"})


def brings_pieces(gold: Node, answer: Node) -> bool:
    """Whether the answer is put together from cases that the gold one has not."""
    one, other = _pieces(gold), _pieces(answer)
    if other and not one:
        return True
    if len(_folds(answer)) > len(_folds(gold)):
        return True
    return _moduli(one) != _moduli(other)


def _pieces(node: Node) -> set[Node]:
    return {part for part in walk(node) if is_piece(part)}


def is_piece(node: Node) -> bool:
    """Whether variables stand in what changes its course."""
    if not node.args or not any(map(variables, node.args)):
        return False
    if node.head == "root":
        return bool(node.value % 2 == 0)
    if node.head == "pow":
        return _is_cut(*node.args)
    return node.head in ("floor", "ceil") or is_fold(node)


def _folds(node: Node) -> set[Node]:
    """Those that can be put together to be zero but for a window."""
    return {part for part in walk(node) if is_piece(part) and is_fold(part)}


def is_fold(node: Node) -> bool:
    """Whether it is one of those, if variables stand in it."""
    if node.head == "fn":
        turned = any(part.head == "fn" and part.value in _TURNS for part in walk(node) if variables(part))
        return node.value in _CASES or (node.value in _ARCS and turned)
    if node.head in ("root", "pow"):
        return bool(variables(node.args[0])) and is_square(node.args[0])
    return node.head == "abs"


def is_square(node: Node) -> bool:
    """Whether a radicand is a square: even powers, positive numbers, or written out as x^2 - 2x + 1."""
    if node.head == "num":
        return bool(node.value > 0)
    if node.head == "pow" and node.args[1].head == "num" and node.args[1].value % 2 == 0:
        return True
    if node.head in ("mul", "div") and all(map(is_square, node.args)):
        return True
    return bool(variables(node)) and _is_written_out(node)


def _is_written_out(node: Node) -> bool:
    """Whether all factors of a polynomial occur an even number of times: in each variable, others set."""
    names = variables(node)
    try:
        found = [polynomial(node, name, _others(name, names)).numer() for name in names]
    except Undecided:
        return False
    return all(each and _is_even(*each.factor()) for each in found)


def _others(name: str, names: list[str]) -> dict[str, Fraction]:
    """Values at which two different factors are hardly one."""
    return {other: Fraction(1009 + 7919 * at, 101 + at) for at, other in enumerate(names) if other != name}


def _is_even(content: Any, factors: list[tuple[Any, int]]) -> bool:
    return bool(content > 0) and all(many % 2 == 0 for _, many in factors)


def _is_cut(base: Node, exponent: Node) -> bool:
    """x^(1/2); x^x; 0^x; (-1)^binom(n, 60); e^(ln(x^2)/2)."""
    if variables(base) and not variables(exponent):
        inside = exponent.args[0] if exponent.head == "neg" else exponent
        return not (inside.head == "num" and inside.value.denominator == 1)
    if variables(base) or (base.head == "num" and base.value == 0):
        return True
    parts = [part for part in walk(exponent) if variables(part)]
    if base.head == "neg" or (base.head == "num" and base.value < 0):
        return any(part.head in ("binom", "fact") for part in parts)
    return any(part.head == "fn" and part.value in ("ln", "log", "lg") for part in parts)


def _moduli(pieces: set[Node]) -> bool:
    """Whether |z| stands there: z is a complex number by its name, so |z|^2 is not z^2."""
    return any(
        part.head == "abs" and any(name.split("_")[0] in _COMPLEX_BY_NAME for name in variables(part))
        for part in pieces
    )
