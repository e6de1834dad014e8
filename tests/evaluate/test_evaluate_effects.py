"""Catches: differences of unpaired problems or seeds, wrong intervals, a cut that pays too late."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.evaluate.bootstrap import bootstrap_by_problem
from k2repro.evaluate.effects import (
    Effect,
    Seeds,
    SeedTable,
    by_tier,
    cut_off,
    difference,
    gap,
    holm_adjusted,
    level,
    of_kind,
    right,
    statistic,
    table_of,
    tokens,
)
from k2repro.evaluate.pool import Attempts, Score, Scores
from k2repro.lab.rlvr_curves import still_rewards
from k2repro.mini.mistakes import ARITHMETIC, RIGHT, UNFINISHED


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def compare(plus: Seeds | list[Seeds], minus: Seeds | list[Seeds], generator: np.random.Generator) -> Effect:
    """`difference` of pools."""
    first, second = (
        [table_of(each) for each in (side if isinstance(side, list) else [side])] for side in (plus, minus)
    )
    return difference(first, second, generator=generator)


def answer(right: int, length: int = 10) -> Score:
    return Score(RIGHT if right else ARITHMETIC, length, "stop", bool(right))


def pool(rows: Sequence[Sequence[int]], tiers: Sequence[str] = ("tier-1",)) -> Scores:
    """A pool of right (1) and wrong (0) answers, a row for each problem; tiers in turn."""
    return Scores(
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
    found = compare(after, before, rng())
    assert found.value == pytest.approx((0.25 + 1.0) / 2)
    assert found.by_seed[0][0] == pytest.approx(0.25) and found.by_seed[1][0] == pytest.approx(1.0)
    assert (found.n, found.seeds) == (2, (0, 1))


def test_the_order_of_the_problems_does_not_matter():
    """Catches pairing by place: the same problems in another order give the same difference."""
    before = pool([[1], [0], [1], [1]])
    after = Scores(tuple(reversed(before.attempts)), {})
    found = compare({0: after}, {0: before}, rng())
    assert found.value == 0 and (found.interval.low, found.interval.high) == (0, 0)


def test_a_difference_of_differences_is_what_it_says():
    """Catches a sign: (a - b) - (c - d) from four pools."""
    a, b, c, d = ({0: pool([[x], [y]])} for x, y in ((1, 1), (0, 1), (1, 0), (0, 0)))
    assert compare([a, d], [b, c], rng()).value == pytest.approx((1 - 0.5) - (0.5 - 0))


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=5, max_size=40), st.integers(0, 99))
def test_swapping_the_sides_turns_the_sign(pairs: list[tuple[int, int]], seed: int):
    """Catches an interval that belongs to one side: value and interval are mirrored, p stays."""
    one, two = ({0: pool([[row[side]] for row in pairs])} for side in (0, 1))
    there, back = compare(one, two, rng(seed)), compare(two, one, rng(seed))
    assert there.value == pytest.approx(-back.value)
    assert there.p_value == pytest.approx(back.p_value, abs=0.05)
    assert there.interval.low <= there.value <= there.interval.high


@pytest.mark.parametrize(
    ("other", "message"),
    [({1: pool([[1], [0]])}, "cannot be paired"), ({0: pool([[1], [0], [1]])}, "different problems")],
)
def test_sides_that_do_not_match_are_refused(other: dict[int, Scores], message: str):
    """Catches a gain against another seed's start, or on other problems."""
    with pytest.raises(K2ReproError, match=message):
        compare({0: pool([[1], [0]])}, other, rng())


def test_tiers_together_are_the_mean_of_the_tiers():
    """Catches a mean that is weighted by chance: equal tiers, equal weights, unequal ones refused."""
    scores = {0: pool([[1], [0], [1], [0]], ("tier-1", "tier-2"))}
    names = ("tier-1", "tier-2")
    found = by_tier(lambda tiers, _: level(table_of(scores, tiers=tiers), generator=rng()), names)
    assert [found[name].value for name in ("tier-1", "tier-2", "mean")] == [1.0, 0.0, 0.5]
    uneven = {0: pool([[1], [0], [1], [0], [1]], ("tier-1", "tier-2"))}
    with pytest.raises(K2ReproError, match="as many in each"):
        by_tier(lambda tiers, _: level(table_of(uneven, tiers=tiers), generator=rng()), names)


def test_a_level_has_no_p_value_to_correct():
    """Catches Holm over a table in which something was never tested."""
    scores = {0: pool([[1], [0]])}
    with pytest.raises(K2ReproError, match="is a level"):
        holm_adjusted({"pass@1": level(table_of(scores), generator=rng())})


