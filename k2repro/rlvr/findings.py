"""Every number of notebook 03 that generations stand behind, by row id, from what the campaign made.

The generator of a row's bootstrap is seeded by its id, so no number depends on which others are computed.
Differences and levels of pass@1 are fractions.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from k2repro.evaluate.pool import Pool
from k2repro.mini.mistakes import RIGHT
from k2repro.mini.problem import item_seed
from k2repro.rlvr.arms import CODE
from k2repro.rlvr.builds import AT_SWITCH, SHARP_END, SHARP_START, Log
from k2repro.rlvr.campaign import Campaign
from k2repro.rlvr.evaluation import within
from k2repro.rlvr.results import (
    CurvePoint,
    Cut,
    Effect,
    Measure,
    Seeds,
    by_tier,
    curve,
    cut_off,
    difference,
    landmarks,
    level,
    of_kind,
    right,
    surprise_change,
    tokens,
)
from k2repro.rlvr.runs import MATHS
from k2repro.sft.scores import KINDS

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


def pass_rates(campaign: Campaign) -> Found:
    """pass@1 of every model by tier and in the mean, each on all of its own seeds."""
    found: Found = {}
    for model, label in LABELS.items():
        found |= _tiers(f"rlvr.pass_at_1.{label}", partial(_level, campaign, model))
    return found


def gains(campaign: Campaign) -> Found:
    """What reinforcement learning adds, by tier and in the mean, from SFT and from base."""
    found: Found = {}
    for arm, start in (("from-sft", "sft"), ("from-base", "base")):
        prefix = "rlvr.gain_from_sft" if arm == "from-sft" else "rlvr.gain_from_base"
        found |= _tiers(prefix, partial(_versus, campaign, arm, start))
    # The claim's own name for the mean.
    found["rlvr.gain_from_base"] = found.pop("rlvr.gain_from_base.mean")
    return found


def final_levels(campaign: Campaign) -> Found:
    """How the two runs compare: which gains more, and which ends higher."""
    scores, row = campaign.scores, "rlvr.gain_from_base_minus_gain_from_sft"
    found = {
        row: difference(
            [scores["from-base"], campaign.compared("sft", "from-sft")],
            [campaign.compared("base", "from-base"), scores["from-sft"]],
            generator=generator_of(row),
        )
    }
    row = "rlvr.final_from_sft_minus_final_from_base"
    return {**found, row: _versus(campaign, "from-sft", "from-base", row)}


def budgets(campaign: Campaign) -> Found:
    """The short response budget, at the switch and after the full one is restored.

    Figure 4 measures a run under its own budget, so `rlvr.short_budget_minus_sft` does; the row that
    ends in "full_budget" asks the same weights with the full budget.
    """
    short = next(iter(campaign.logs["short-budget"].values())).arm.budget[0][1]
    sft = campaign.compared("sft", SWITCHED)
    own = {seed: within(pool, short) for seed, pool in campaign.scores[SWITCHED].items()}
    cut = {seed: within(pool, short) for seed, pool in sft.items()}
    rows: dict[str, tuple[Seeds, Seeds]] = {
        "rlvr.short_budget_minus_sft": (own, sft),
        "rlvr.short_budget_minus_sft.full_budget": (campaign.scores[SWITCHED], sft),
        "rlvr.short_budget_minus_sft.both_short": (own, cut),
        "rlvr.two_stage_minus_full_budget": (campaign.scores["short-budget"], campaign.scores["from-sft"]),
        "rlvr.two_stage_minus_sft": (campaign.scores["short-budget"], sft),
    }
    found = {row: difference(*sides, generator=generator_of(row)) for row, sides in rows.items()}
    row = "rlvr.sft_within_short_budget"
    return {**found, row: level(cut, generator=generator_of(row))}


def sharpening(campaign: Campaign) -> Found:
    """How much of the gain from SFT a lower temperature brings without training, and what is left there."""
    scores, sft = campaign.scores, campaign.compared("sft", "from-sft")
    rows = {
        "rlvr.sharp_sft_minus_sft": (scores[SHARP_SFT], sft),
        "rlvr.from_sft_minus_sharp_sft": (scores["from-sft"], scores[SHARP_SFT]),
        "rlvr.sharp_from_sft_minus_sharp_sft": (scores[SHARP_RL], scores[SHARP_SFT]),
    }
    return {row: difference(*sides, generator=generator_of(row)) for row, sides in rows.items()}


def controls(campaign: Campaign) -> Found:
    """Runs in which something is broken, against the start and against the sound run of the same seeds."""
    found: Found = {}
    for arm in ("broken-reward", "uncentred"):
        name = arm.replace("-", "_")
        for other, against in (("sft", "sft"), ("from-sft", "sound_run")):
            row = f"rlvr.{name}_minus_{against}"
            found[row] = _versus(campaign, arm, other, row)
    return found


def code(campaign: Campaign) -> Found:
    """Programs: pass@1 by executed tests before and after, and the gain, of both runs."""
    found: Found = {}
    for arm in CODE:
        start = campaign.logs[arm][0].arm.start
        before, after = campaign.compared(start, arm), campaign.scores[arm]
        for part, scores in (("before", before), ("after", after)):
            row = f"rlvr.{arm}.{part}"
            found[row] = level(scores, generator=generator_of(row))
        row = f"rlvr.{arm}.gain"
        found[row] = difference(after, before, generator=generator_of(row))
    return found


def lengths(campaign: Campaign, models: Sequence[str]) -> Found:
    """Tokens of a response by model and tier."""
    found: Found = {}
    for model in models:
        found |= _tiers(f"rlvr.length.{LABELS[model]}", partial(_level, campaign, model, measure=tokens))
    return found


def trace_changes(campaign: Campaign, arm: str, start: str) -> Found:
    """What a run changes in the responses: length, share cut off, and the share of each first mistake."""
    measures: dict[str, Measure] = {"length": tokens, "cut_off": cut_off}
    measures |= {f"mistake.{kind.replace(' ', '-')}": of_kind(kind) for kind in KINDS if kind != RIGHT}
    return {
        (row := f"rlvr.change.{arm}.{name}"): _versus(campaign, arm, start, row, measure=measure)
        for name, measure in measures.items()
    }


def mistakes(campaign: Campaign, models: Sequence[str]) -> dict[str, dict[str, float]]:
    """Share of each first mistake among all responses of a model; right ones are the rest."""
    mixes = {}
    for model in models:
        generations = [g for pool in _maths(campaign, model).values() for g in pool.generations()]
        mixes[model] = {
            kind: sum(g.text == kind for g in generations) / len(generations)
            for kind in KINDS
            if kind != RIGHT
        }
    return {
        model: {kind: share for kind, share in mix.items() if any(other[kind] for other in mixes.values())}
        for model, mix in mixes.items()
    }


def entropies(campaign: Campaign, arms: Sequence[str]) -> Found:
    """Entropy of sampling on the probe, nats a token: at the start, at the end, and the change."""
    found: Found = {}
    for arm in arms:
        parts = surprise_change(_logs(campaign, arm), generator=generator_of(f"rlvr.entropy.{arm}"))
        found |= {f"rlvr.entropy.{arm}.{part}": effect for part, effect in parts.items()}
    return found


def curves(campaign: Campaign, arms: Sequence[str]) -> dict[str, list[CurvePoint]]:
    """Probe curves under the budget that was in force, as in Figure 4."""
    return {
        arm: curve(_logs(campaign, arm), generator=generator_of(f"rlvr.curve.{arm}"), own_budget=True)
        for arm in arms
    }


def landmark_rows(points: Mapping[str, Sequence[CurvePoint]]) -> dict[str, Effect]:
    """Start, peak and last point of every curve, as rows."""
    return {
        f"rlvr.curve.{arm}.{name}": point.effect
        for arm, curve in points.items()
        for name, point in landmarks(curve).items()
    }


# ---- inside ---------------------------------------------------------------------------------------


def _logs(campaign: Campaign, arm: str) -> list[Log]:
    return list(campaign.logs[arm].values())


def _maths(campaign: Campaign, model: str) -> dict[int, Pool]:
    """Scores of a model on the maths tiers; starts have programs too, and more samples than are compared."""
    return campaign.compared(model, "from-sft") if model in ("base", "sft") else dict(campaign.scores[model])


def _level(campaign: Campaign, model: str, row: str, cut: Cut = dict, measure: Measure = right) -> Effect:
    return level(cut(_maths(campaign, model)), generator=generator_of(row), measure=measure)


def _versus(
    campaign: Campaign, arm: str, other: str, row: str, cut: Cut = dict, measure: Measure = right
) -> Effect:
    """An arm minus another model, on the seeds and tiers of the arm."""
    return difference(
        cut(campaign.scores[arm]),
        cut(campaign.compared(other, arm)),
        generator=generator_of(row),
        measure=measure,
    )


def _tiers(prefix: str, effect: Callable[[str, Cut], Effect]) -> Found:
    """Rows `<prefix>.<tier>` and `<prefix>.mean`."""
    found = by_tier(lambda cut, tier: effect(f"{prefix}.{tier}", cut), MATHS)
    return {f"{prefix}.{tier}": value for tier, value in found.items()}
