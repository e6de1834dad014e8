"""One training run of the pillar: stages, a probe along the last one, and everything that is kept of it.

config.json, *.safetensors, tokenizer   an ordinary Qwen2 checkpoint
history.json                            loss and tokens of every step, by stage
curve.jsonl                             for "sft" and "direct": which probe problems were right, and when
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2repro.architecture import Qwen2
from k2repro.errors import K2ReproError
from k2repro.results.atomic import canonical_json, write_text
from k2repro.sft.generate import BENCHMARKS, MATHS, benchmark_problems, generate
from k2repro.sft.stages import Stage, history_values, run_stages, save_checkpoint
from k2repro.training.loop import Progress

# Shares of the last stage after which the probe is asked: densely where the curve rises.
CURVE_POINTS = (0.0, 0.03, 0.06, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
HISTORY, CURVE = "history.json", "curve.jsonl"


@dataclass(frozen=True)
class Probed:
    """Told during training: pass@1 on the maths probe after `step` steps."""

    step: int
    pass_rate: float


@dataclass(frozen=True)
class Point:
    """One point of a training curve.

    share  of the stage's steps. right: for each tier "1" or "0" for each probe problem, in order
    """

    step: int
    share: float
    right: Mapping[str, str]


Tell = Callable[[Progress | Probed], None]


def train_run(
    model: Qwen2,
    stages: Sequence[Stage],
    seed: int,
    probe: int,
    folder: Path,
    work: Path,
    tell: Tell | None = None,
) -> None:
    """Train through `stages` and write the run to `folder`; a killed run resumes from `work`.

    probe: validation problems of each benchmark that are asked along the last stage; 0 asks none.
    """
    last = stages[-1].steps
    points = sorted({round(share * last) for share in CURVE_POINTS}) if probe else []

    def keep(step: int, model: Qwen2) -> None:
        point = ask_probe(model, seed, probe, step, step / last)
        write_text(work / "curve" / f"{step:06d}.json", canonical_json(point) + "\n")
        if tell is not None:
            bits = "".join(point["right"][tier] for tier in MATHS)
            tell(Probed(step, bits.count("1") / len(bits)))

    model, histories = run_stages(model, stages, seed, work=work, tell=tell, keep=keep, keep_at=points)
    save_checkpoint(model, folder)
    write_text(folder / HISTORY, canonical_json(history_values(histories)) + "\n")
    if probe:
        lines = [(work / "curve" / f"{step:06d}.json").read_text() for step in points]
        write_text(folder / CURVE, "".join(lines))


def ask_probe(model: Qwen2, seed: int, probe: int, step: int, share: float) -> dict[str, Any]:
    """One sample for each probe problem; the verdicts by tier as a text of ones and zeros."""
    problems = [p for tier in BENCHMARKS for p in benchmark_problems(tier, "validation", probe)]
    pool = generate(model, problems, 1, seed, {"step": step})
    right = {tier: "".join(str(attempt.right) for attempt in pool.tier(tier).attempts) for tier in BENCHMARKS}
    return {"step": step, "share": share, "right": right}


def read_history(folder: Path) -> dict[str, dict[str, list[float]]]:
    """Loss and tokens of every step, by stage."""
    found: dict[str, dict[str, list[float]]] = json.loads((folder / HISTORY).read_text())
    return found


def read_curve(folder: Path) -> list[Point]:
    """The points of a run in order of steps. Raises K2ReproError for a run without a probe."""
    path = folder / CURVE
    if not path.is_file():
        raise K2ReproError(f"{folder.name} has no {CURVE}: its run asked no probe, as for a base")
    return [Point(**json.loads(line)) for line in path.read_text().splitlines()]
