"""Numbers drawn from a pool: by hand, against enumeration, and by tier against the whole."""

import itertools
from collections import Counter

import numpy as np
import pytest

from k2repro.errors import K2ReproError
from k2repro.evaluate import (
    Attempts,
    Generation,
    Pool,
    bootstrap_by_problem,
    by_tier,
    kinds_of_mistakes,
    lengths,
    pass_at_1,
    pass_curve,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pool_of(verdicts: dict[str, str], tier: str = "t") -> Pool:
    """A pool from strings such as "RRW"; the j-th generation of a problem is 10 (j + 1) tokens long."""
    return Pool(
        tuple(
            Attempts(
                name,
                tier,
                tuple(
                    Generation(letter, 10 * (at + 1), "stop" if letter in "RW" else "length", letter == "R")
                    for at, letter in enumerate(text)
                ),
            )
            for name, text in verdicts.items()
        )
    )


SMALL = pool_of({"a": "RRWW", "b": "WWWC", "c": "RRRR", "d": "RWCC"})
EASY, HARD = pool_of({"a": "RR", "b": "RW"}, "easy"), pool_of({"c": "WW", "d": "WR"}, "hard")
BOTH = Pool(EASY.attempts + HARD.attempts)


def test_pass_curve_is_the_share_of_subsets_with_a_right_one() -> None:
    """Catches pass@k of the first k samples: every k-subset of every problem is looked at."""
    curve = pass_curve(SMALL, [1, 2, 3, 4], generator=rng(), resamples=200)
    for rate in curve:
        expected = np.mean(
            [
                np.mean([any(subset) for subset in itertools.combinations(outcome, rate.k)])
                for outcome in SMALL.outcomes().values()
            ]
        )
        assert rate.value == pytest.approx(expected)
    first_k = [np.mean([any(row[:k]) for row in SMALL.outcomes().values()]) for k in (1, 2, 3, 4)]
    assert [rate.value for rate in curve] != pytest.approx(first_k)


def test_intervals_are_by_problem() -> None:
    """Catches resampling of generations: the interval is that of the problems' rates, n is problems."""
    rate = pass_at_1(SMALL, generator=rng(3))
    assert (rate.k, rate.problems, rate.generations) == (1, 4, 16)
    assert rate.interval == bootstrap_by_problem([0.5, 0.0, 1.0, 0.25], generator=rng(3))
    assert rate.interval.n == 4
    assert rate.value in rate.interval


def test_default_ks_are_powers_of_two_up_to_the_fewest_generations() -> None:
    """Catches a curve that asks more of a problem than it has: the shortest problem sets the end."""
    ragged = pool_of({"a": "RWWWW", "b": "RWW", "c": "WWWWWWWW"})
    assert [rate.k for rate in pass_curve(ragged, generator=rng(), resamples=100)] == [1, 2]
    assert [rate.k for rate in pass_curve(SMALL, generator=rng(), resamples=100)] == [1, 2, 4]
    with pytest.raises(K2ReproError, match="k must not exceed n, got k=4 of n=3"):
        pass_curve(ragged, [4], generator=rng(), resamples=100)


def test_problems_weigh_the_same_whatever_their_number_of_generations() -> None:
    """Catches the pooled rate: a problem with eight samples does not outvote one with two."""
    assert pass_at_1(pool_of({"a": "RR", "b": "WWWWWWWW"}), generator=rng()).value == 0.5


def test_by_tier_and_pooled_are_told_apart() -> None:
    """Catches a pooled number under a tier's name: each tier by itself, then all problems."""
    rates = by_tier(BOTH, lambda pool: pass_at_1(pool, generator=rng(), resamples=100).value)
    assert rates == {"easy": 0.75, "hard": 0.25, "all": 0.5}
    assert list(rates) == ["easy", "hard", "all"]
    with pytest.raises(K2ReproError, match="a tier is called 'all'"):
        by_tier(pool_of({"a": "R"}, "all"), len)


def test_lengths_by_hand() -> None:
    """Catches lengths in characters and a median of problem means: 16 generations of 10 to 40 tokens."""
    found = lengths(SMALL, (0.0, 0.5, 1.0))
    assert (found.mean, found.median, found.longest, found.generations) == (25.0, 25.0, 40, 16)
    assert found.quantiles == {0.0: 10.0, 0.5: 25.0, 1.0: 40.0}
    assert found.cut == 3 / 16
    assert lengths(SMALL, ()).quantiles == {}
    with pytest.raises(K2ReproError, match="quantiles must lie between 0 and 1, got 95"):
        lengths(SMALL, (95,))


def test_kinds_are_counted_over_all_generations() -> None:
    """Catches one count a problem, kinds that are left out at 0, and a problem's text given to another."""
    names = {"R": "right", "W": "wrong", "C": "cut"}
    seen = Counter()

    def classify(attempt: Attempts, text: str) -> str:
        seen[attempt.id] += 1
        return names[text]

    kinds = ["right", "wrong", "cut", "never"]
    counts = kinds_of_mistakes(SMALL, SMALL.attempts, classify, kinds)
    assert counts == {"right": 7, "wrong": 6, "cut": 3, "never": 0}
    assert list(counts) == kinds
    assert seen == dict.fromkeys("abcd", 4)


def test_strange_problems_and_kinds_are_refused() -> None:
    """Catches a taxonomy on the wrong benchmark: ids are matched, kinds are those announced."""
    with pytest.raises(K2ReproError, match="problem 'd' is not among the 3 problems"):
        kinds_of_mistakes(SMALL, SMALL.attempts[:3], lambda problem, text: "x", ["x"])
    with pytest.raises(K2ReproError, match="unknown kind of mistake 'odd'"):
        kinds_of_mistakes(SMALL, SMALL.attempts, lambda problem, text: "odd", ["x"])


def test_the_statistics_of_a_pool_do_not_depend_on_its_order() -> None:
    """Catches verdicts that move between problems: reversed, every number but the draw is the same."""
    backwards = Pool(tuple(reversed(SMALL.attempts)))
    one, other = (pass_curve(pool, generator=rng(), resamples=100) for pool in (SMALL, backwards))
    assert [(rate.k, rate.value) for rate in one] == [(rate.k, rate.value) for rate in other]
    assert lengths(SMALL) == lengths(backwards)
