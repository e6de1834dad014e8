"""Bootstrap by problem against all P^P resamples, the analytic standard error, and scipy."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.evaluate import bootstrap_by_problem
from k2repro.evaluate.bootstrap import statistics_of_random_rows
from k2repro.evaluate.problems import as_problems

RAGGED = [[1, 1, 0, 1], [0], [1, 0], [0, 0, 1]]
SKEWED = np.random.default_rng(5).lognormal(size=15)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pooled_rate(parts: list[np.ndarray]) -> float:
    """A statistic that is not a mean of problem means: every generation weighs the same."""
    return float(np.concatenate(parts).mean())


def clustered(generator: np.random.Generator, problems: int = 30, n: int = 16) -> np.ndarray:
    """Problems that are easy or hard, so that generations of one problem resemble each other."""
    rates = generator.choice([0.05, 0.95], size=problems)
    return (generator.random((problems, n)) < rates[:, None]).astype(float)


def by_generation(outcomes: np.ndarray, generator: np.random.Generator) -> tuple[float, float]:
    """Wrong twin: resamples single generations, as if each were a problem of its own."""
    return tuple(bootstrap_by_problem(outcomes.ravel(), generator=generator, resamples=400))


@pytest.mark.parametrize("statistic", [None, pooled_rate])
def test_replicates_follow_the_exact_bootstrap_law(statistic) -> None:
    """Resampling something else than problems: mean, variance, quantiles of all 4^4 resamples."""
    problems = as_problems("outcomes", RAGGED)
    exact = problems.statistics(np.array(list(itertools.product(range(4), repeat=4))), statistic)  # (256,)
    drawn = statistics_of_random_rows(
        lambda index: problems.statistics(index, statistic), (20_000, 4), below=4, generator=rng()
    )
    error = exact.std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - exact.mean()) < 4 * error
    assert drawn.var() == pytest.approx(exact.var(), rel=0.05)
    # Shares below a value, not quantiles: the law is discrete and its quantiles jump.
    for value in np.unique(exact.round(9)) + 1e-6:
        assert (drawn < value).mean() == pytest.approx((exact < value).mean(), abs=0.015)


def test_interval_ends_are_quantiles_of_the_exact_law() -> None:
    """Tails swapped or halved: three problems with distinct scores, all 27 resamples by hand."""
    scores = np.array([0.0, 0.4, 1.0])
    exact = scores[np.array(list(itertools.product(range(3), repeat=3)))].mean(axis=1)
    low, high = bootstrap_by_problem(scores, generator=rng(), level=0.8, resamples=20_000)
    assert low == pytest.approx(np.quantile(exact, 0.1, method="inverted_cdf"), abs=1e-9)
    assert high == pytest.approx(np.quantile(exact, 0.9, method="inverted_cdf"), abs=1e-9)


def test_width_is_the_analytic_standard_error_of_the_mean() -> None:
    """A lost square root: for many problems the half width is 1.96 sd / sqrt(problems)."""
    scores = rng(1).random(400)
    interval = bootstrap_by_problem(scores, generator=rng(), resamples=20_000)
    assert interval.width / 2 == pytest.approx(1.96 * scores.std() / 20.0, rel=0.03)


def test_resampling_generations_is_too_narrow_on_clustered_data() -> None:
    """Pseudo-replication: by generation the interval shrinks by the root of the cluster size."""
    outcomes = clustered(rng(2))
    honest = bootstrap_by_problem(outcomes, generator=rng()).width
    low, high = by_generation(outcomes, rng())
    assert high - low < 0.35 * honest


def test_coverage_by_problem_holds_and_by_generation_collapses() -> None:
    """Intervals that miss: of 300 studies with true rate 1/2, by problem about 95 % hold it."""
    generator, honest, twin = rng(3), 0, 0
    for _ in range(300):
        outcomes = clustered(generator)
        honest += 0.5 in bootstrap_by_problem(outcomes, generator=generator, resamples=400)
        low, high = by_generation(outcomes, generator)
        twin += low <= 0.5 <= high
    assert honest > 0.9 * 300
    assert twin < 0.5 * 300


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_agrees_with_scipy(method: str) -> None:
    """A wrong sign in bias or acceleration: scipy's bootstrap of a skewed mean, both methods."""
    theirs = scipy.stats.bootstrap(
        (SKEWED,), np.mean, n_resamples=40_000, method=method, rng=rng(7)
    ).confidence_interval
    ours = bootstrap_by_problem(SKEWED, generator=rng(8), resamples=40_000, method=method)
    assert tuple(ours) == pytest.approx((theirs.low, theirs.high), abs=0.04)


def test_bca_differs_from_percentile_where_the_data_are_skewed() -> None:
    """A correction that does nothing: BCa moves both ends up, beyond the tolerance against scipy."""
    plain = bootstrap_by_problem(SKEWED, generator=rng(), resamples=40_000)
    corrected = bootstrap_by_problem(SKEWED, generator=rng(), resamples=40_000, method="bca")
    assert corrected.low > plain.low + 0.06
    assert corrected.high > plain.high + 0.12


