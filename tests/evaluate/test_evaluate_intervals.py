"""Wilson's interval against statsmodels, against its defining equation, and by exact coverage."""

from dataclasses import FrozenInstanceError
from math import sqrt

import pytest
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from k2repro.errors import K2ReproError
from k2repro.evaluate import Interval, wilson_interval

GRID = [(c, n) for n in (1, 2, 3, 8, 30, 173, 1000) for c in sorted({0, 1, n // 3, n - 1, n})]


def wald(successes: int, n: int) -> Interval:
    """Wrong twin: the textbook normal interval."""
    share = successes / n
    half = 1.959963984540054 * sqrt(share * (1 - share) / n)
    return Interval(share - half, share + half, "wald", 0.95, n)


def coverage(interval, p: float, n: int) -> float:
    """Exact chance, under rate p, that the interval of n trials holds p."""
    return sum(binom.pmf(c, n, p) for c in range(n + 1) if p in interval(c, n))


@pytest.mark.parametrize("level", [0.68, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(("successes", "n"), GRID)
def test_wilson_equals_statsmodels(successes: int, n: int, level: float) -> None:
    """A slip in the formula or in z: statsmodels gives the same bounds over a grid of counts."""
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    assert tuple(wilson_interval(successes, n, level)) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(c, n) for c, n in GRID if 0 < c < n])
def test_bounds_solve_the_score_equation(successes: int, n: int) -> None:
    """An interval of another kind: each bound p satisfies |share - p| = z sqrt(p (1-p) / n)."""
    z = 1.959963984540054
    for bound in wilson_interval(successes, n):
        gap = abs(successes / n - bound)
        assert gap == pytest.approx(z * sqrt(bound * (1 - bound) / n), rel=1e-9)


@pytest.mark.parametrize("n", [1, 30, 500])
def test_all_right_is_not_certainty_but_wald_says_so(n: int) -> None:
    """Zero width at c = n: Wilson keeps 30 of 30 away from certainty, the Wald twin does not."""
    assert wilson_interval(n, n).high == 1.0
    assert wilson_interval(n, n).low < 1.0
    assert wald(n, n).width == 0.0


def test_coverage_is_near_its_level_and_wald_falls_short() -> None:
    """Intervals too narrow for 30 problems: mean exact coverage over rates, by the binomial law."""
    rates = [0.02 * step for step in range(1, 50)]
    wilson_mean = sum(coverage(wilson_interval, p, 30) for p in rates) / len(rates)
    wald_mean = sum(coverage(wald, p, 30) for p in rates) / len(rates)
    assert 0.94 < wilson_mean < 0.97
    assert wald_mean < 0.92


def test_mirror_image() -> None:
    """Rounding that favours one end: right and wrong counts swap to the mirrored interval."""
    for successes, n in GRID:
        low, high = wilson_interval(successes, n)
        assert (1 - high, 1 - low) == pytest.approx(tuple(wilson_interval(n - successes, n)))


def test_interval_says_what_a_row_needs() -> None:
    """A row without method or n: both travel with the bounds, and nothing can be changed later."""
    interval = wilson_interval(3, 8, level=0.9)
    assert (interval.method, interval.level, interval.n) == ("wilson", 0.9, 8)
    with pytest.raises(FrozenInstanceError):
        interval.low = 0.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("successes", "n", "level", "message"),
    [
        (9, 8, 0.95, "successes must not exceed n, got 9 of 8"),
        (-1, 8, 0.95, "successes must not be negative, got -1"),
        (0, 0, 0.95, "n must be at least 1, got 0"),
        (0.5, 8, 0.95, "successes must be whole numbers, got 0.5"),
        (float("nan"), 8, 0.95, "successes must be finite, got nan"),
        (1, float("inf"), 0.95, "n must be finite, got inf"),
        ([1, 2], 8, 0.95, "successes must be one number"),
        (1, 8, 95, "level must be a fraction between 0 and 1, got 95"),
        (1, 8, 1.0, "level must be a fraction between 0 and 1, got 1.0"),
        (1, 8, float("nan"), "level must be a fraction between 0 and 1, got nan"),
    ],
)
def test_bad_input_is_refused(successes: object, n: object, level: float, message: str) -> None:
    """A percentage for a level, or swapped arguments, would give bounds that look fine."""
    with pytest.raises(K2ReproError, match=message):
        wilson_interval(successes, n, level)  # type: ignore[arg-type]
