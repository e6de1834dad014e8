"""Every number of the steady recipe, by row id: `sft.steady` in notebook 02, `rlvr.steady` in notebook 03."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from k2repro.evaluate.effects import Effect, Numbers, SeedTable, difference, level, statistic
from k2repro.lab.effect_rows import add_effects
from k2repro.lab.levels import PLANNED, SEARCH, level_table
from k2repro.lab.steady import (
    BROKEN,
    CONTROLS,
    FROM_BASE,
    FROM_SFT,
    LONGER,
    PRETRAINED,
    SFT,
    SHORT,
    SteadyResults,
)
from k2repro.mini.benchmarks import LEVELS
from k2repro.mini.problem import item_random
from k2repro.results import RowBook

RESAMPLES = 2_000
MEAN = "mean"
Found = dict[str, Effect]
# Differences of pass@1 between two models that start alike: row, model, compared with.
COMPARED = (
    ("rlvr.steady.gain_from_sft", FROM_SFT, SFT),
    ("rlvr.steady.gain_from_base", FROM_BASE, PRETRAINED),
    ("rlvr.steady.final_from_sft_minus_final_from_base", FROM_SFT, FROM_BASE),
    ("rlvr.steady.longer_minus_sft", LONGER, SFT),
    ("rlvr.steady.from_sft_minus_longer", FROM_SFT, LONGER),
    ("rlvr.steady.two_stage_minus_full_budget", SHORT, FROM_SFT),
    ("rlvr.steady.two_stage_minus_sft", SHORT, SFT),
    ("rlvr.steady.broken_reward_minus_sft", BROKEN, SFT),
)


def groups() -> dict[str, tuple[str, ...]]:
    """The levels one by one, then all together under "mean"."""
    return {**{name: (name,) for name in LEVELS}, MEAN: LEVELS}


def add_rows(rows: RowBook, found: Mapping[str, Effect]) -> None:
    """Write effects as rows of mini scale."""
    add_effects(rows, found, lambda _: "fraction")


# ---- notebook 02 ----------------------------------------------------------------------------------


def sft_levels(results: SteadyResults) -> Found:
    """pass@1 of base and SFT by level, with a plan and without, and how far a plan carries."""
    found: Found = {}
    for group, names in groups().items():
        found |= _mean(f"sft.steady.base.{group}", _table(results, PRETRAINED, SEARCH, names))
        found |= _ways("sft.steady", results, SFT, group, names)
    return found | _change("sft.steady.gain", results, SFT, PRETRAINED)


def searches(results: SteadyResults, model: str) -> dict[str, Effect]:
    """pass@1 of a model by its own search, by level; for a figure, under the level's name."""
    return {
        name: effect
        for name in LEVELS
        for effect in _mean(f"{model}.{name}", _table(results, model, SEARCH, (name,))).values()
    }


def agreement(results: SteadyResults) -> Found:
    """How far seeds lie apart, and the worst seed's gate: with the program's plan minus its own search."""
    gates = [level_table(results.gates, way) for way in (PLANNED, SEARCH)]
    return {
        "sft.steady.spread": spread("sft.steady.spread", _table(results, SFT, SEARCH, LEVELS)),
        "sft.steady.gate": _of_seeds("sft.steady.gate", _minus(*gates), lambda means: float(means.min())),
    }


def last_quarter(results: SteadyResults) -> Found:
    """The share of the gain along fine-tuning that its last quarter brings; the mean of all along it."""
    at = {
        point.share: SeedTable(
            tuple(map(str, range(len(point.search)))),
            {seed: np.array(points[place].search, dtype=float) for seed, points in results.curves.items()},
        )
        for place, point in enumerate(next(iter(results.curves.values())))
    }
    found: Found = {}
    for share, table in at.items():
        found |= _mean(f"sft.steady.curve.after-{round(1000 * share):04d}", table)
    row = "sft.steady.gain_share_of_last_quarter"
    tables = [at[0.75], at[1.0], at[0.0], at[1.0]]
    return {**found, row: statistic(tables, _share, generator=_generator(row), resamples=RESAMPLES)}


def _share(table: Numbers) -> float:
    before, after, start, end = table.mean(axis=0)
    return float((after - before) / max(end - start, 1e-9))


# ---- notebook 03 ----------------------------------------------------------------------------------