def test_equal_generators_give_equal_intervals_and_the_global_state_is_left_alone() -> None:
    """Hidden randomness: the result depends on the generator argument and on nothing else."""
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    first = bootstrap_by_problem(RAGGED, generator=rng(4))
    assert first == bootstrap_by_problem(RAGGED, generator=rng(4))
    assert first != bootstrap_by_problem(SKEWED, generator=rng(4))
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_default_is_the_mean_of_problem_means_not_the_pooled_rate() -> None:
    """Weighting by generations: a problem with 90 samples must not outvote one with 2."""
    outcomes = [[0.0] * 90, [1.0] * 2]
    assert tuple(bootstrap_by_problem(outcomes, generator=rng())) == (0.0, 1.0)
    everything = as_problems("outcomes", outcomes).statistics(np.array([[0, 1]]), None)
    assert everything.tolist() == [0.5]


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.lists(st.integers(0, 1), min_size=3, max_size=3), min_size=2, max_size=8))
def test_fast_path_equals_the_general_one(rows: list[list[int]]) -> None:
    """Two code paths that drift apart: the built-in mean and the same mean as a function agree."""
    matrix = np.array(rows, dtype=float)
    fast = bootstrap_by_problem(matrix, generator=rng(), resamples=60)
    slow = bootstrap_by_problem(matrix, lambda x: x.mean(), generator=rng(), resamples=60)
    assert tuple(fast) == pytest.approx(tuple(slow))


@pytest.mark.parametrize(("outcomes", "form"), [(np.ones((3, 2)), np.ndarray), (RAGGED, list)])
def test_the_statistic_gets_whole_problems(outcomes, form: type) -> None:
    """Generations torn from their problem: a drawn problem arrives as one of the originals."""
    originals = [tuple(map(float, part)) for part in outcomes]
    seen = []

    def spy(drawn) -> float:
        assert isinstance(drawn, form)
        seen.extend(tuple(part) for part in drawn)
        return 0.0

    bootstrap_by_problem(outcomes, spy, generator=rng(), resamples=50)
    assert set(seen) == set(originals)
    assert len(seen) == 50 * len(originals)


def test_insertion_order_of_a_mapping_does_not_matter() -> None:
    """A re-ordered results file: outcomes by problem id give the same interval in any order."""
    by_id = {f"p{at}": part for at, part in enumerate(RAGGED)}
    backwards = dict(reversed(by_id.items()))
    first = bootstrap_by_problem(by_id, generator=rng())
    assert first == bootstrap_by_problem(backwards, generator=rng())


# The second: means that are 0.2 but for rounding, as the order of a sum differs.
@pytest.mark.parametrize("rows", [[[1, 1]] * 30, [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]] * 15])
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_no_variation_is_said_and_not_sold_as_certainty(method: str, rows: list) -> None:
    """30 of 30 right: the bootstrap has nothing to resample, and its method says so in every row."""
    interval = bootstrap_by_problem(rows, generator=rng(), method=method)
    assert tuple(interval) == pytest.approx((np.mean(rows),) * 2)
    assert interval.method == f"bootstrap by problem, {method}, no variation"
    assert interval.n == 30


@pytest.mark.parametrize(
    ("outcomes", "options", "message"),
    [
        ([[1, 0]], {}, "outcomes must hold at least 2 problems, got 1"),
        ([[1, 0], []], {}, r"outcomes\[1\] is empty"),
        ([], {}, "outcomes is empty"),
        (0.5, {}, "outcomes must hold one entry for each problem"),
        ([0.5, float("nan")], {}, "outcomes must be finite, got nan"),
        ([[1, 0], [float("inf"), 1]], {}, r"outcomes\[1\] must be finite, got inf"),
        ({"a": [1], "b": [float("nan")]}, {}, r"outcomes\['b'\] must be finite, got nan"),
        (["yes", "no"], {}, "outcomes must be numbers"),
        ([[1], [2]], {"generator": 0}, "generator must be a numpy.random.Generator, got 0"),
        ([[1], [2]], {"level": 95}, "level must be a fraction"),
        ([[1], [2]], {"resamples": 10}, "resamples must be at least 40 for a level of 0.95"),
        ([[1], [2]], {"resamples": 99.5}, "resamples must be whole numbers, got 99.5"),
        ([[1], [2]], {"method": "normal"}, "unknown interval method 'normal'.*bca, percentile"),
        ([[1], [2]], {"statistic": lambda x: float("nan")}, "result of statistic must be finite"),
        ([[1], [2]], {"statistic": lambda x: [1.0, 2.0]}, "statistic must return one number"),
        ([1.0, 2.0], {"statistic": max, "method": "bca"}, None),
        ([3.0, 1.0, 1.0], {"statistic": len, "method": "bca"}, None),
    ],
)
def test_bad_input_is_refused(outcomes, options: dict, message: str | None) -> None:
    """A seed for a generator, nan for a score: refused by name; odd but valid statistics are not."""
    options = {"generator": rng(), "resamples": 100} | options
    if message is None:
        assert bootstrap_by_problem(outcomes, **options).n == len(outcomes)
        return
    with pytest.raises(K2ReproError, match=message):
        bootstrap_by_problem(outcomes, **options)


def test_bca_without_a_finite_bias_correction_is_refused() -> None:
    """nan bounds: a statistic below all of its replicates has no bias correction."""
    scores = np.arange(6.0)

    def repeats(drawn: np.ndarray) -> float:
        return float(len(drawn) - len(set(drawn.tolist()))) + 1e-3 * float(drawn.mean() != 2.5)

    with pytest.raises(K2ReproError, match="bca: all resamples lie on one side of the estimate"):
        bootstrap_by_problem(scores, repeats, generator=rng(), resamples=100, method="bca")