def test_agreeing_seeds_lie_wholly_on_the_side_of_the_mean():
    """Catches a seed counted as agreeing whose interval contains zero."""
    many = 60
    up, same = pool([[1]] * many), pool([[0]] * many)
    mixed = pool([[at % 2] for at in range(many)])
    found = compare({0: up, 1: mixed}, {0: same, 1: mixed}, rng())
    assert isinstance(found, Effect) and found.agreeing == 1


def test_a_seed_on_the_other_side_does_not_agree():
    """Catches any sure seed counted as agreeing, a sure loss beside a mean gain among them."""
    up, same = pool([[1, 1]] * 40), pool([[0, 0]] * 40)
    half = pool([[0, 1]] * 40)
    found = compare({0: up, 1: same}, {0: same, 1: half}, rng())
    assert found.value == pytest.approx(0.25) and found.agreeing == 1
    turned = compare({0: same, 1: half}, {0: up, 1: same}, rng())
    assert turned.value == pytest.approx(-0.25) and turned.agreeing == 1


def test_measures_other_than_pass_at_1():
    """Catches lengths and kinds that are read from the wrong field."""
    scores = {
        0: Scores(
            (
                Attempts("a", "tier-1", (answer(1, 30), answer(0, 50))),
                Attempts("b", "tier-1", (answer(0, 20), answer(0, 20))),
            ),
            {},
        )
    }
    assert level(table_of(scores, tokens), generator=rng()).value == 30
    assert level(table_of(scores, of_kind(ARITHMETIC)), generator=rng()).value == 0.75


def test_a_cut_is_what_the_budget_ended_and_no_mistake():
    """Catches a share of finished responses in its place, and of wrong ones."""
    cut, wrong = Score(UNFINISHED, 10, "length", False), answer(0)
    scores = Scores((Attempts("a", "t", (cut, answer(1), wrong, wrong)), Attempts("b", "t", (cut,))), {})
    assert table_of({0: scores}, cut_off).by_seed[0].tolist() == [0.25, 1.0]


def test_a_smaller_budget_keeps_what_fits_and_nothing_else():
    """Catches a cut by one token; a right response that is cut is unfinished, a wrong one keeps its kind."""
    attempt = Attempts("a", "tier-1", (answer(1, 20), answer(1, 21), answer(0, 21)))
    fits, cut, wrong = Scores((attempt,), {}).within(20, UNFINISHED).attempts[0].generations
    assert fits == answer(1, 20)
    assert cut == Score(UNFINISHED, 20, "length", False)
    assert wrong == Score(ARITHMETIC, 20, "length", False)


def test_a_part_has_the_tiers_and_the_first_samples():
    """Catches a start that is compared with more samples than the run, or with programs beside maths."""
    scores = pool([[1, 0, 1], [0, 0, 0]], ("tier-1", "programs"))
    found = scores.part(("tier-1",), 2)
    assert [attempt.tier for attempt in found.attempts] == ["tier-1"]
    assert [g.right for g in found.attempts[0].generations] == [True, False]
    with pytest.raises(K2ReproError, match="fewer than the 4"):
        scores.part(("tier-1",), 4)


def test_a_still_model_wiggles_around_its_own_pass_rate():
    """Catches noise that is too small: mean and spread are those of draws from the problems' pass rates."""
    scores = pool([[1, 1], [0, 1], [0, 0], [1, 1]], ("tier-1", "tier-2"))
    rewards = still_rewards(scores, ("tier-1", "tier-2"), prompts=8, group=4, steps=4000, generator=rng())
    rates = {"tier-1": [1.0, 0.0], "tier-2": [0.5, 1.0]}
    assert np.mean(rewards) == pytest.approx(0.625, abs=0.01)
    # A prompt's mean reward varies by the problem drawn and by the group's draws.
    spread = [np.var(r) + np.mean([p * (1 - p) / 4 for p in r]) for r in rates.values()]
    assert np.var(rewards) == pytest.approx(np.mean(spread) / 8, rel=0.1)


# ---- the other forms, and what hangs on the seed -----------------------------------------------------


def two_seeds() -> tuple[dict[int, Scores], dict[int, Scores]]:
    """Seed 0 gains on every problem, seed 1 on none."""
    same = pool([[at % 2, 0] for at in range(20)])
    return {0: pool([[1, 1]] * 20), 1: same}, {0: pool([[0, 0]] * 20), 1: same}


