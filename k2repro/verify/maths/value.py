"""One number: exactly if it is rational, else a ball around it and a bound that says when it is zero.

The bound is that of Burnikel, Funke, Mehlhorn, Schirra and Schmitt (A separation bound for real algebraic
expressions, ESA 2001): an expression is U / L with algebraic integers U and L; if every conjugate of U is at
most 2^u, every one of L at most 2^l, and all of it lies in a field of degree D, it is zero or at least
2^-((D - 1) u + l). Roots of unity and sums of them fit: their conjugates are bounded by the number of terms.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import arb, fmpq, fmpz

MOST_BITS = 40_000  # of an exact rational; beyond, a ball


class Undefined(ArithmeticError):
    """No value at this point, such as a division by zero."""


class NotReal(Undefined):
    """No real value at this point: an even root or a logarithm of a negative number."""


class Unclear(ArithmeticError):
    """The precision does not suffice to go on: which side of zero, which whole number."""


class Undecided(ArithmeticError):
    """The budget or the knowledge of the checker does not suffice."""


@dataclass(frozen=True, slots=True)
class Value:
    """exact: the rational, or None; ball: encloses the value (arb, or acb when it is not real).

    u, l: log2 of the two bounds. formal: rests on a transcendental number that stands as a rational one.
    """

    exact: Fraction | None
    ball: Any
    u: float = 0.0
    l: float = 0.0  # noqa: E741
    formal: bool = False

    @property
    def is_rational(self) -> bool:
        """Exact, and not by way of a stand-in."""
        return self.exact is not None and not self.formal


def rational(value: Fraction | int, formal: bool = False) -> Value:
    """An exact number."""
    value = Fraction(value)
    top, bottom = value.numerator, value.denominator
    ball = arb(fmpz(top)) if bottom == 1 else arb(fmpq(top, bottom))
    return Value(value, ball, float(max(top.bit_length(), 1)), float(bottom.bit_length()), formal)


def bits(value: Fraction) -> int:
    """Length of numerator and denominator together."""
    return value.numerator.bit_length() + value.denominator.bit_length()


def is_real(ball: Any) -> bool:
    """Whether a ball is on the real line, exactly."""
    return isinstance(ball, arb) or bool(ball.imag.is_zero())


def real(ball: Any) -> Any:
    """The real part."""
    return ball if isinstance(ball, arb) else ball.real


def finite(ball: Any) -> Any:
    """The ball; raises Unclear when it is no bounded one."""
    if not ball.is_finite():
        raise Unclear
    return real(ball) if not isinstance(ball, arb) and is_real(ball) else ball


def excludes_zero(ball: Any) -> bool:
    """Whether the number in the ball is surely not zero."""
    return not ball.contains(0)


def add(one: Value, other: Value) -> Value:
    """The sum."""
    formal = one.formal or other.formal
    if one.exact is not None and other.exact is not None and bits(one.exact) + bits(other.exact) < MOST_BITS:
        return rational(one.exact + other.exact, formal)
    u = max(one.u + other.l, one.l + other.u) + 1
    return Value(None, finite(one.ball + other.ball), u, one.l + other.l, formal)


def mul(one: Value, other: Value) -> Value:
    """The product."""
    formal = one.formal or other.formal
    if one.exact is not None and other.exact is not None and bits(one.exact) + bits(other.exact) < MOST_BITS:
        return rational(one.exact * other.exact, formal)
    return Value(None, finite(one.ball * other.ball), one.u + other.u, one.l + other.l, formal)


def neg(value: Value) -> Value:
    """Minus the value."""
    exact = None if value.exact is None else -value.exact
    return Value(exact, -value.ball, value.u, value.l, value.formal)


def inverse(value: Value) -> Value:
    """One over the value; raises Undefined for zero."""
    if value.exact is not None:
        if value.exact == 0:
            raise Undefined
        return rational(1 / value.exact, value.formal)
    if value.ball.contains(0):
        raise Unclear
    return Value(None, finite(1 / value.ball), value.l, value.u, value.formal)


def power(value: Value, exponent: int) -> Value:
    """The value to a whole power."""
    if exponent < 0:
        return power(inverse(value), -exponent)
    if value.exact is not None:
        if abs(value.exact) in (0, 1):
            odd = exponent % 2 or value.exact == 0
            return rational((value.exact if odd else 1) if exponent else 1, value.formal)
        if bits(value.exact) * exponent < MOST_BITS:
            return rational(value.exact**exponent, value.formal)
    if exponent.bit_length() > 4000:
        raise Undecided
    ball = finite(value.ball ** fmpz(exponent))
    return Value(None, ball, _times(value.u, exponent), _times(value.l, exponent), value.formal)


def _times(bound: float, exponent: int) -> float:
    return bound * exponent if exponent < 10**9 else (math.inf if bound else 0.0)


def exact_root(value: Fraction, degree: int) -> Fraction | None:
    """The rational root of a rational number >= 0, or None."""
    parts = []
    for part in (value.numerator, value.denominator):
        root = int(fmpz(part).root(degree))
        if root**degree != part:
            return None
        parts.append(root)
    return Fraction(*parts)
