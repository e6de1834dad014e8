"""Catches: differences of unpaired problems or seeds, wrong intervals, a cut that pays too late."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.evaluate.pool import Attempts, Generation, Pool
from k2repro.mini.mistakes import ARITHMETIC, RIGHT, UNFINISHED
from k2repro.rlvr.evaluation import part, within
from k2repro.rlvr.results import (
    Effect,
    by_tier,
    difference,
    holm_adjusted,
    in_tier,
    level,
    of_kind,
    still_rewards,
    tokens,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def answer(right: int, length: int = 10) -> Generation:
    return Generation(RIGHT if right else ARITHMETIC, length, "stop", bool(right))


def pool(rows: Sequence[Sequence[int]], tiers: Sequence[str] = ("tier-1",)) -> Pool:
    """A pool of right (1) and wrong (0) answers, a row for each problem; tiers in turn."""
    return Pool(
        tuple(
            Attempts(f"{tiers[at % len(tiers)]}/{at}", tiers[at % len(tiers)], tuple(map(answer, row)))
            for at, row in enumerate(rows)
        ),
        {},
    )


def test_a_difference_is_paired_by_problem_and_averaged_over_seeds():
    """Catches seeds that are pooled: the mean of two seeds' differences, each against its own start."""
    after = {0: pool([[1, 1], [0, 1]]), 1: pool([[1, 1], [1, 1]])}
    before = {0: pool([[1, 0], [0, 1]]), 1: pool([[0, 0], [0, 0]])}
    found = difference(after, before, generator=rng())
    assert found.value == pytest.approx((0.25 + 1.0) / 2)
    assert found.by_seed[0][0] == pytest.approx(0.25) and found.by_seed[1][0] == pytest.approx(1.0)
    assert (found.n, found.seeds) == (2, (0, 1))


def test_the_order_of_the_problems_does_not_matter():
    """Catches pairing by place: the same problems in another order give the same difference."""
    before = pool([[1], [0], [1], [1]])
    after = Pool(tuple(reversed(before.attempts)), {})
    found = difference({0: after}, {0: before}, generator=rng())
    assert found.value == 0 and (found.interval.low, found.interval.high) == (0, 0)


def test_a_difference_of_differences_is_what_it_says():
    """Catches a sign: (a - b) - (c - d) from four pools."""
    a, b, c, d = ({0: pool([[x], [y]])} for x, y in ((1, 1), (0, 1), (1, 0), (0, 0)))
    assert difference([a, d], [b, c], generator=rng()).value == pytest.approx((1 - 0.5) - (0.5 - 0))


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=5, max_size=40), st.integers(0, 99))
def test_swapping_the_sides_turns_the_sign(pairs: list[tuple[int, int]], seed: int):
    """Catches an interval that belongs to one side: value and interval are mirrored, p stays."""
    one, two = ({0: pool([[row[side]] for row in pairs])} for side in (0, 1))
    forth, back = difference(one, two, generator=rng(seed)), difference(two, one, generator=rng(seed))
    assert forth.value == pytest.approx(-back.value)
    assert forth.p_value == pytest.approx(back.p_value, abs=0.05)
    assert forth.interval.low <= forth.value <= forth.interval.high


@pytest.mark.parametrize(
    ("other", "message"),
    [({1: pool([[1], [0]])}, "cannot be paired"), ({0: pool([[1], [0], [1]])}, "different problems")],
)
def test_sides_that_do_not_match_are_refused(other: dict[int, Pool], message: str):
    """Catches a gain against another seed's start, or on other problems."""
    with pytest.raises(K2ReproError, match=message):
        difference({0: pool([[1], [0]])}, other, generator=rng())


