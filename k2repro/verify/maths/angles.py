"""Angles and small fractions: the arithmetic below the stand-ins."""

import math
from fractions import Fraction
from typing import Any

from flint import arb, fmpq

from k2repro.verify.maths import value as values
from k2repro.verify.maths.value import Value, rational


def is_odd(factor: Fraction) -> bool:
    """Whether a multiple is too long to be a power of one unit; it then stands for itself."""
    return 12 % factor.denominator > 0 or abs(factor.numerator) > 24


def ball_of(value: Fraction) -> Any:
    """A rational number as a ball."""
    return arb(fmpq(value.numerator, value.denominator))


def turned(c: Value, s: Value, more_c: Value, more_s: Value) -> tuple[Value, Value]:
    """Cosine and sine of the sum of two angles."""
    return c * more_c - s * more_s, c * more_s + s * more_c


def multiple(cosine: Value, sine: Value, steps: int) -> tuple[Value, Value]:
    """Cosine and sine of a multiple of an angle, by squaring."""
    if steps < 0:
        sine, steps = -sine, -steps
    result = rational(1), rational(0)
    while steps:
        if steps & 1:
            result = turned(*result, cosine, sine)
        cosine, sine = turned(cosine, sine, cosine, sine)
        steps >>= 1
    return result


def from_half(tangent: Value) -> tuple[Value, Value]:
    """Cosine and sine of an angle whose half has this tangent."""
    assert tangent.exact is not None
    square = tangent.exact**2
    below = 1 + square
    return rational((1 - square) / below, True), rational(2 * tangent.exact / below, True)


def magnitude(ball: Any) -> int:
    """log2 of a size, roughly."""
    man, exp = ball.abs_upper().man_exp()
    return int(exp) + int(man).bit_length() if int(man) else 0


def rational_near(ball: Any, most: int) -> Fraction | None:
    """The fraction with a small denominator that is in the ball, or None."""
    if not values.is_real(ball):
        return None
    middle = values.real(ball).mid()
    man, exp = middle.man_exp()
    guess = (Fraction(int(man)) * Fraction(2) ** int(exp)).limit_denominator(most)
    return guess if ball.contains(arb(fmpq(guess.numerator, guess.denominator))) else None


def small_ratio(one: Any, other: Any) -> Fraction | None:
    """The fraction of small numbers that one ball is of another, or None."""
    if other.contains(0):
        return None
    ratio = rational_near(one / other, 12)
    return ratio if ratio and abs(ratio.numerator) <= 24 else None


def two_squares(prime: int) -> tuple[int, int]:
    """c > d > 0 with c^2 + d^2 = prime, a prime of the form 4k + 1 (Cornacchia)."""
    base = 2
    while pow(base, (prime - 1) // 2, prime) != prime - 1:
        base += 1
    a, b = prime, pow(base, (prime - 1) // 4, prime)
    while b * b > prime:
        a, b = b, a % b
    return b, a % b if b * b + (a % b) ** 2 == prime else math.isqrt(prime - b * b)


def divisible(x: int, y: int, c: int, d: int, times_over: int) -> bool:
    """Whether (x + yi) is divisible by (c + di) that often."""
    norm = c * c + d * d
    for _ in range(times_over):
        top, bottom = x * c + y * d, y * c - x * d
        if top % norm or bottom % norm:
            return False
        x, y = top // norm, bottom // norm
    return True


_HALF = Fraction(1, 2)
_COSINES = {
    Fraction(0): Fraction(1), Fraction(1, 3): _HALF, Fraction(1, 2): Fraction(0), Fraction(2, 3): -_HALF,
    Fraction(1): Fraction(-1), Fraction(4, 3): -_HALF, Fraction(3, 2): Fraction(0), Fraction(5, 3): _HALF,
}  # fmt: skip
# The rational ones, by the angle in multiples of pi; the sine is the cosine a quarter of a turn before.
EXACT = {"cos": _COSINES, "sin": {(turn + _HALF) % 2: value for turn, value in _COSINES.items()}}
