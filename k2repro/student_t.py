"""Student's t distribution for whole degrees of freedom, without a library."""

from math import atan, cos, pi, sin, sqrt

from k2repro.errors import K2ReproError


def t_quantile(probability: float, degrees: int) -> float:
    """The value below which Student's t with `degrees` degrees of freedom lies with `probability`.

    probability: from 0.5 up to, not including, 1. By bisection of the closed form for whole degrees of
    freedom (Abramowitz and Stegun 26.7.3 and 26.7.4).
    """
    if not 0.5 <= probability < 1 or degrees < 1:
        raise K2ReproError(f"probability {probability}, degrees {degrees}: in [0.5, 1), at least 1")
    wanted, high = 2 * probability - 1, 1.0
    while _within(high, degrees) < wanted:
        high *= 2
    low = 0.0
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < wanted else (low, middle)
    return high


def _within(t: float, degrees: int) -> float:
    """Probability that |T| is at most t."""
    angle = atan(t / sqrt(degrees))
    odd = degrees % 2
    # Terms of cos^1, cos^3, ... for odd degrees, of cos^0, cos^2, ... for even ones.
    term, total = cos(angle) if odd else 1.0, 0.0
    for power in range(1 + odd, degrees, 2):
        total += term
        term *= cos(angle) ** 2 * power / (power + 1)
    total *= sin(angle)
    return 2 / pi * (angle + total) if odd else total