def test_tiers_together_are_the_mean_of_the_tiers():
    """Catches a mean that is weighted by chance: equal tiers, equal weights, unequal ones refused."""
    scores = {0: pool([[1], [0], [1], [0]], ("tier-1", "tier-2"))}
    found = by_tier(lambda cut, _: level(cut(scores), generator=rng()), ("tier-1", "tier-2"))
    assert [found[name].value for name in ("tier-1", "tier-2", "mean")] == [1.0, 0.0, 0.5]
    assert set(in_tier(scores, "tier-1")[0].tiers) == {"tier-1"}
    uneven = {0: pool([[1], [0], [1], [0], [1]], ("tier-1", "tier-2"))}
    with pytest.raises(K2ReproError, match="as many in each"):
        by_tier(lambda cut, _: level(cut(uneven), generator=rng()), ("tier-1", "tier-2"))


def test_a_level_has_no_p_value_to_correct():
    """Catches Holm over a table in which something was never tested."""
    scores = {0: pool([[1], [0]])}
    with pytest.raises(K2ReproError, match="is a level"):
        holm_adjusted({"pass@1": level(scores, generator=rng())})


def test_agreeing_seeds_lie_wholly_on_the_side_of_the_mean():
    """Catches a seed counted as agreeing whose interval contains zero."""
    many = 60
    up, same = pool([[1]] * many), pool([[0]] * many)
    mixed = pool([[at % 2] for at in range(many)])
    found = difference({0: up, 1: mixed}, {0: same, 1: mixed}, generator=rng())
    assert isinstance(found, Effect) and found.agreeing == 1


def test_measures_other_than_pass_at_1():
    """Catches lengths and kinds that are read from the wrong field."""
    scores = {
        0: Pool(
            (
                Attempts("a", "tier-1", (answer(1, 30), answer(0, 50))),
                Attempts("b", "tier-1", (answer(0, 20), answer(0, 20))),
            ),
            {},
        )
    }
    assert level(scores, generator=rng(), measure=tokens).value == 30
    assert level(scores, generator=rng(), measure=of_kind(ARITHMETIC)).value == 0.75


def test_a_smaller_budget_keeps_what_fits_and_nothing_else():
    """Catches a cut by one token; a right response that is cut is unfinished, a wrong one keeps its kind."""
    attempt = Attempts("a", "tier-1", (answer(1, 20), answer(1, 21), answer(0, 21)))
    fits, cut, wrong = within(Pool((attempt,), {}), 20).attempts[0].generations
    assert fits == answer(1, 20)
    assert cut == Generation(UNFINISHED, 20, "length", False)
    assert wrong == Generation(ARITHMETIC, 20, "length", False)


def test_a_part_has_the_tiers_and_the_first_samples():
    """Catches a start that is compared with more samples than the run, or with programs beside maths."""
    scores = pool([[1, 0, 1], [0, 0, 0]], ("tier-1", "programs"))
    found = part(scores, ("tier-1",), 2)
    assert [attempt.tier for attempt in found.attempts] == ["tier-1"]
    assert [g.right for g in found.attempts[0].generations] == [True, False]
    with pytest.raises(K2ReproError, match="fewer than the 4"):
        part(scores, ("tier-1",), 4)


def test_a_still_model_wiggles_around_its_own_pass_rate():
    """Catches noise that is too small: mean and spread are those of draws from the problems' pass rates."""
    scores = pool([[1, 1], [0, 1], [0, 0], [1, 1]], ("tier-1", "tier-2"))
    rewards = still_rewards(scores, ("tier-1", "tier-2"), prompts=8, group=4, steps=4000, generator=rng())
    rates = {"tier-1": [1.0, 0.0], "tier-2": [0.5, 1.0]}
    assert np.mean(rewards) == pytest.approx(0.625, abs=0.01)
    # A prompt's mean reward varies by the problem drawn and by the group's draws.
    spread = [np.var(r) + np.mean([p * (1 - p) / 4 for p in r]) for r in rates.values()]
    assert np.var(rewards) == pytest.approx(np.mean(spread) / 8, rel=0.1)
