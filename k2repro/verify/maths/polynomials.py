"""Polynomials in one variable with rational coefficients."""

from collections.abc import Mapping
from fractions import Fraction

from flint import fmpq, fmpq_poly

from k2repro.verify.maths.tree import Node
from k2repro.verify.maths.value import Undecided

_MOST_DEGREE = 24
_MOST_BITS = 4000  # of all coefficients together: an answer may hold a tower of powers


def polynomial(node: Node, name: str, at: Mapping[str, Fraction]) -> fmpq_poly:
    """The node as a polynomial in `name`, its other variables set; raises Undecided where it is none."""
    if node.head == "num":
        return _limited(fmpq_poly([fmpq(node.value.numerator, node.value.denominator)]))
    if node.head == "sym" and node.value == name:
        return fmpq_poly([0, 1])
    if node.head == "sym" and node.value in at:
        value = at[node.value]
        return fmpq_poly([fmpq(value.numerator, value.denominator)])
    if node.head not in ("add", "neg", "mul", "div", "pow"):
        raise Undecided
    first, *rest = (polynomial(part, name, at) for part in node.args)
    if node.head == "neg":
        return -first
    if node.head == "add":
        return _limited(sum(rest, first))
    if node.head == "mul":
        return _limited(first * rest[0])  # of two limited ones, so never far beyond
    if rest[0].degree() > 0 or (node.head == "div" and not rest[0]):
        raise Undecided
    constant = rest[0][0]
    if node.head == "div":
        return _limited(first * fmpq_poly([1 / constant]))
    if constant.q != 1 or not 0 <= constant <= _MOST_DEGREE:
        raise Undecided
    if first.degree() * constant > _MOST_DEGREE or _bits(first) * constant > _MOST_BITS:
        raise Undecided
    return _limited(first ** int(constant.p))


def _limited(found: fmpq_poly) -> fmpq_poly:
    if found.degree() > _MOST_DEGREE or _bits(found) > _MOST_BITS:
        raise Undecided
    return found


def _bits(found: fmpq_poly) -> int:
    parts = [*found.numer().coeffs(), found.denom()]
    return sum(int(part).bit_length() for part in parts)
