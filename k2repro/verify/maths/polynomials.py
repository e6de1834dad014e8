"""Polynomials in one variable with rational coefficients."""

from collections.abc import Mapping
from fractions import Fraction

from flint import fmpq, fmpq_poly

from k2repro.verify.maths.tree import Node
from k2repro.verify.maths.value import Undecided

_MOST_DEGREE = 24


def polynomial(node: Node, name: str, at: Mapping[str, Fraction]) -> fmpq_poly:
    """The node as a polynomial in `name`, its other variables set; raises Undecided where it is none."""
    if node.head == "num":
        return fmpq_poly([fmpq(node.value.numerator, node.value.denominator)])
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
        return sum(rest, first)
    if node.head == "mul":
        return _limited(first * rest[0])
    if rest[0].degree() > 0 or (node.head == "div" and not rest[0]):
        raise Undecided
    constant = rest[0][0]
    if node.head == "div":
        return first * fmpq_poly([1 / constant])
    if constant.q != 1 or not 0 <= constant <= _MOST_DEGREE:
        raise Undecided
    return _limited(first ** int(constant.p))


def _limited(product: fmpq_poly) -> fmpq_poly:
    if product.degree() > _MOST_DEGREE:
        raise Undecided
    return product