def rl_levels(results: SteadyResults) -> Found:
    """pass@1 after RL from SFT by level, the best of its samples, with a plan; where RL from base ends."""
    found: Found = {}
    for group, names in groups().items():
        found |= _ways("rlvr.steady", results, FROM_SFT, group, names)
        found |= _mean(f"rlvr.steady.from_base.{group}", _table(results, FROM_BASE, SEARCH, names))
        row = f"rlvr.steady.oracle_minus_single.{group}"
        best = SeedTable(*_best(results, names))
        found |= _gap(row, best, _table(results, FROM_SFT, SEARCH, names))
    table = _table(results, FROM_SFT, SEARCH, LEVELS)
    return {**found, "rlvr.steady.spread": spread("rlvr.steady.spread", table)}


def rl_effects(results: SteadyResults) -> Found:
    """What each run changes; the gain from SFT also level by level."""
    found: Found = {}
    for row, model, other in COMPARED:
        found |= _change(row, results, model, other)
    row = "rlvr.steady.gain_from_base_minus_gain_from_sft"
    ups, downs = (
        [_table(results, model, SEARCH, LEVELS) for model in side]
        for side in ((FROM_BASE, SFT), (PRETRAINED, FROM_SFT))
    )
    found[row] = difference(ups, downs, generator=_generator(row), resamples=RESAMPLES)
    for name in LEVELS:
        found |= _change(f"{COMPARED[0][0]}.{name}", results, FROM_SFT, SFT, (name,))
    return found


def _best(results: SteadyResults, names: Sequence[str]) -> tuple[tuple[str, ...], dict[int, Numbers]]:
    """Whether any of its searches is right, for each problem."""
    chosen = {
        seed: [each for each in outcomes if each.level in names]
        for seed, outcomes in results.outcomes[FROM_SFT].items()
    }
    ids = tuple(each.id for each in next(iter(chosen.values())))
    return ids, {
        seed: np.array([float(any(each.search)) for each in outcomes]) for seed, outcomes in chosen.items()
    }


# ---- inside ---------------------------------------------------------------------------------------


def spread(row: str, table: SeedTable) -> Effect:
    """Standard deviation of the seeds' means, with one degree of freedom less; 0 for a single seed."""
    return _of_seeds(row, table, lambda means: float(means.std(ddof=1)) if len(means) > 1 else 0.0)


def _of_seeds(row: str, table: SeedTable, function: Callable[[Numbers], float]) -> Effect:
    """A statistic of the seeds' means; its interval resamples the problems, the seeds stay as they are."""
    every = np.array(list(table.by_seed.values())).T
    names = tuple(table.by_seed)
    columns = [SeedTable(table.ids, {0: table.by_seed[seed]}) for seed in names]
    effect = statistic(
        columns, partial(_along_seeds, function), generator=_generator(row), resamples=RESAMPLES
    )
    alone = {seed: (float(every[:, at].mean()), None) for at, seed in enumerate(names)}
    return Effect(effect.value, effect.interval, None, len(table.ids), alone)


def _along_seeds(function: Callable[[Numbers], float], table: Numbers) -> float:
    """table: [problems, seeds]."""
    return function(table.mean(axis=0))


def _ways(prefix: str, results: SteadyResults, model: str, group: str, names: Sequence[str]) -> Found:
    """By search, along the plan, and their difference."""
    search, planned = (_table(results, model, way, names) for way in (SEARCH, PLANNED))
    found = _mean(f"{prefix}.{SEARCH}.{group}", search) | _mean(f"{prefix}.{PLANNED}.{group}", planned)
    found |= _gap(f"{prefix}.plan_minus_search.{group}", planned, search)
    return found


def _table(results: SteadyResults, model: str, way: str, names: Sequence[str]) -> SeedTable:
    return level_table(results.outcomes[model], way, names)


def _change(row: str, results: SteadyResults, model: str, other: str, names: Sequence[str] = LEVELS) -> Found:
    """Searches of one model minus those of another, seed by seed and problem by problem."""
    one, start = (_table(results, each, SEARCH, names) for each in (model, other))
    if model in CONTROLS or other in CONTROLS:
        one, start = one.shared_with(start), start.shared_with(one)
    return _gap(row, one, start)


def _minus(first: SeedTable, second: SeedTable) -> SeedTable:
    return SeedTable(first.ids, {s: first.by_seed[s] - second.by_seed[s] for s in first.by_seed})


def _mean(row: str, table: SeedTable) -> Found:
    return {row: level(table, generator=_generator(row), resamples=RESAMPLES, each_seed=False)}


def _gap(row: str, first: SeedTable, second: SeedTable) -> Found:
    return {row: difference(first, second, generator=_generator(row), resamples=RESAMPLES)}


def _generator(row: str) -> np.random.Generator:
    """A generator of its own for each row, so that no row depends on which were computed before."""
    return np.random.default_rng(item_random("steady rows", row).getrandbits(64))
