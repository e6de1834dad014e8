"""The rows of notebook 02 by section: ids and values, from `results`."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from k2repro.mini import mistakes, programs
from k2repro.sft.generate import MATHS
from k2repro.sft.results import (
    LEAST_GAIN,
    MEAN,
    Evidence,
    Measured,
    Numbers,
    by_problem,
    difference,
    groups,
    mean_rate,
    mean_tokens,
    rates,
    share_cut,
    share_of,
    statistic_of,
)
from k2repro.sft.runs import Point
from k2repro.sft.scores import KINDS

# Under which name the rows of a checkpoint stand: what SFT ends with is "final", as Figure 2 shows it.
ROW_NAMES = {"base": "base", "direct": "direct", "sft": "final"}


class Rows(Protocol):
    """The part of a row book that is needed here."""

    def add(
        self,
        row_id: str,
        value: float,
        *,
        unit: str,
        scale: Any,
        n: int | None,
        interval: tuple[float, float] | None,
        interval_method: str | None,
        seeds: Sequence[int],
    ) -> None: ...


def add_rows(rows: Rows, numbers: Numbers, seeds: Sequence[int]) -> None:
    """Write numbers as rows of mini scale."""
    for name, found in numbers.items():
        rows.add(
            name,
            found.value,
            unit=found.unit,
            scale="mini",
            n=found.n,
            interval=found.interval,
            interval_method=found.method,
            seeds=tuple(seeds),
        )


def words(rows: Mapping[str, Any], template: str, otherwise: str) -> str:
    """`template` if every row in it exists, else `otherwise`: a share of no gain, say, is no number."""
    from k2repro.notebook.text import FIELD

    named = [match[1] for match in FIELD.finditer(template)]
    return template if all(name in rows for name in named) else otherwise


def pass_rows(evidence: Evidence) -> Numbers:
    """pass@1 of each checkpoint and benchmark, and what SFT gains over base."""
    found: Numbers = {}
    for group, tiers in groups().items():
        at_1 = {name: rates(evidence.scores[name], tiers) for name in ROW_NAMES}
        for name, values in at_1.items():
            row = f"sft.pass_at_1.{ROW_NAMES[name]}.{group}"
            found[row] = mean_rate(values, row)
        row = "sft.pass_at_1.gain" if group == MEAN else f"sft.pass_at_1.gain.{group}"
        found[row] = difference(at_1["sft"], at_1["base"], row)
        row = f"sft.cot_minus_direct.{group}"
        found[row] = difference(at_1["sft"], at_1["direct"], row)
    return found


def pass_at_k_rows(evidence: Evidence) -> Numbers:
    """pass@k of base and SFT on the problems that were asked deeply, and the smallest gain over all k."""
    found: Numbers = {}
    for group, tiers in groups().items():
        ks = sample_counts(evidence)
        curves = {
            name: [rates(evidence.scores[name], tiers, k, least=ks[-1]) for k in ks]
            for name in ("base", "sft")
        }
        for name, curve in curves.items():
            for k, values in zip(ks, curve, strict=True):
                row = f"sft.pass_at_k.{name}.{group}.k{k}"
                found[row] = mean_rate(values, row)
        gains = [
            {problem: after[problem] - before[problem] for problem in after}
            for after, before in zip(curves["sft"], curves["base"], strict=True)
        ]
        row = "sft.pass_at_k.min_gain" if group == MEAN else f"sft.pass_at_k.min_gain.{group}"
        found[row] = statistic_of(gains, lambda table: table.mean(axis=0).min(), row)
        found |= _saturation(curves, group)
    return found


def sample_counts(evidence: Evidence) -> list[int]:
    """1, 2, 4 ... up to the most samples that every deeply asked problem has."""
    deepest = min(
        max(len(attempt.generations) for attempt in pool.attempts)
        for name in ("base", "sft")
        for pool in evidence.scores[name].values()
    )
    return [2**power for power in range(deepest.bit_length())]


def _saturation(curves: Mapping[str, list[dict[str, float]]], group: str) -> Numbers:
    """Where the curve of SFT ends, what its last doubling of k adds, and how far k carries the base."""
    found: Numbers = {}
    row = f"sft.pass_at_k.saturation.{group}"
    found[row] = mean_rate(curves["sft"][-1], row)
    row = f"sft.pass_at_k.last_doubling.{group}"
    found[row] = difference(curves["sft"][-1], curves["sft"][-2], row)
    first, last = curves["base"][0], curves["base"][-1]
    if group == MEAN and sum(first.values()) > 0:
        row = f"sft.pass_at_k.base_ratio.{group}"
        # A resample may hold no problem that the base ever solves; then the ratio is at its least, 1.
        found[row] = statistic_of([first, last], _ratio, row, unit="ratio")
    return found


def _ratio(table: np.ndarray) -> float:
    first, last = table.mean(axis=0)
    return float(last / first) if first > 0 else 1.0


def curve_rows(evidence: Evidence) -> Numbers:
    """Where the maths curve of SFT starts and ends, and which parts of the gain come when.

    The shares are left out where there is hardly any gain to share out.
    """
    found: Numbers = {}
    curves = evidence.curves["sft"]
    start, end = curve_rates(curves, 0.0), curve_rates(curves, 1.0)
    for name, values in (("start", start), ("end", end)):
        row = f"sft.curve.{name}"
        found[row] = mean_rate(values, row)
    if found["sft.curve.end"].value - found["sft.curve.start"].value < LEAST_GAIN:
        return found
    parts = {
        "sft.gain_share_at_quarter": (start, curve_rates(curves, 0.25)),
        "sft.gain_share_at_half": (start, curve_rates(curves, 0.5)),
        "sft.gain_share_of_last_quarter": (curve_rates(curves, 0.75), end),
    }
    for row, (before, after) in parts.items():
        found[row] = statistic_of([before, after, start, end], _share, row)
    return found


def curve_rates(
    curves: Mapping[int, Sequence[Point]], share: float, tiers: Sequence[str] = MATHS
) -> dict[str, float]:
    """How often each probe problem was right after a share of the training, averaged over seeds."""
    points = [min(points, key=lambda point: abs(point.share - share)) for points in curves.values()]
    return {
        f"{tier}/{at}": sum(int(point.right[tier][at]) for point in points) / len(points)
        for tier in tiers
        for at in range(len(points[0].right[tier]))
    }


def _share(table: np.ndarray) -> float:
    before, after, start, end = table.mean(axis=0)
    return float((after - before) / max(end - start, 1e-9))


def length_rows(evidence: Evidence) -> Numbers:
    """Mean tokens of a response, and the share of SFT's responses that the budget cut."""
    found: Numbers = {}
    for group, tiers in groups().items():
        for name, pools in evidence.scores.items():
            row = f"sft.tokens.{ROW_NAMES[name]}.{group}"
            found[row] = mean_rate(by_problem(pools, tiers, mean_tokens), row, unit="tokens")
        row = f"sft.cut.{group}"
        found[row] = mean_rate(by_problem(evidence.scores["sft"], tiers, share_cut), row)
    return found


def mistake_rows(evidence: Evidence) -> Numbers:
    """The share of SFT's responses whose first mistake is of each kind, by benchmark."""
    found: Numbers = {}
    for tier in groups():
        for kind in kinds_of(tier):
            if tier != MEAN and kind != mistakes.RIGHT:
                row = f"sft.mistakes.{tier}.{kind.replace(' ', '-')}"
                found[row] = mean_rate(by_problem(evidence.scores["sft"], (tier,), share_of(kind)), row)
    return found


def kinds_of(tier: str) -> tuple[str, ...]:
    """The kinds of mistake that a benchmark can show."""
    return KINDS if tier == programs.TIER else mistakes.KINDS


def most_common(numbers: Mapping[str, Measured | Any], tier: str) -> str:
    """The kind of mistake that a benchmark shows most often."""
    shares = {
        kind: numbers[f"sft.mistakes.{tier}.{kind.replace(' ', '-')}"].value
        for kind in kinds_of(tier)
        if kind != mistakes.RIGHT
    }
    return max(shares, key=lambda kind: shares[kind])
