"""Arguments of exp, sin and log as sums of rational multiples of products: exp(a + b) = exp(a) exp(b).

A product is a sorted tuple of (kernel, exponent); a kernel is a text, a root or a subtree that is left whole.
"""

from fractions import Fraction
from typing import Any

from k2repro.verify.maths.tree import Node, symbol, walk

Product = tuple[tuple[Any, int], ...]
Terms = dict[Product, Fraction]
PI: Product = (("pi", 1),)
I_PI: Product = (("i", 1), ("pi", 1))
ONE: Product = ()
_MOST = 40  # terms


def constant(value: Fraction) -> Terms:
    """A rational number as terms."""
    return {ONE: value} if value else {}


def kernel(name: Any) -> Terms:
    """A single kernel."""
    return {((name, 1),): Fraction(1)}


def plus(one: Terms, other: Terms) -> Terms:
    """The sum, without terms that cancel."""
    total = dict(one)
    for product, factor in other.items():
        total[product] = total.get(product, Fraction(0)) + factor
        if not total[product]:
            del total[product]
    return total


def scaled(terms: Terms, factor: Fraction) -> Terms:
    """Every term times a rational number."""
    return {product: value * factor for product, value in terms.items() if factor}


def times(one: Terms, other: Terms) -> Terms | None:
    """The product, or None when it has too many terms."""
    if len(one) * len(other) > _MOST:
        return None
    total: Terms = {}
    for left, factor in one.items():
        for right, more in other.items():
            product, sign = _merged(left, right)
            total = plus(total, {product: factor * more * sign})
    return total


def inverted(terms: Terms) -> Terms | None:
    """One over a single term; None for a sum."""
    if len(terms) != 1:
        return None
    ((product, factor),) = terms.items()
    sign = -1 if ("i", 1) in product else 1  # 1/i = -i
    return {tuple((name, n if name == "i" else -n) for name, n in product): sign / factor}


def _merged(left: Product, right: Product) -> tuple[Product, int]:
    """The product of two products, and its sign, since i * i = -1."""
    powers: dict[Any, int] = dict(left)
    for name, exponent in right:
        powers[name] = powers.get(name, 0) + exponent
    sign = 1
    if "i" in powers:
        turns = powers.pop("i") % 4
        sign = -1 if turns >= 2 else 1
        if turns % 2:
            powers["i"] = 1
    return tuple(sorted(((name, n) for name, n in powers.items() if n), key=repr)), sign


def is_real(product: Product) -> bool:
    """Whether a product has no factor i."""
    return all(
        name != "i" and not (isinstance(name, Node) and symbol("i") in walk(name)) for name, _ in product
    )
