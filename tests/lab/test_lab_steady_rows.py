"""Catches: levels, seeds or controls of the steady recipe compared with the wrong side."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from k2repro.errors import K2ReproError
from k2repro.lab import steady_rows as rows
from k2repro.lab.levels import PLANNED, SEARCH, LevelOutcome, level_table
from k2repro.lab.steady import (
    BROKEN,
    CONTROLS,
    FROM_BASE,
    FROM_SFT,
    LONGER,
    PRETRAINED,
    REINFORCED,
    SFT,
    SHORT,
    TRAINED,
    CurvePoint,
    SteadyResults,
)
from k2repro.mini.benchmarks import LEVELS
from k2repro.mini.mistakes import KINDS
from k2repro.pictures.steady import mistake_records, seed_mistake_records

# Share of right answers of each model; no two are alike, so that no two can be confused unseen.
RATES = {PRETRAINED: 0.1, SFT: 0.55, FROM_SFT: 0.8, FROM_BASE: 0.45, LONGER: 0.6, BROKEN: 0.3, SHORT: 0.7}
PROBLEMS, SEEDS = 60, 3


def outcomes(model: str, seed: int) -> list[LevelOutcome]:
    rng = Random(f"{model}/{seed}")
    found = []
    for level in LEVELS:
        for at in range(PROBLEMS):
            search = tuple(int(rng.random() < RATES[model]) for _ in range(3))
            planned = (int(rng.random() < RATES[model] + 0.15),)
            found.append(LevelOutcome(f"{level}/{at}", level, search, planned))
    return found


def results(points: tuple[float, ...] = (0.0, 0.75, 1.0)) -> SteadyResults:
    every = (*TRAINED, *REINFORCED, *CONTROLS)
    seeds = {model: range(2 if model in CONTROLS else SEEDS) for model in every}
    curve = {
        seed: [
            CurvePoint(s, tuple(int(Random(f"{seed}/{i}").random() < s) for i in range(80))) for s in points
        ]
        for seed in range(SEEDS)
    }
    return SteadyResults(
        {model: {seed: outcomes(model, seed) for seed in seeds[model]} for model in every},
        {seed: outcomes(SFT, seed) for seed in range(SEEDS)},
        curve,
        [],
        {SFT: {seed: {kind: (at, seed, 1, 4) for at, kind in enumerate(KINDS)} for seed in range(SEEDS)}},
    )


RESULTS = results()


def mean(model: str, way: str, seeds: range = range(SEEDS), level: str | None = None) -> float:
    """Worked out from the outcomes alone, in another way than by tables."""
    return float(
        np.mean(
            [
                np.mean(getattr(each, way))
                for seed in seeds
                for each in RESULTS.outcomes[model][seed]
                if level in (None, each.level)
            ]
        )
    )


@pytest.mark.parametrize(
    ("row", "model", "other", "seeds"),
    [
        ("rlvr.steady.gain_from_sft", FROM_SFT, SFT, 3),
        ("rlvr.steady.gain_from_base", FROM_BASE, PRETRAINED, 3),
        ("rlvr.steady.final_from_sft_minus_final_from_base", FROM_SFT, FROM_BASE, 3),
        ("rlvr.steady.longer_minus_sft", LONGER, SFT, 2),
        ("rlvr.steady.from_sft_minus_longer", FROM_SFT, LONGER, 2),
        ("rlvr.steady.two_stage_minus_full_budget", SHORT, FROM_SFT, 2),
        ("rlvr.steady.two_stage_minus_sft", SHORT, SFT, 2),
        ("rlvr.steady.broken_reward_minus_sft", BROKEN, SFT, 2),
    ],
)
def test_each_change_is_against_its_own_start(row: str, model: str, other: str, seeds: int):
    """Catches a wrong side, and a control of two seeds set against the mean of three."""
    found = rows.rl_effects(RESULTS)[row]
    expected = mean(model, SEARCH, range(seeds)) - mean(other, SEARCH, range(seeds))
    assert found.value == pytest.approx(expected)
    assert found.seeds == tuple(range(seeds)) and found.n == len(LEVELS) * PROBLEMS


def test_levels_hold_their_own_problems_and_ways():
    """Catches a plan's score under the search, and the problems of one level in another."""
    found = rows.sft_levels(RESULTS)
    for level in LEVELS:
        assert found[f"sft.steady.search.{level}"].value == pytest.approx(mean(SFT, SEARCH, level=level))
        assert found[f"sft.steady.planned.{level}"].value == pytest.approx(mean(SFT, PLANNED, level=level))
        assert found[f"sft.steady.base.{level}"].value == pytest.approx(mean(PRETRAINED, SEARCH, level=level))
    gap = found["sft.steady.plan_minus_search.mean"]
    assert gap.value == pytest.approx(mean(SFT, PLANNED) - mean(SFT, SEARCH))


