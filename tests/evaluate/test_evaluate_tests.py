"""Exact McNemar against scipy, statsmodels and enumeration; Holm against statsmodels."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from k2repro.errors import K2ReproError
from k2repro.evaluate import holm, mcnemar_exact

PAIRS = [(b, c) for b in range(13) for c in range(13)]


@pytest.mark.parametrize(("b", "c"), [pair for pair in PAIRS if sum(pair) > 0])
def test_mcnemar_equals_scipy_and_statsmodels(b: int, c: int) -> None:
    """A one-sided tail or a chi-square: two independent libraries give the exact two-sided p."""
    ours = mcnemar_exact(b, c)
    assert ours == pytest.approx(binomtest(b, b + c, 0.5).pvalue, rel=1e-12)
    assert ours == pytest.approx(mcnemar([[9, b], [c, 9]], exact=True).pvalue, rel=1e-12)


@pytest.mark.parametrize(("b", "c"), [pair for pair in PAIRS if sum(pair) <= 10])
def test_both_p_values_equal_enumeration_of_all_splits(b: int, c: int) -> None:
    """Mid-p at b = c and at 0 = 0, where doubling a tail goes wrong: all 2^(b+c) coin sequences."""
    gaps = [abs(2 * sum(coins) - b - c) for coins in itertools.product((0, 1), repeat=b + c)]
    more, equal = sum(g > abs(b - c) for g in gaps), sum(g == abs(b - c) for g in gaps)
    assert mcnemar_exact(b, c) == (more + equal) / len(gaps)
    assert mcnemar_exact(b, c, mid_p=True) == (more + equal / 2) / len(gaps)


def test_mcnemar_with_large_counts() -> None:
    """Underflow to zero or overflow: 900 against 1,100 pairs still agrees with scipy."""
    assert mcnemar_exact(900, 1100) == pytest.approx(binomtest(900, 2000).pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("b", "c", "message"),
    [
        (-1, 2, "b must not be negative, got -1"),
        (1, 2.5, "c must be whole numbers, got 2.5"),
        (float("nan"), 2, "b must be finite, got nan"),
        (1, float("inf"), "c must be finite, got inf"),
        ([1, 0], [0, 1], "b must be one number"),
        (True, 1, "b must be counts, got booleans"),
    ],
)
def test_mcnemar_refuses_what_is_not_a_count(b: object, c: object, message: str) -> None:
    """Verdict lists passed as counts: refused, with the name of the argument."""
    with pytest.raises(K2ReproError, match=message):
        mcnemar_exact(b, c)  # type: ignore[arg-type]


def without_monotone_step(p_values: Sequence[float]) -> list[float]:
    """Wrong twin: multiplies by m - i + 1 and stops there."""
    ranks = np.argsort(np.argsort(p_values, kind="stable"))
    return np.minimum(np.array(p_values) * (len(p_values) - ranks), 1.0).tolist()


# Few examples: statsmodels collects garbage on every call, tenths of a second in a large session.
@settings(deadline=None, derandomize=True, max_examples=25)
@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    """Order lost or a factor off by one: statsmodels gives the same adjusted values and decisions."""
    alpha = 0.0537
    rejected, adjusted, _, _ = multipletests(p_values, alpha=alpha, method="holm")
    ours = holm(p_values, alpha)
    assert ours.adjusted == pytest.approx(adjusted, abs=1e-15)
    assert ours.rejected.tolist() == rejected.tolist()


def test_holm_equals_statsmodels_on_a_large_table() -> None:
    """Sizes where some are rejected and some kept: 300 p-values, 40 of them tiny, many tied."""
    generator = np.random.default_rng(1)
    p_values = np.concatenate([generator.random(260).round(2), generator.random(40) / 5000])
    generator.shuffle(p_values)
    rejected, adjusted, _, _ = multipletests(p_values, method="holm")
    assert holm(p_values).adjusted == pytest.approx(adjusted, abs=1e-15)
    assert holm(p_values).rejected.tolist() == rejected.tolist()
    assert 0 < rejected.sum() < 300


def test_monotone_step_matters() -> None:
    """The larger p-value with the smaller adjusted one: the twin rejects what Holm must keep."""
    p_values = [0.020, 0.030, 0.049]
    twin = without_monotone_step(p_values)
    assert twin == pytest.approx([0.06, 0.06, 0.049])
    assert twin[2] <= 0.05
    assert holm(p_values).adjusted.tolist() == pytest.approx([0.06, 0.06, 0.06])
    assert not holm(p_values).rejected.any()


def test_holm_keeps_the_family_wise_error_and_raw_p_values_do_not() -> None:
    """Twenty comparisons of nothing: raw testing finds something in most tables, Holm in about 5 %."""
    tables = np.random.default_rng(0).random((2000, 20))
    raw = (tables <= 0.05).any(axis=1).mean()
    corrected = np.mean([holm(table).rejected.any() for table in tables])
    assert raw > 0.6
    assert 0.03 < corrected < 0.065


@pytest.mark.parametrize(
    ("p_values", "alpha", "message"),
    [
        ([], 0.05, "p_values is empty"),
        ([0.1, 1.2], 0.05, "p_values must lie between 0 and 1, got 1.2"),
        ([-0.1], 0.05, "p_values must lie between 0 and 1, got -0.1"),
        ([0.1, float("nan")], 0.05, "p_values must be finite, got nan"),
        ([[0.1, 0.2]], 0.05, "p_values must be a flat list"),
        (0.1, 0.05, "p_values must be a flat list"),
        ([0.1], 5, "alpha must be a fraction between 0 and 1, got 5"),
        ([0.1], float("nan"), "alpha must be a fraction between 0 and 1, got nan"),
    ],
)
def test_holm_refuses_what_is_not_a_p_value(p_values: object, alpha: float, message: str) -> None:
    """A nan that sorts last and vanishes: every entry is a probability or the table is refused."""
    with pytest.raises(K2ReproError, match=message):
        holm(p_values, alpha)  # type: ignore[arg-type]
