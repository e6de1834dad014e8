"""A against B on the same problems, against enumeration, scipy, and the unpaired wrong twin."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.evaluate import discordant_pairs, mcnemar_exact, paired_difference

A = np.array([0.9, 0.4, 0.7, 1.0, 0.2])
B = np.array([0.8, 0.1, 0.7, 0.5, 0.3])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def two_systems(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """40 problems of very different difficulty, 8 generations each; a is better by about 0.08."""
    rates = generator.uniform(0.05, 0.85, size=(40, 1))
    draws_a, draws_b = generator.random((40, 8)), generator.random((40, 8))
    return (draws_a < rates + 0.08).astype(float), (draws_b < rates).astype(float)


def unpaired_width(a: np.ndarray, b: np.ndarray, generator: np.random.Generator) -> float:
    """Wrong twin: resamples the problems of a and of b independently of each other."""
    at = generator.integers(0, len(a), size=(2, 10_000, len(a)))
    replicates = a.mean(1)[at[0]].mean(1) - b.mean(1)[at[1]].mean(1)
    low, high = np.quantile(replicates, [0.025, 0.975])
    return float(high - low)


def test_interval_follows_the_exact_paired_law() -> None:
    """Pairs torn apart: the ends are quantiles of the differences over all 5^5 joint resamples."""
    index = np.array(list(itertools.product(range(5), repeat=5)))
    exact = A[index].mean(1) - B[index].mean(1)  # steps of 0.02: a quantile is a range of shares
    interval = paired_difference(A, B, generator=rng(), resamples=40_000).interval
    for end, tail in zip(interval, (0.025, 0.975), strict=True):
        assert (exact < end - 1e-9).mean() <= tail + 0.003
        assert (exact < end + 1e-9).mean() >= tail - 0.003


def test_unpaired_twin_is_too_wide() -> None:
    """Pairing forgotten: difficulty shared by both systems then counts as noise, twice."""
    a, b = two_systems(rng(1))
    paired = paired_difference(a, b, generator=rng()).interval
    assert unpaired_width(a, b, rng()) > 1.8 * paired.width
    assert paired.low > 0.0
    assert paired.width / 2 == pytest.approx(
        1.96 * (a.mean(1) - b.mean(1)).std() / math.sqrt(len(a)), rel=0.05
    )


def test_difference_is_a_minus_b() -> None:
    """A flipped sign turns the better system into the worse: positive means a is higher."""
    there = paired_difference(A, B, generator=rng())
    back = paired_difference(B, A, generator=rng())
    assert there.difference == pytest.approx(A.mean() - B.mean())
    assert (-back.interval.high, -back.interval.low) == pytest.approx(tuple(there.interval))


def test_identical_systems_differ_by_exactly_nothing() -> None:
    """Noise between equal systems: same outcomes give difference 0, no width and p = 1."""
    same = paired_difference(A, A.copy(), generator=rng(), p_value=True)
    assert (same.difference, tuple(same.interval), same.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_small_swap_test_equals_counting_by_hand() -> None:
    """A one-sided or miscounted p: all 2^5 sign patterns of the differences, in exact tenths."""
    tenths = [round(10 * gap) for gap in A - B]
    totals = [
        sum(sign * gap for sign, gap in zip(signs, tenths, strict=True))
        for signs in itertools.product((-1, 1), repeat=5)
    ]
    by_hand = sum(abs(total) >= sum(tenths) for total in totals) / 32
    assert paired_difference(A, B, generator=rng(), p_value=True).p_value == by_hand


def test_swap_test_agrees_with_scipy() -> None:
    """A p-value from another null: scipy's paired permutation test, exact and by random swaps."""
    a, b = (side.mean(1) for side in two_systems(rng(6)))
    for problems, tolerance in ((11, 1e-12), (40, 0.01)):
        theirs = scipy.stats.permutation_test(
            (a[:problems], b[:problems]),
            lambda x, y, axis: (x - y).mean(axis=axis),
            permutation_type="samples",
            n_resamples=20_000,
            vectorized=True,
            rng=rng(2),
        ).pvalue
        ours = paired_difference(
            a[:problems], b[:problems], generator=rng(3), resamples=20_000, p_value=True
        ).p_value
        assert ours == pytest.approx(theirs, abs=tolerance)


def test_swap_test_keeps_its_level() -> None:
    """Too many false alarms: of 400 comparisons of equal systems about 5 % fall below 0.05."""
    generator, alarms = rng(4), 0
    for _ in range(400):
        rates = generator.random((16, 1))
        a, b = generator.random((2, 16, 4)) < rates
        paired = paired_difference(a, b, generator=generator, resamples=200, p_value=True)
        alarms += paired.p_value <= 0.05
    assert 0.015 * 400 <= alarms <= 0.085 * 400


