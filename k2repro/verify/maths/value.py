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

    def __add__(self, other: "Value") -> "Value":
        """The sum."""
        formal = self.formal or other.formal
        if self.exact is not None and other.exact is not None and _fit(self.exact, other.exact):
            return rational(self.exact + other.exact, formal)
        u = max(self.u + other.l, self.l + other.u) + 1
        return Value(None, finite(self.ball + other.ball), u, self.l + other.l, formal)

    def __mul__(self, other: "Value") -> "Value":
        """The product."""
        formal = self.formal or other.formal
        if self.exact is not None and other.exact is not None and _fit(self.exact, other.exact):
            return rational(self.exact * other.exact, formal)
        return Value(None, finite(self.ball * other.ball), self.u + other.u, self.l + other.l, formal)

    def __neg__(self) -> "Value":
        """Minus the value."""
        exact = None if self.exact is None else -self.exact
        return Value(exact, -self.ball, self.u, self.l, self.formal)

    def __sub__(self, other: "Value") -> "Value":
        """The difference."""
        return self + -other

    def __truediv__(self, other: "Value") -> "Value":
        """The quotient; raises Undefined for a division by zero."""
        return self * other.inverse()

    def inverse(self) -> "Value":
        """One over the value; raises Undefined for zero."""
        if self.exact is not None:
            if self.exact == 0:
                raise Undefined
            return rational(1 / self.exact, self.formal)
        if self.ball.contains(0):
            raise Unclear
        return Value(None, finite(1 / self.ball), self.l, self.u, self.formal)

    def __pow__(self, exponent: int) -> "Value":
        """The value to a whole power."""
        if exponent < 0:
            return self.inverse() ** -exponent
        if self.exact is not None:
            if abs(self.exact) in (0, 1):
                odd = exponent % 2 or self.exact == 0
                return rational((self.exact if odd else 1) if exponent else 1, self.formal)
            if bits(self.exact) * exponent < MOST_BITS:
                return rational(self.exact**exponent, self.formal)
        if exponent.bit_length() > 4000:
            raise Undecided
        ball = finite(self.ball ** fmpz(exponent))
        return Value(None, ball, _times(self.u, exponent), _times(self.l, exponent), self.formal)


def rational(value: Fraction | int, formal: bool = False) -> Value:
    """An exact number."""
    value = Fraction(value)
    top, bottom = value.numerator, value.denominator
    ball = arb(fmpz(top)) if bottom == 1 else arb(fmpq(top, bottom))
    return Value(value, ball, float(max(top.bit_length(), 1)), float(bottom.bit_length()), formal)


def bits(value: Fraction) -> int:
    """Length of numerator and denominator together."""
    return value.numerator.bit_length() + value.denominator.bit_length()


def _fit(one: Fraction, other: Fraction) -> bool:
    return bits(one) + bits(other) < MOST_BITS


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
