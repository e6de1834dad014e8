"""Catches: an exponential that is off, a softmax that counts too much, a NaN that vanishes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.fast.kernels import vectors
from k2repro.fast.kernels.compiling import compiled
from k2repro.fast.kernels.softmax import exponential, exponentials, peak_of, scale, softmax
from k2repro.fast.kernels.vectors import LANES

SETTINGS = settings(derandomize=True, max_examples=100, deadline=None)
NAN = np.float32("nan")


@compiled
def _of_each(x):
    for n in range(0, x.shape[1], LANES):
        vectors.store(exponential(vectors.load(x, 0, n)), x, 0, n)


def row_of(values: list[float], behind: float) -> np.ndarray:
    """[1, whole vectors]: `values`, then `behind`."""
    row = np.full((1, -(-len(values) // LANES) * LANES), behind, np.float32)
    row[0, : len(values)] = values
    return row


@SETTINGS
@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=40))
def test_exponentials_are_those_of_numpy(values: list[float]):
    """Catches a polynomial or exponent that is off, and overflow to infinity or a negative number."""
    x = np.array(values, np.float32)
    found = row_of(values, 0.0)
    _of_each(found)
    exact = np.exp2(np.clip(x.astype(np.float64) * np.log2(np.e), -126, 126))
    # The argument itself carries half a unit in the last place, which e^x magnifies by |x|.
    assert np.allclose(found[0, : len(x)], exact, rtol=1e-6 + 1.2e-7 * float(np.abs(x).max()))


@SETTINGS
@given(st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=70), st.sampled_from([0.0, 99.0, NAN]))
def test_softmax_of_any_length(values: list[float], behind: float):
    """Catches a remainder after whole vectors that a maximum or a sum leaves out, or what stands behind."""
    x = np.array(values, np.float32)
    exact = np.exp(x.astype(np.float64) - x.max())
    found = row_of(values, behind)
    total = softmax(found, 0, len(x))
    assert np.allclose(found[0, : len(x)], exact, rtol=1e-5, atol=1e-30)
    assert not found[0, len(x) :].any()
    assert np.isclose(total, exact.sum(), rtol=1e-5)


@pytest.mark.parametrize("place", [0, 3, 20])
def test_not_a_number_stays(place: int):
    """Catches a maximum or a clamp that swallows a NaN: weights that diverged would go on sampling."""
    values = [0.5] * 24
    values[place] = NAN
    found = row_of(values, 0.0)
    assert np.isnan(softmax(found, 0, 24))


def test_peak_and_sum_make_the_same_weights_again():
    """Catches a way back whose weights are not those of the way forth, bit for bit."""
    values = list(np.random.default_rng(0).standard_normal(37).astype(np.float32))
    once, again = row_of(values, 7.0), row_of(values, -7.0)
    peak = peak_of(once, 0, 37)
    assert peak == max(values)
    total = softmax(once, 0, 37)
    assert exponentials(again, 0, 37, peak) == total
    assert np.array_equal(once, again)
    scale(again, 0, 37, np.float32(1) / total)
    assert np.isclose(again.sum(), 1, atol=1e-6)
