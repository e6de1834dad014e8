"""Every number of notebook 02 that trained models stand behind, by row id."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.evaluate import wilson_interval
from k2repro.evaluate.effects import (
    Effect,
    Numbers,
    SeedTable,
    cut_off,
    gap,
    level,
    of_kind,
    right_among,
    statistic,
    table_of,
    tokens,
)
from k2repro.lab.effect_rows import add_effects
from k2repro.lab.pools import KINDS
from k2repro.lab.sft import CurvePoint, Curves, SftResults
from k2repro.mini import mistakes, programs
from k2repro.mini.benchmarks import BENCHMARKS, MATHS
from k2repro.mini.problem import item_random
from k2repro.results import RowBook

RESAMPLES = 2_000
# Below this a gain cannot be shared out: every share of nothing is noise.
LEAST_GAIN = 0.05
MEAN = "mean"
# Under which name the rows of a model stand: what SFT ends with is "final", as Figure 2 shows it.
ROW_NAMES = {"base": "base", "direct": "direct", "sft": "final"}
Found = dict[str, Effect]


def groups() -> dict[str, tuple[str, ...]]:
    """The benchmarks one by one, then the four maths tiers together under "mean"."""
    return {**{tier: (tier,) for tier in BENCHMARKS}, MEAN: MATHS}


def add_rows(rows: RowBook, found: Mapping[str, Effect]) -> None:
    """Write effects as rows of mini scale."""
    add_effects(rows, found, unit_of)


def unit_of(row: str) -> str:
    """The unit of a row, from its id."""
    if row.startswith("sft.tokens."):
        return "tokens"
    return "ratio" if row.startswith("sft.pass_at_k.base_ratio") else "fraction"


# ---- the numbers ----------------------------------------------------------------------------------


def pass_rows(results: SftResults) -> Found:
    """pass@1 of each model and benchmark, and what SFT gains over base."""
    found: Found = {}
    for group, tiers in groups().items():
        at_1 = {name: table_of(results.scores[name], right_among(1), tiers=tiers) for name in ROW_NAMES}
        for name, table in at_1.items():
            found |= _mean(f"sft.pass_at_1.{ROW_NAMES[name]}.{group}", table)
        row = "sft.pass_at_1.gain" if group == MEAN else f"sft.pass_at_1.gain.{group}"
        found |= _gap(row, at_1["sft"], at_1["base"])
        found |= _gap(f"sft.cot_minus_direct.{group}", at_1["sft"], at_1["direct"])
    return found


def pass_at_k_rows(results: SftResults) -> Found:
    """pass@k of base and SFT on the problems that were asked deeply, and the smallest gain over all k."""
    found: Found = {}
    ks = sample_counts(results)
    for group, tiers in groups().items():
        curves = {
            name: [table_of(results.scores[name], right_among(k), tiers=tiers, least=ks[-1]) for k in ks]
            for name in ("base", "sft")
        }
        for name, curve in curves.items():
            for k, table in zip(ks, curve, strict=True):
                found |= _mean(f"sft.pass_at_k.{name}.{group}.k{k}", table)
        row = "sft.pass_at_k.min_gain" if group == MEAN else f"sft.pass_at_k.min_gain.{group}"
        found |= _statistic(row, [*curves["sft"], *curves["base"]], _smallest_gain)
        found |= _saturation(curves, group)
    return found


def sample_counts(results: SftResults) -> list[int]:
    """1, 2, 4 ... up to the most samples that every deeply asked problem has."""
    deepest = min(
        max(len(attempt.generations) for attempt in pool.attempts)
        for name in ("base", "sft")
        for pool in results.scores[name].values()
    )
    return [2**power for power in range(deepest.bit_length())]


def _smallest_gain(table: Numbers) -> float:
    """table: [problems, k of SFT and then k of base]."""
    after, before = np.split(table, 2, axis=1)
    return float((after - before).mean(axis=0).min())


def _saturation(curves: Mapping[str, list[SeedTable]], group: str) -> Found:
    """Where the curve of SFT ends, what its last doubling of k adds, and how far k carries the base."""
    found = _mean(f"sft.pass_at_k.saturation.{group}", curves["sft"][-1])
    found |= _gap(f"sft.pass_at_k.last_doubling.{group}", curves["sft"][-1], curves["sft"][-2])
    first, last = curves["base"][0], curves["base"][-1]
    if group == MEAN and first.mean.sum() > 0:
        # A resample may hold no problem that the base ever solves; then the ratio is at its least, 1.
        found |= _statistic(f"sft.pass_at_k.base_ratio.{group}", [first, last], _ratio)
    return found


def _ratio(table: Numbers) -> float:
    first, last = table.mean(axis=0)
    return float(last / first) if first > 0 else 1.0


def curve_rows(results: SftResults) -> Found:
    """Where the maths curve of SFT starts and ends, and which parts of the gain come when.

    The shares are left out where there is hardly any gain to share out, for all seeds or for one.
    """
    curves = results.curves["sft"]
    at = {share: probe_table(curves, share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)}
    found = _mean("sft.curve.start", at[0.0]) | _mean("sft.curve.end", at[1.0])
    if found["sft.curve.end"].value - found["sft.curve.start"].value < LEAST_GAIN:
        return found
    gained = {
        seed for seed in curves if at[1.0].by_seed[seed].mean() - at[0.0].by_seed[seed].mean() >= LEAST_GAIN
    }
    for name, before, after in (
        ("at_quarter", 0.0, 0.25),
        ("at_half", 0.0, 0.5),
        ("of_last_quarter", 0.75, 1.0),
    ):
        row = f"sft.gain_share_{name}"
        [effect] = _statistic(row, [at[before], at[after], at[0.0], at[1.0]], _share).values()
        alone = {
            seed: own if seed in gained else (float("nan"), None) for seed, own in effect.by_seed.items()
        }
        found[row] = replace(effect, by_seed=alone)
    return found


def point_rows(results: SftResults, shown: Sequence[str] = ("tier-1", "tier-2")) -> Found:
    """pass@1 on the probe at every point of SFT's curve, `sft.curve.<tier>.after-<thousandths>`.

    shown: the tiers that stand beside the paper's two curves in Figure 2.
    """
    curves = results.curves["sft"]
    shares = [point.share for point in next(iter(curves.values()))]
    found: Found = {}
    for tier in shown:
        for share in shares:
            row = f"sft.curve.{tier}.after-{round(1000 * share):04d}"
            found |= _mean(row, probe_table(curves, share, (tier,)))
    return found


def probe_table(curves: Curves, share: float, tiers: Sequence[str] = MATHS) -> SeedTable:
    """Right or wrong on each probe problem after a share of the training."""
    nearest = {seed: _nearest(points, share) for seed, points in curves.items()}
    first = next(iter(nearest.values()))
    ids = [f"{tier}/{at}" for tier in tiers for at in range(len(first.right[tier]))]
    values = {
        seed: np.array([float(mark) for tier in tiers for mark in point.right[tier]])
        for seed, point in nearest.items()
    }
    if any(len(column) != len(ids) for column in values.values()):
        raise K2ReproError("the seeds were probed with other numbers of problems; usual cause: two scales")
    return SeedTable(tuple(ids), values)


def _nearest(points: Sequence[CurvePoint], share: float) -> CurvePoint:
    return min(points, key=lambda point: abs(point.share - share))


def _share(table: Numbers) -> float:
    before, after, start, end = table.mean(axis=0)
    return float((after - before) / max(end - start, 1e-9))


def length_rows(results: SftResults) -> Found:
    """Mean tokens of a response, and the share of SFT's responses that the budget cut."""
    found: Found = {}
    for group, tiers in groups().items():
        for name, pools in results.scores.items():
            found |= _mean(f"sft.tokens.{ROW_NAMES[name]}.{group}", table_of(pools, tokens, tiers=tiers))
        found |= _mean(f"sft.cut.{group}", table_of(results.scores["sft"], cut_off, tiers=tiers))
    return found


