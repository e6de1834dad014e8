"""Every number of notebook 03 that generations stand behind, by row id, from what the runs left.

What the logs say along the way is in `rlvr_curves`.

The generator of a row's bootstrap is seeded by its id, so no number depends on which others are computed.
Differences and levels of pass@1 are fractions.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from k2repro.evaluate.effects import (
    Effect,
    Measure,
    Seeds,
    SeedTable,
    by_tier,
    cut_off,
    difference,
    level,
    of_kind,
    right,
    table_of,
    tokens,
)
from k2repro.evaluate.pool import Scores
from k2repro.lab.effect_rows import add_effects
from k2repro.lab.pools import KINDS
from k2repro.lab.rl_runs import CODE
from k2repro.lab.rlvr import AT_SWITCH, SHARP_END, SHARP_START, RlResults
from k2repro.mini.benchmarks import MATHS
from k2repro.mini.mistakes import RIGHT, UNFINISHED
from k2repro.mini.problem import item_seed
from k2repro.results import RowBook

Found = dict[str, Effect]
SWITCHED = f"short-budget{AT_SWITCH}"
SHARP_SFT, SHARP_RL = f"from-sft{SHARP_START}", f"from-sft{SHARP_END}"
# How the models are called in row ids.
LABELS = {
    "base": "base",
    "sft": "sft",
    "from-sft": "rl-from-sft",
    "from-base": "rl-from-base",
    SWITCHED: "rl-short-budget",
    "short-budget": "rl-two-stage",
    "broken-reward": "rl-broken-reward",
    "uncentred": "rl-uncentred",
    SHARP_SFT: "sft-sharp",
    SHARP_RL: "rl-from-sft-sharp",
}


def generator_of(row_id: str) -> np.random.Generator:
    """The generator behind one row."""
    return np.random.default_rng(item_seed("rlvr-row", row_id))


def add_rows(rows: RowBook, found: Mapping[str, Effect], *, unit: str = "fraction") -> None:
    """Write effects as rows of mini scale, all in one unit."""
    add_effects(rows, found, lambda _: unit)


# ---- levels and differences -----------------------------------------------------------------------


def pass_rates(results: RlResults) -> Found:
    """pass@1 of every model by tier and in the mean, each on all of its own seeds."""
    found: Found = {}
    for model, label in LABELS.items():
        found |= _tiers(f"rlvr.pass_at_1.{label}", partial(_level, _maths(results, model)))
    return found


def gains(results: RlResults) -> Found:
    """What reinforcement learning adds, by tier and in the mean, from SFT and from base."""
    found: Found = {}
    for run, start in (("from-sft", "sft"), ("from-base", "base")):
        prefix = "rlvr.gain_from_sft" if run == "from-sft" else "rlvr.gain_from_base"
        found |= _tiers(prefix, partial(_versus, *_sides(results, run, start)))
    # The claim's own name for the mean.
    found["rlvr.gain_from_base"] = found.pop("rlvr.gain_from_base.mean")
    return found


def final_levels(results: RlResults) -> Found:
    """How the two runs compare: which gains more, and which ends higher."""
    scores = results.scores
    row = "rlvr.gain_from_base_minus_gain_from_sft"
    plus = [scores["from-base"], results.compared("sft", "from-sft")]
    minus = [results.compared("base", "from-base"), scores["from-sft"]]
    sides = ([table_of(pools) for pools in side] for side in (plus, minus))
    found = {row: difference(*sides, generator=generator_of(row))}
    row = "rlvr.final_from_sft_minus_final_from_base"
    return {**found, row: _versus(*_sides(results, "from-sft", "from-base"), None, row)}


def budgets(results: RlResults) -> Found:
    """The short response budget, at the switch and after the full one is restored.

    Figure 4 measures a run under its own budget, so `rlvr.short_budget_minus_sft` does; the row that
    ends in "full_budget" asks the same weights with the full budget.
    """
    short = next(iter(results.logs["short-budget"].values())).run.budget[0][1]
    scores, sft = results.scores, results.compared("sft", SWITCHED)
    own, cut = _within(scores[SWITCHED], short), _within(sft, short)
    found = _differences(
        {
            "rlvr.short_budget_minus_sft": (own, sft),
            "rlvr.short_budget_minus_sft.full_budget": (scores[SWITCHED], sft),
            "rlvr.short_budget_minus_sft.both_short": (own, cut),
            "rlvr.two_stage_minus_full_budget": (scores["short-budget"], scores["from-sft"]),
            "rlvr.two_stage_minus_sft": (scores["short-budget"], sft),
        }
    )
    row = "rlvr.sft_within_short_budget"
    return {**found, row: _mean(row, table_of(cut))}


def sharpening(results: RlResults) -> Found:
    """How much of the gain from SFT a lower temperature brings without training, and what is left there."""
    scores, sft = results.scores, results.compared("sft", "from-sft")
    return _differences(
        {
            "rlvr.sharp_sft_minus_sft": (scores[SHARP_SFT], sft),
            "rlvr.from_sft_minus_sharp_sft": (scores["from-sft"], scores[SHARP_SFT]),
            "rlvr.sharp_from_sft_minus_sharp_sft": (scores[SHARP_RL], scores[SHARP_SFT]),
        }
    )


def controls(results: RlResults) -> Found:
    """Runs in which something is broken, against the start and against the sound run of the same seeds."""
    found: Found = {}
    for run in ("broken-reward", "uncentred"):
        name = run.replace("-", "_")
        for other, against in (("sft", "sft"), ("from-sft", "sound_run")):
            row = f"rlvr.{name}_minus_{against}"
            found[row] = _versus(*_sides(results, run, other), None, row)
    return found


def code(results: RlResults) -> Found:
    """Programs: pass@1 by executed tests before and after, and the gain, of both runs."""
    found: Found = {}
    for run in CODE:
        start = results.logs[run][0].run.start
        before, after = results.compared(start, run), results.scores[run]
        for part, pools in (("before", before), ("after", after)):
            row = f"rlvr.{run}.{part}"
            found[row] = _mean(row, table_of(pools))
        found |= _differences({f"rlvr.{run}.gain": (after, before)})
    return found


def lengths(results: RlResults, models: Sequence[str]) -> Found:
    """Tokens of a response by model and tier."""
    found: Found = {}
    for model in models:
        pools = _maths(results, model)
        found |= _tiers(f"rlvr.length.{LABELS[model]}", partial(_level, pools, measure=tokens))
    return found


def trace_changes(results: RlResults, run: str, start: str) -> Found:
    """What a run changes in the responses: length, share cut off, and the share of each first mistake."""
    measures: dict[str, Measure] = {"length": tokens, "cut_off": cut_off}
    measures |= {f"mistake.{kind.replace(' ', '-')}": of_kind(kind) for kind in KINDS if kind != RIGHT}
    sides = _sides(results, run, start)
    return {
        (row := f"rlvr.change.{run}.{name}"): _versus(*sides, None, row, measure)
        for name, measure in measures.items()
    }


def mistakes(results: RlResults, models: Sequence[str]) -> dict[str, dict[str, float]]:
    """Share of each first mistake among all responses of a model; right ones are the rest."""
    mixes = {}
    for model in models:
        every = [score for pool in _maths(results, model).values() for score in pool.generations()]
        mixes[model] = {
            kind: sum(score.kind == kind for score in every) / len(every) for kind in KINDS if kind != RIGHT
        }
    return {
        model: {kind: share for kind, share in mix.items() if any(other[kind] for other in mixes.values())}
        for model, mix in mixes.items()
    }


# ---- inside ---------------------------------------------------------------------------------------


def _maths(results: RlResults, model: str) -> dict[int, Scores]:
    """Scores of a model on the maths tiers; starts have programs too, and more samples than are compared."""
    return results.compared(model, "from-sft") if model in ("base", "sft") else dict(results.scores[model])


def _level(pools: Seeds, tiers: Sequence[str] | None, row: str, measure: Measure = right) -> Effect:
    return _mean(row, table_of(pools, measure, tiers=tiers))


def _mean(row: str, table: SeedTable) -> Effect:
    """The level of a row. Of a seed alone its value is shown, never its interval, so none is resampled."""
    return level(table, generator=generator_of(row), each_seed=False)


def _sides(results: RlResults, run: str, other: str) -> tuple[Seeds, Seeds]:
    """A run and another model, on the seeds and tiers of the run."""
    return results.scores[run], results.compared(other, run)


def _versus(
    plus: Seeds, minus: Seeds, tiers: Sequence[str] | None, row: str, measure: Measure = right
) -> Effect:
    sides = (table_of(pools, measure, tiers=tiers) for pools in (plus, minus))
    return difference(*sides, generator=generator_of(row))


def _differences(sides: Mapping[str, tuple[Seeds, Seeds]]) -> Found:
    return {
        row: difference(table_of(plus), table_of(minus), generator=generator_of(row))
        for row, (plus, minus) in sides.items()
    }


def _within(scores: Mapping[int, Scores], budget: int) -> dict[int, Scores]:
    return {seed: pool.within(budget, UNFINISHED) for seed, pool in scores.items()}


def _tiers(prefix: str, effect: Callable[[Sequence[str] | None, str], Effect]) -> Found:
    """Rows `<prefix>.<tier>` and `<prefix>.mean`."""
    found = by_tier(lambda tiers, name: effect(tiers, f"{prefix}.{name}"), MATHS)
    return {f"{prefix}.{name}": value for name, value in found.items()}