def test_random_swaps_never_give_a_p_value_of_zero() -> None:
    """p = 0 from a finite number of swaps: the observed arrangement counts as one of them."""
    a, b = np.ones(60), np.zeros(60)
    assert paired_difference(a, b, generator=rng(), resamples=99, p_value=True).p_value == 0.01


def test_asking_for_a_p_value_leaves_the_interval_alone() -> None:
    """An option that shifts the random stream: the interval is the same with and without it."""
    with_p = paired_difference(A, B, generator=rng(9), p_value=True)
    without = paired_difference(A, B, generator=rng(9))
    assert with_p.interval == without.interval
    assert without.p_value is None


@pytest.mark.parametrize("convert", [np.asarray, list])
def test_a_statistic_of_ones_own_matches_the_built_in_mean(convert) -> None:
    """A general path that pairs differently: mean of means as a function gives the same answer."""
    a, b = (convert(side[:9]) for side in two_systems(rng(2)))

    def mean_of_means(drawn) -> float:
        return float(np.mean([np.mean(part) for part in drawn]))

    options = {"resamples": 600, "p_value": True}
    own = paired_difference(a, b, mean_of_means, generator=rng(), **options)
    built_in = paired_difference(a, b, generator=rng(), **options)
    assert own.difference == pytest.approx(built_in.difference)
    assert tuple(own.interval) == pytest.approx(tuple(built_in.interval))
    assert own.p_value == built_in.p_value


def test_unequal_numbers_of_generations_are_paired_by_problem() -> None:
    """Broadcasting (5, 1) against (5,): five problems on either side stay five pairs."""
    column = paired_difference(A[:, None], B, generator=rng(), p_value=True)
    assert column == paired_difference(A, B, generator=rng(), p_value=True)


def test_mappings_are_matched_by_problem_id() -> None:
    """Two result files in different order: ids decide which outcomes belong together."""
    a = {f"q{at}": [value] for at, value in enumerate(A)}
    b = {f"q{at}": [value] for at, value in reversed(list(enumerate(B)))}
    matched = paired_difference(a, b, generator=rng())
    assert tuple(matched.interval) == tuple(paired_difference(A, B, generator=rng()).interval)


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ([1, 0, 1], [1, 0], {}, "a and b must cover the same problems, got 3 and 2"),
        (np.ones((4, 8)), np.ones((8, 4)), {}, "same problems, got 4 and 8"),
        ({"x": [1], "y": [0]}, {"x": [1], "z": [0]}, {}, "2 are in one only, such as 'y'"),
        ({"x": [1], "y": [0]}, [1, 0], {}, "must both be mappings"),
        ([1, 0], [1, float("nan")], {}, "b must be finite, got nan"),
        ([1, float("inf")], [1, 0], {}, "a must be finite, got inf"),
        ([1, 0], [0, 1], {"generator": 7}, "generator must be a numpy.random.Generator, got 7"),
        ([1, 0], [0, 1], {"method": "t"}, "unknown interval method 't'"),
        (
            np.ones((3, 2)),
            np.ones((3, 4)),
            {"statistic": np.mean, "p_value": True},
            "both must have one form",
        ),
    ],
)
def test_unpaired_or_broken_input_is_refused(a, b, options: dict, message: str) -> None:
    """Comparing different problems: shapes, ids and scores that cannot be pairs are named."""
    with pytest.raises(K2ReproError, match=message):
        paired_difference(a, b, **{"generator": rng(), **options})


def test_discordant_pairs_counts_each_side() -> None:
    """Counts swapped or agreements counted: 2 problems only a got right, 1 only b."""
    assert discordant_pairs([1, 1, 1, 0, 0, 1], [0, 0, 1, 1, 0, 1]) == (2, 1)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([1, 0, 1], [1, 0], r"got shapes \(3,\) and \(2,\)"),
        ([[1, 0]], [[1, 0]], "one verdict for each of the same problems"),
        ([1, 0.5], [1, 0], "a must hold 0 or 1 for each problem"),
        ([1, 0], [1, float("nan")], "b must be finite, got nan"),
    ],
)
def test_discordant_pairs_refuses_means_and_unpaired_verdicts(a, b, message: str) -> None:
    """McNemar on means over generations: only one verdict for each problem makes pairs."""
    with pytest.raises(K2ReproError, match=message):
        discordant_pairs(a, b)


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_symmetric_and_a_probability(b: int, c: int) -> None:
    """A doubled tail above 1: both orders give one p in (0, 1], and mid-p is never larger."""
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)
    assert 0.0 < mcnemar_exact(b, c, mid_p=True) < mcnemar_exact(b, c) <= 1.0
