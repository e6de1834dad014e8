"""Functions of whole and rational numbers, exact as far as they can be written out.

Where a value is not known exactly, or the function is not defined there, they raise Undecided or Undefined.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from flint import arb, fmpz

from k2repro.verify.maths.value import Undecided, Undefined, Value

LARGEST_FACTORIAL = 2000


def of_rationals(name: str, parts: Sequence[Value]) -> Fraction | int:
    """max or min of rational numbers, gcd or lcm of whole ones."""
    exact = [part.exact for part in parts if part.exact is not None and part.is_rational]
    if len(exact) != len(parts) or not exact:
        raise Undecided
    if name in ("max", "min"):
        return max(exact) if name == "max" else min(exact)
    if any(each.denominator != 1 for each in exact):
        raise Undefined
    whole = [each.numerator for each in exact]
    return math.gcd(*whole) if name == "gcd" else math.lcm(*whole)


def factorial(inside: Value) -> int | None:
    """The factorial; None where it is too large, or the value is not known to be whole."""
    exact = inside.exact
    if not inside.is_rational or exact is None or exact.denominator != 1:
        return None
    if exact < 0:
        raise Undefined
    return math.factorial(exact.numerator) if exact <= LARGEST_FACTORIAL else None


def binomial(above: Value, below: Value) -> Fraction | int | arb:
    """A binomial coefficient; as a ball where it is too large to be written out."""
    if not (above.is_rational and below.is_rational):
        raise Undecided
    n, k = above.exact, below.exact
    assert n is not None and k is not None
    if n.denominator == k.denominator == 1 and n >= 0:
        return _whole_binomial(n.numerator, k.numerator)
    if k.denominator != 1 or not 0 <= k <= 50:
        raise Undecided
    return math.prod((n - step) / (step + 1) for step in range(k.numerator)) if k else 1


def _whole_binomial(n: int, k: int) -> int | arb:
    if not 0 <= k <= n:
        return 0
    if n <= LARGEST_FACTORIAL or min(k, n - k) * n.bit_length() <= 5000:
        return math.comb(n, k)
    logs = [(arb(fmpz(each)) + 1).lgamma() for each in (n, k, n - k)]
    return (logs[0] - logs[1] - logs[2]).exp()


def euler_phi(n: int) -> int:
    """How many numbers below n share no factor with it."""
    result = n
    for prime, _ in fmpz(n).factor() if n > 1 else []:
        result -= result // int(prime)
    return result
