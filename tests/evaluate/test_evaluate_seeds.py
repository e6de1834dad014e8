"""Catches: intervals over seeds that are too narrow, a quantile that is off, problems that differ by seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.evaluate.seeds import integers_below, t_interval, two_level_interval
from k2repro.student_t import t_quantile


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(1, 12.7062), (2, 4.30265), (3, 3.18245), (4, 2.77645), (9, 2.26216), (30, 2.04227), (200, 1.97190)],
)
def test_quantiles_are_those_of_the_tables(degrees: int, expected: float):
    """Catches a closed form that is right for odd degrees of freedom only."""
    assert t_quantile(0.975, degrees) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("degrees", [1, 2, 5, 8])
@pytest.mark.parametrize("probability", [0.5, 0.6, 0.9, 0.995])
def test_quantiles_agree_with_scipy(degrees: int, probability: float):
    """Catches a bisection that stops early; scipy is asked in tests only."""
    stats = pytest.importorskip("scipy.stats")
    expected = stats.t.ppf(probability, degrees)
    assert t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_t_interval_covers_as_often_as_it_says():
    """Catches n for n - 1, or a normal quantile: with three seeds those cover 3 or 9 times less."""
    draws = rng().normal(0.0, 1.0, (4_000, 3))
    covered = np.mean([interval.low <= 0 <= interval.high for interval in map(t_interval, draws)])
    assert covered == pytest.approx(0.95, abs=0.015)
    normal = np.mean([abs(draw.mean()) <= 1.96 * draw.std(ddof=1) / np.sqrt(3) for draw in draws])
    assert normal < 0.88


@settings(derandomize=True, max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(2, 30), st.integers(0, 99))
def test_without_differences_between_seeds_problems_are_left(seeds: int, problems: int, seed: int):
    """Catches a spread over seeds that is made up: equal rows resample like one row."""
    row = rng(seed).random(problems)
    table = np.tile(row, (seeds, 1))
    both = two_level_interval(table, generator=rng(seed), resamples=500)
    generator, means = rng(seed), []
    for _ in range(500):
        generator.integers(0, seeds, seeds)  # which seeds are drawn changes nothing
        means.append(row[generator.integers(0, problems, problems)].mean())
    assert (both.low, both.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
    assert both.n == problems


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.integers(2, 6), st.integers(2, 300), st.integers(40, 200), st.integers(0, 99))
def test_drawing_in_bulk_is_drawing_one_by_one(seeds: int, problems: int, resamples: int, seed: int):
    """Catches another stream or another order of sums: rows that ship would change in their last digits."""
    table, generator, plain = rng(seed).random((seeds, problems)), rng(seed), rng(seed)
    if seed % 2:  # the second half of a 64-bit number waits
        assert generator.integers(0, 9) == plain.integers(0, 9)
    both = two_level_interval(table, generator=generator, resamples=resamples)
    found = []
    for _ in range(resamples):
        shares = np.bincount(plain.integers(0, seeds, seeds), minlength=seeds) / seeds
        mean = np.einsum("s,s...->...", shares, table)
        found.append(mean[plain.integers(0, problems, problems)].sum() / problems)
    assert (both.low, both.high) == tuple(np.quantile(found, [(1 - 0.95) / 2, (1 + 0.95) / 2]))
    assert generator.random() == plain.random()


@pytest.mark.parametrize("large", [5, 2**20, 3 * 2**30])
def test_bulk_integers_are_numpys_where_it_draws_again(large: int):
    """Catches a number that numpy would have refused: of large bounds a quarter, and all after it shift."""
    below, bulk, plain = np.array([3, 3, large, large]), rng(), rng()
    for rows in (1, 7, 500):
        drawn = integers_below(below, rows, bulk)
        pairs = [[plain.integers(0, 3, 2), plain.integers(0, large, 2)] for _ in range(rows)]
        assert np.array_equal(drawn, np.array(pairs).reshape(rows, 4))
    assert bulk.bit_generator.state == plain.bit_generator.state


def test_all_seeds_are_asked_the_same_drawn_problems():
    """Catches problems drawn anew for each seed, which lets their luck average out; that twin is narrower."""
    hard = rng(1).random(40) < 0.5
    table = np.tile(hard.astype(float), (5, 1))
    same = two_level_interval(table, generator=rng(), resamples=4_000)
    generator = rng()
    apart = [np.mean([row[generator.integers(0, 40, 40)].mean() for row in table]) for _ in range(4_000)]
    assert same.width > 1.8 * float(np.diff(np.quantile(apart, [0.025, 0.975]))[0])


def test_both_levels_count():
    """Catches an interval that resamples seeds alone: with equal seeds' means it would have no width."""
    table = np.array([[1.0, 0.0] * 10, [0.0, 1.0] * 10])
    assert two_level_interval(table, generator=rng()).width > 0.1


@pytest.mark.parametrize("table", [[[1.0, 2.0]], [[1.0], [2.0]], [1.0, 2.0], [[1.0, np.nan], [0.0, 1.0]]])
def test_tables_that_say_nothing_about_training_are_refused(table):
    """Catches one seed that passes for several, and a NaN that spreads."""
    with pytest.raises(K2ReproError):
        two_level_interval(table, generator=rng())


def test_one_value_has_no_t_interval():
    """Catches an interval of zero width for a single seed."""
    with pytest.raises(K2ReproError, match="at least two seeds"):
        t_interval([0.5])
    with pytest.raises(K2ReproError, match="degrees"):
        t_quantile(0.975, 0)