def test_a_gap_is_the_difference_of_the_means():
    """Catches two forms of one number that part by more than rounding."""
    after, before = (table_of(pools) for pools in two_seeds())
    found, other = gap(after, before, generator=rng()), difference(after, before, generator=rng())
    assert found.value == pytest.approx(other.value) == pytest.approx(0.5)
    assert {seed: value for seed, (value, _) in found.by_seed.items()} == {0: 1.0, 1: 0.0}


def test_a_statistic_sees_the_same_problem_in_one_row():
    """Catches columns whose problems stand in another order."""
    first = SeedTable(("b", "a"), {0: np.array([1.0, 0.0])})
    second = SeedTable(("a", "b"), {0: np.array([0.0, 1.0])})
    apart = statistic([first, second], lambda table: float(np.ptp(table, axis=1).sum()), generator=rng())
    assert apart.value == 0 and apart.by_seed == {0: (0.0, None)}


def test_problems_come_in_the_order_that_is_asked_for():
    """Catches an order turned round: of two problems it is its own reverse, of three it is not."""
    table = SeedTable(("a", "b", "c"), {0: np.array([1.0, 2.0, 3.0])})
    found = table.aligned(("c", "a", "b"))
    assert (found.ids, found.by_seed[0].tolist()) == (("c", "a", "b"), [3.0, 1.0, 2.0])


def test_seeds_whose_problems_stand_in_another_order_are_matched_by_name():
    """Catches a value of one problem averaged with another's: the mean over problems would not show it."""
    one = pool([[1, 1], [1, 0], [0, 0]])
    other = Scores((one.attempts[2], *one.attempts[:2]), {})
    found = table_of({0: one, 1: other})
    assert found.by_seed[0].tolist() == found.by_seed[1].tolist() == [1.0, 0.5, 0.0]


def test_a_gap_takes_each_side_over_all_its_own_seeds():
    """Catches a side cut down to the seeds that the other has: its mean is then that of fewer trainings."""
    first = SeedTable(("a", "b"), {seed: np.full(2, level) for seed, level in ((0, 0.2), (1, 0.4), (2, 0.9))})
    second = SeedTable(("a", "b"), {seed: np.full(2, 0.1) for seed in (0, 1)})
    found = gap(first, second, generator=rng())
    assert found.value == pytest.approx(0.5 - 0.1)
    assert {seed: value for seed, (value, _) in found.by_seed.items()} == pytest.approx({0: 0.1, 1: 0.3})


def test_an_interval_of_several_seeds_speaks_of_training():
    """Catches an interval that resamples problems only, for a level, a difference, a gap and a statistic."""
    after, before = (table_of(pools) for pools in two_seeds())
    found = difference(after, before, generator=rng())
    problems_alone = bootstrap_by_problem(after.mean - before.mean, generator=rng())
    assert problems_alone.low > 0  # wrong twin: two seeds, one of which gained nothing, look like a gain
    assert found.interval.low <= 0 and found.over_seeds().low < 0
    assert problems_alone.width < found.interval.width < found.over_seeds().width
    others = (
        gap(after, before, generator=rng()),
        level(after, generator=rng()),
        statistic([after, before], lambda table: float((table[:, 0] - table[:, 1]).mean()), generator=rng()),
    )
    for other in others:
        assert "by seed and problem" in other.interval.method
    assert others[0].interval.low <= 0 and others[2].interval.low <= 0


def test_sides_of_other_seeds_have_an_interval_over_problems_and_say_so():
    """Catches a pairing of seeds that never belonged together."""
    after, before = (table_of(pools) for pools in two_seeds())
    strangers = SeedTable(before.ids, {7: before.by_seed[0], 8: before.by_seed[1]})
    assert "seed" not in gap(after, strangers, generator=rng()).interval.method


def test_one_seed_decides_nothing():
    """Catches an interval of one model that calls itself one over seeds."""
    alone = level(table_of({0: pool([[1], [0]])}), generator=rng())
    ratio = statistic([table_of({0: pool([[1], [0]])})], lambda table: 1.0, generator=rng())
    for effect in (alone, ratio):
        assert "seed" not in effect.interval.method
        with pytest.raises(K2ReproError, match="at least two"):
            effect.over_seeds()
    assert right(pool([[1, 0]]).attempts[0]) == 0.5


def test_models_without_a_seed_in_common_are_named():
    """Catches a mean over no seed, which is NaN or a TypeError far from its cause."""
    one, other = (SeedTable(("a",), {seed: np.ones(1) for seed in seeds}) for seeds in ((1, 2), (2, 3)))
    assert list(one.shared_with(other).by_seed) == [2]
    with pytest.raises(K2ReproError, match=r"seeds \[1, 2\] and \[5\] have none in common.*gate"):
        one.shared_with(SeedTable(("a",), {5: np.ones(1)}))