def mistake_rows(results: SftResults) -> Found:
    """The share of SFT's responses whose first mistake is of each kind, by benchmark."""
    found: Found = {}
    for tier in BENCHMARKS:
        for kind in kinds_of(tier):
            if kind != mistakes.RIGHT:
                table = table_of(results.scores["sft"], of_kind(kind), tiers=(tier,))
                found |= _mean(mistake_row(tier, kind), table)
    return found


def mistake_row(tier: str, kind: str) -> str:
    """The id of the row of a kind of mistake."""
    return f"sft.mistakes.{tier}.{kind.replace(' ', '-')}"


def kinds_of(tier: str) -> tuple[str, ...]:
    """The kinds of mistake that a benchmark can show."""
    return KINDS if tier == programs.TIER else mistakes.KINDS


def most_common(found: Mapping[str, Any], tier: str) -> str:
    """The kind of mistake that a benchmark shows most often."""
    kinds = [kind for kind in kinds_of(tier) if kind != mistakes.RIGHT]
    return max(kinds, key=lambda kind: found[mistake_row(tier, kind)].value)


# ---- inside ---------------------------------------------------------------------------------------


def _mean(row: str, table: SeedTable) -> Found:
    """The mean over problems as the row of that name."""
    effect = level(table, generator=_generator(row), resamples=RESAMPLES, each_seed=False)
    if effect.interval.width == 0 and unit_of(row) == "fraction" and effect.value in (0.0, 1.0):
        # Nothing varies, so nothing can be resampled; yet another problem might have come out otherwise.
        effect = replace(effect, interval=wilson_interval(round(effect.value * effect.n), effect.n))
    return {row: effect}


def _gap(row: str, first: SeedTable, second: SeedTable) -> Found:
    return {row: gap(first, second, generator=_generator(row), resamples=RESAMPLES)}


def _statistic(row: str, tables: Sequence[SeedTable], function: Callable[[Numbers], float]) -> Found:
    return {row: statistic(tables, function, generator=_generator(row), resamples=RESAMPLES)}


def _generator(row: str) -> np.random.Generator:
    """A generator of its own for each row, so that no row depends on which were computed before."""
    return np.random.default_rng(item_random("sft rows", row).getrandbits(64))