def test_the_gate_is_the_worst_seed_and_the_spread_a_sample_s():
    """Catches a mean over seeds as the gate, and a spread divided by n in place of n - 1."""
    found = rows.agreement(RESULTS)
    gains = [mean(SFT, PLANNED, range(s, s + 1)) - mean(SFT, SEARCH, range(s, s + 1)) for s in range(SEEDS)]
    assert found["sft.steady.gate"].value == pytest.approx(min(gains))
    alone = [mean(SFT, SEARCH, range(s, s + 1)) for s in range(SEEDS)]
    assert found["sft.steady.spread"].value == pytest.approx(float(np.std(alone, ddof=1)))
    assert [value for value, _ in found["sft.steady.spread"].by_seed.values()] == pytest.approx(alone)


def test_the_last_quarter_is_a_share_of_the_whole_gain():
    """Catches a share of the end, or of the gain since the half."""
    found = rows.last_quarter(RESULTS)
    at = {
        s: np.mean([p.search for c in RESULTS.curves.values() for p in c if p.share == s])
        for s in (0, 0.75, 1)
    }
    expected = (at[1] - at[0.75]) / (at[1] - at[0])
    assert found["sft.steady.gain_share_of_last_quarter"].value == pytest.approx(expected)
    assert 0 < expected < 0.5


def test_the_oracle_picks_among_all_three():
    """Catches a best of two, or the mean in its place."""
    found = rows.rl_levels(RESULTS)["rlvr.steady.oracle_minus_single.mean"].value
    best = np.mean([max(e.search) for s in range(SEEDS) for e in RESULTS.outcomes[FROM_SFT][s]])
    assert found == pytest.approx(best - mean(FROM_SFT, SEARCH))


def test_tables_pair_problems_by_name():
    """Catches seeds whose problems stand in another order."""
    table = level_table(RESULTS.outcomes[SFT], SEARCH, (LEVELS[1],))
    assert table.ids == tuple(f"{LEVELS[1]}/{at}" for at in range(PROBLEMS))
    turned = dict(RESULTS.outcomes[SFT])
    turned[1] = turned[1][::-1]
    again = level_table(turned, SEARCH, (LEVELS[1],))
    assert again.ids == table.ids and np.array_equal(again.by_seed[1], table.by_seed[1])
    assert not np.array_equal(table.by_seed[1], table.by_seed[1][::-1])
    turned[1] = [replace(each, id=f"{each.id}0") for each in turned[1]]
    with pytest.raises(K2ReproError):
        level_table(turned, SEARCH, (LEVELS[1],))


def test_shares_of_mistakes_are_of_their_level():
    """Catches shares of all searches in place of those of a level, and seeds counted one by one."""
    records = mistake_records(RESULTS, SFT)
    assert [each["first mistake"] for each in records] == list(KINDS)
    first = LEVELS[0].removeprefix("ops-") + " operations (%)"
    counted = [SEEDS * at for at in range(len(KINDS))]
    assert [each[first] for each in records] == [f"{100 * n / sum(counted):.1f}" for n in counted]
    assert mistake_records(RESULTS, "never trained") == []


def test_shares_of_mistakes_of_a_seed_are_of_its_own_searches():
    """Catches counts of all seeds, or of one level, in the row of a seed."""
    once = {kind: [at, 2 * at] for at, kind in enumerate(KINDS)}
    twice = {kind: [1, len(KINDS) - 1 - at] for at, kind in enumerate(KINDS)}
    one = replace(RESULTS, mistakes={SFT: {7: twice, 3: once}})
    first, second = seed_mistake_records(one, SFT)
    every = sum(sum(counts) for counts in once.values())
    assert first == {"seed": 3} | {kind: f"{100 * sum(n) / every:.1f}" for kind, n in once.items()}
    assert second["seed"] == 7 and float(second[KINDS[0]]) > float(second[KINDS[-1]])
