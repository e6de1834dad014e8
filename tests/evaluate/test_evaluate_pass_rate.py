"""Unbiased pass@k against enumeration of every k-subset, and against what is often written instead."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from k2repro.errors import K2ReproError
from k2repro.evaluate import pass_at_k

SMALL = [(n, c, k) for n in range(1, 9) for c in range(n + 1) for k in range(1, n + 1)]


def enumerated(n: int, c: int, k: int) -> Fraction:
    """Share of all k-subsets of n generations (the first c right) that hold a right one."""
    subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))
    return Fraction(sum(any(subset) for subset in subsets), len(subsets))


def with_replacement(n: int, c: int, k: int) -> float:
    """Wrong twin: k independent draws at rate c/n, biased low."""
    return 1.0 - (1.0 - c / n) ** k


def floating_product(n: int, c: int, k: int) -> float:
    """Wrong twin: 1 minus a product of floats, which cancels when pass@k is tiny."""
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


@pytest.mark.parametrize(("n", "c", "k"), SMALL)
def test_equals_enumeration_of_all_subsets(n: int, c: int, k: int) -> None:
    """An off-by-one in n - c or k: the value is the correctly rounded share of all k-subsets."""
    assert pass_at_k(n, c, k) == float(enumerated(n, c, k))


def test_replacement_twin_differs_wherever_it_can() -> None:
    """Sampling with replacement passes at k=1 and at the ends; enumeration must expose it between."""
    between = [(n, c, k) for n, c, k in SMALL if 0 < c < n and k > 1]
    assert all(with_replacement(*t) < float(enumerated(*t)) - 1e-9 for t in between)


def test_mean_over_draws_is_the_true_rate_and_the_twin_is_low() -> None:
    """Bias: weighted by the binomial law of c, the estimator gives 1 - (1-p)^k exactly, the twin less."""
    n, k, p = 8, 4, 0.3
    law = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    truth = 1 - (1 - p) ** k
    assert sum(w * pass_at_k(n, c, k) for c, w in enumerate(law)) == pytest.approx(truth, rel=1e-12)
    assert sum(w * with_replacement(n, c, k) for c, w in enumerate(law)) < truth - 0.02


def test_tiny_values_keep_all_their_digits() -> None:
    """Cancellation: for one right of a million pass@1 is 1e-6 to the last bit; a product loses digits."""
    assert pass_at_k(10**6, 1, 1) == 1e-6
    assert floating_product(10**6, 1, 1) != 1e-6


def test_large_counts_do_not_overflow() -> None:
    """Overflow: C(4000, 2000) has 1,203 digits, more than a float can hold."""
    assert pass_at_k(4000, 1, 2000) == 0.5


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 400), st.data())
def test_agrees_with_the_hypergeometric_law(n: int, data: st.DataObject) -> None:
    """A wrong formula at sizes nobody enumerates: P(no right one drawn) by scipy."""
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    assert pass_at_k(n, c, k) == pytest.approx(1.0 - hypergeom.pmf(0, n, c, k), abs=1e-10)


@settings(deadline=None, derandomize=True)
@given(st.integers(2, 60), st.data())
def test_more_right_answers_or_more_tries_never_hurt(n: int, data: st.DataObject) -> None:
    """Swapped arguments: pass@k rises with c and with k, and pass@n is 1 as soon as one is right."""
    c, k = data.draw(st.integers(0, n - 1)), data.draw(st.integers(1, n - 1))
    value = pass_at_k(n, c, k)
    assert value <= pass_at_k(n, c + 1, k) <= 1.0
    assert value <= pass_at_k(n, c, k + 1)
    assert pass_at_k(n, c + 1, n) == 1.0


def test_arrays_broadcast_to_the_same_values() -> None:
    """A transposed scatter: a (problems, k) curve holds at each place the value of the scalar call."""
    c, k = np.array([0, 3, 3, 8, 1]), np.array([1, 2, 8])
    curve = pass_at_k(8, c[:, None], k[None, :])
    assert isinstance(curve, np.ndarray)
    assert curve.tolist() == [[pass_at_k(8, int(i), int(j)) for j in k] for i in c]


def test_returns_a_plain_float_for_plain_numbers() -> None:
    """A 0-d array in a row breaks its JSON: three numbers give a Python float."""
    assert type(pass_at_k(np.int64(4), 2.0, 1)) is float


@pytest.mark.parametrize(
    ("n", "c", "k", "message"),
    [
        (4, 1, 5, "k must not exceed n, got k=5 of n=4"),
        (4, 5, 1, "c must not exceed n, got c=5 of n=4"),
        (4, [0, 5], 1, "c must not exceed n, got c=5 of n=4"),
        (4, -1, 1, "c must not be negative, got -1"),
        (-4, 0, 1, "n must not be negative, got -4"),
        (4, 1, 0, "k must be at least 1, got 0"),
        (4, 0.5, 1, "c must be whole numbers, got 0.5"),
        (4, float("nan"), 1, "c must be finite, got nan"),
        (float("inf"), 1, 1, "n must be finite, got inf"),
        (4, [True, False], 1, "c must be counts, got booleans"),
        (4, "2", 1, "c must be numbers"),
        (4, [], 1, "c is empty"),
        (1e300, 0, 1, "n must not exceed"),
        ([4, 4], [1, 1, 1], 1, "n, c and k must broadcast together"),
    ],
)
def test_bad_counts_are_refused_by_name(n: object, c: object, k: object, message: str) -> None:
    """Silent nonsense such as a negative pass@k: the message names the count and the rule."""
    with pytest.raises(K2ReproError, match=message):
        pass_at_k(n, c, k)  # type: ignore[call-overload]
