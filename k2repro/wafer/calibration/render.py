"""A `ScoreReport` as text for people or JSON for programs."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from k2repro.wafer.calibration.score import Score, ScoreReport, score_rates

Tell = Callable[[str, int, int], None]


def _percent(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def _table(title: str, scores: tuple[Score, ...]) -> list[str]:
    width = max(len(title), *(len(score.name) for score in scores))
    lines = [f"{title:<{width}}  {'rows':>5}  {'median':>8}  {'90th':>8}  {'<= 20 %':>8}  {'in 80 %':>8}"]
    lines += [
        f"{score.name:<{width}}  {score.rows:>5}  {_percent(score.median_error):>8}  "
        f"{_percent(score.ninetieth_error):>8}  {_percent(score.within_20_percent):>8}  "
        f"{_percent(score.coverage):>8}"
        for score in scores
    ]
    return [*lines, ""]


def render_text(report: ScoreReport) -> str:
    """The report as plain text; errors are |predicted / measured - 1|."""
    lines = [
        f"{report.file}: {report.rows_read} rows read, {len(report.refused)} refused; "
        f"parameters frozen on {report.parameters_date}",
        "",
    ]
    lines += [f"refused: {reason}" for reason in report.refused]
    lines += [""] if report.refused else []
    lines += _table("emulator", report.overall)
    lines += _table("side by side, same rows", report.baselines)
    for name, scores in report.breakdowns.items():
        lines += _table(f"frozen, by {name}", scores)
    wafer = report.wafer
    if wafer is not None:
        if wafer.wse2_rows:
            lines.append(
                f"WSE-2, leave one model out: {wafer.wse2_rows} rows, median "
                f"{_percent(wafer.wse2_median_error)}, worst "
                f"{_percent(wafer.wse2_worst_error)}"
            )
        lines += [
            f"other wafer, row {name}: predicted {predicted:.0f}, published {measured:.0f} "
            f"tok/s (ratio {ratio:.2f})"
            for name, predicted, measured, ratio in wafer.other_wafers
        ]
        lines.append("")
    lines.append(
        f"flagged as impossible: {len(report.flags)} rows, of them {report.flagged_scored_rows} scored"
    )
    lines += [
        f"  line {flag.line} ({flag.id}, {flag.source}, {flag.hardware}): {flag.reason}"
        for flag in report.flags
    ]
    return "\n".join(lines) + "\n"


def _plain(value: object) -> object:
    """JSON has neither infinity nor nan: such a number becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def json_text(value: object) -> str:
    """JSON for programs, null where a number is infinite or missing."""
    return json.dumps(_plain(value), indent=1) + "\n"


def render_json(report: ScoreReport) -> str:
    """The report as JSON, one object; shares are 0 to 1."""
    return json_text(asdict(report))


def score_rates_file(
    path: str | Path | None = None, as_json: bool = False, progress: Tell = lambda stage, done, total: None
) -> str:
    """What `k2repro score-rates FILE.csv [--json]` prints; progress(stage, done, total) while it works."""
    report = score_rates(path, progress=progress)
    return render_json(report) if as_json else render_text(report)
