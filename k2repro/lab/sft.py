"""The SFT pillar on mini-K2: a base, fine-tuning on long traces, and the contrast that answers at once.

training "base" -> weights -> training "sft"    -> weights -> pool -> scores
                           -> training "direct" -> weights -> pool -> scores
and of every training its history; of "sft" and "direct" the curve: a probe along the way
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from k2repro.architecture import ModelConfig
from k2repro.engine import NUMERICS as ENGINE
from k2repro.errors import unknown
from k2repro.evaluate import POOLS
from k2repro.evaluate.pool import Scores
from k2repro.lab import pools, steady_recipe
from k2repro.lab.campaign import Watch, carry_out
from k2repro.lab.made import Made, Making, declared
from k2repro.lab.progress import JobProgress, live
from k2repro.lab.scale import Scale
from k2repro.lab.sft_recipe import BASE, DIRECT, LARGE, LATER_SHAPE, MODEL, SFT
from k2repro.lab.stages import Stage, history_values, run_stages
from k2repro.mini import GRADER, TEXTS
from k2repro.mini.benchmarks import BENCHMARKS, TEMPERATURE, benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint, load_snapshot, new_model, save_checkpoint, save_snapshot
from k2repro.results import ArtifactStore
from k2repro.results.atomic import canonical_json, write_text
from k2repro.results.provenance import made_on
from k2repro.training import NUMERICS as TRAINING
from k2repro.training.loop import TrainingProgress

# Stages of each model, and the model that it starts from.
MODELS: dict[str, tuple[tuple[Stage, ...], str | None]] = {
    "base": (BASE, None),
    "sft": (SFT, "base"),
    "direct": (DIRECT, "base"),
    "steady-base": (steady_recipe.BASE, None),
    "steady-sft": (steady_recipe.SFT, "steady-base"),
    "steady-longer": (steady_recipe.LONGER, "steady-sft"),
    "large-base": (steady_recipe.BASE, None),
    "large-sft": (steady_recipe.SFT, "large-base"),
}
# Models of the first recipe; those whose training is followed by a probe; those whose weights ship, of the
# first seed.
FIRST, FOLLOWED, SHIPPED = ("base", "sft", "direct"), ("sft", "direct"), ("base", "sft")
# Models that are kept along their last stage.
KEPT = (*FOLLOWED, "steady-sft")
# Shares of the last stage after which the model is kept, to be probed: densely where the curve rises.
CURVE_POINTS = (0.0, 0.03, 0.06, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
WEIGHTS, STEPS, HISTORY, CURVE = "weights", "steps", "history.json", "curve.jsonl"


# ---- things to be made ----------------------------------------------------------------------------


def stages_of(name: str, scale: Scale) -> list[Stage]:
    """The stages of a model, shortened as the scale says. Raises K2ReproError for an unknown name."""
    if name not in MODELS:
        raise unknown("model of the SFT pillar", name, MODELS)
    return [stage.shortened(scale.steps) for stage in MODELS[name][0]]


def shape_of(name: str) -> ModelConfig:
    """The shape of a model, by its name."""
    return LARGE if name.startswith("large-") else MODEL


def training(name: str, seed: int, scale: Scale) -> Made:
    """A whole training: its last weights, its history, and what it kept along the last stage."""
    stages, start = stages_of(name, scale), MODELS[name][1]
    kept = _kept_steps(stages[-1]) if name in KEPT else []
    return Made(
        "training",
        name,
        seed,
        partial(_train, shape_of(name), stages, seed, kept),
        {
            "model": declared(shape_of(name), later=LATER_SHAPE),
            "stages": [stage.params for stage in stages],
            "kept": kept,
        },
        (TRAINING, TEXTS),
        {"start": weights(start, seed, scale)} if start else {},
    )


def weights(name: str, seed: int, scale: Scale) -> Made:
    """The checkpoint at the end of a training, for samplers and other trainings."""
    needs = {"training": training(name, seed, scale)}
    return Made("weights", name, seed, _take_weights, needs=needs, ships=seed == 0 and name in SHIPPED)


def history(name: str, seed: int, scale: Scale) -> Made:
    """Loss and tokens of every step, by stage."""
    return Made(
        "history", name, seed, _take_history, needs={"training": training(name, seed, scale)}, ships=True
    )


def curve(name: str, seed: int, scale: Scale) -> Made:
    """Which probe problems were right, and when."""
    return Made(
        "curve",
        name,
        seed,
        partial(_probe, seed, scale.probe, stages_of(name, scale)[-1].steps),
        {"probe": scale.probe},
        (ENGINE, POOLS, TEXTS, GRADER),
        {"training": training(name, seed, scale)},
        ships=True,
    )


def scores(name: str, seed: int, scale: Scale) -> Made:
    """Scores on every benchmark. Direct answers are not drawn deeply: their pass@k is not asked for."""
    return pools.scores(
        pools.pool(
            weights(name, seed, scale),
            BENCHMARKS,
            problems=scale.problems,
            samples=scale.samples,
            deep=scale.deep,
            deep_samples=scale.samples if name == "direct" else scale.deep_samples,
            about={"model": name, "seed": seed, "split": "test", "temperature": TEMPERATURE},
        )
    )


def everything(scale: Scale) -> list[Made]:
    """All that notebook 02 reads."""
    pairs = [(name, seed) for name in FIRST for seed in range(scale.seeds)]
    return [
        *(scores(name, seed, scale) for name, seed in pairs),
        *(history(name, seed, scale) for name, seed in pairs),
        *(curve(name, seed, scale) for name, seed in pairs if name in FOLLOWED),
        *(weights(name, 0, scale) for name in SHIPPED),
    ]


# ---- making ---------------------------------------------------------------------------------------


def _kept_steps(stage: Stage) -> list[int]:
    return sorted({round(share * stage.steps) for share in CURVE_POINTS})


def _train(
    shape: ModelConfig, stages: Sequence[Stage], seed: int, kept: Sequence[int], making: Making
) -> None:
    """Train through `stages`; a killed training resumes from its last saved state to the same bytes."""
    start = making.needs.get("start")
    model = new_model(shape, seed, stages[0].layers) if start is None else load_checkpoint(start)
    model, histories = run_stages(
        model,
        stages,
        seed,
        work=making.work,
        progress=lambda now: making.report(report_of(now)),
        keep=lambda step, now: save_snapshot(now, making.work / STEPS / f"{step:06d}"),
        keep_at=kept,
    )
    save_checkpoint(model, making.folder / WEIGHTS)
    write_text(making.folder / HISTORY, canonical_json(history_values(histories)) + "\n")
    if kept:
        shutil.copytree(making.work / STEPS, making.folder / STEPS)


def report_of(now: TrainingProgress) -> JobProgress:
    """Where a training stands, for whoever watches."""
    words = f"{now.stage} {now.step}/{now.steps}, loss {now.loss:.3f}, {now.tokens_per_second:,.0f} tokens/s"
    return JobProgress(now.step / now.steps, words, now.seconds_left)


def train_further(stages: Sequence[Stage], seed: int, making: Making) -> dict[str, dict[str, Any]]:
    """Train the model of `making.needs["start"]` into a checkpoint; loss and tokens by stage and step."""
    model, histories = run_stages(
        load_checkpoint(making.needs["start"]),
        stages,
        seed,
        work=making.work,
        progress=lambda now: making.report(report_of(now)),
    )
    save_checkpoint(model, making.folder)
    return history_values(histories)


def _take_weights(making: Making) -> None:
    shutil.copytree(making.needs["training"] / WEIGHTS, making.folder, dirs_exist_ok=True)


def _take_history(making: Making) -> None:
    shutil.copyfile(making.needs["training"] / HISTORY, making.folder / HISTORY)


def _probe(seed: int, probe: int, steps: int, making: Making) -> None:
    """One sample for each validation problem at every kept step; verdicts by tier as ones and zeros."""
    problems = [each for tier in BENCHMARKS for each in benchmark_problems(tier, "validation", probe)]
    folders = sorted((making.needs["training"] / STEPS).iterdir())
    lines = []
    for at, folder in enumerate(folders):
        making.report(JobProgress(at / len(folders), f"point {at + 1} of {len(folders)}"))
        step = int(folder.name)
        pool = pools.Asked(load_snapshot(folder), seed).pool([(problems, 1)], {})
        right = {tier: "".join(str(each.right) for each in pool.tier(tier).attempts) for tier in BENCHMARKS}
        lines.append(canonical_json({"step": step, "share": step / steps, "right": right}) + "\n")
    write_text(making.folder / CURVE, "".join(lines))


# ---- reading --------------------------------------------------------------------------------------

History = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class CurvePoint:
    """One point of a training curve.

    share  of the stage's steps. right: for each tier "1" or "0" for each probe problem, in order
    """

    step: int
    share: float
    right: Mapping[str, str]


Curves = Mapping[int, Sequence[CurvePoint]]


@dataclass(frozen=True)
class SftResults:
    """What was made, by name of the model ("base", "sft", "direct") and seed.

    scores      on the test problems
    histories   loss and tokens of every step, by stage
    curves      points of the training curve; none for "base"
    checkpoints folders of "base" and "sft" of the first seed
    machine     that made them, see `made_on`
    """

    scores: Mapping[str, Mapping[int, Scores]]
    histories: Mapping[str, Mapping[int, History]]
    curves: Mapping[str, Curves]
    checkpoints: Mapping[str, Path]
    machine: Mapping[str, str] = field(default_factory=dict)

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.scores["sft"])


def carry_out_sft(
    scale: Scale, store: ArtifactStore, *, workers: int = 2, progress: Watch = live
) -> SftResults:
    """Make what is missing, mark what ships, and read it. Raises whatever stops a job."""
    folders = carry_out(everything(scale), store, workers=workers, progress=progress)

    def by_seed(thing: Any, name: str, read: Any) -> dict[int, Any]:
        return {seed: read(folders[thing(name, seed, scale).key]) for seed in range(scale.seeds)}

    return SftResults(
        scores={name: by_seed(scores, name, pools.read_scores) for name in FIRST},
        histories={name: by_seed(history, name, read_history) for name in FIRST},
        curves={name: by_seed(curve, name, read_curve) for name in FOLLOWED},
        checkpoints={name: folders[weights(name, 0, scale).key] for name in SHIPPED},
        machine=made_on(folders.values()),
    )


def read_history(folder: Path) -> dict[str, dict[str, Any]]:
    """Loss and tokens of every step, by stage; where a stage measured skills, the losses of each of them."""
    found: dict[str, dict[str, Any]] = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
    return found


def read_curve(folder: Path) -> list[CurvePoint]:
    """The points of a training in order of steps."""
    return [
        CurvePoint(**json.loads(line)) for line in (folder / CURVE).read_text(encoding="utf-8").splitlines()
    ]
