"""The RL pillar on mini-K2: runs from the models of the SFT pillar, and how they are judged.

weights of the start -> rl-training -> weights at the end (and at the switch of a budget) -> pool -> scores
and of every training its records, a line for each step, and its curve: a probe along the way
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from k2repro.engine import NUMERICS as ENGINE
from k2repro.errors import K2ReproError
from k2repro.evaluate import POOLS
from k2repro.evaluate.pool import Scores
from k2repro.lab import pools, sft
from k2repro.lab.campaign import Watch, carry_out
from k2repro.lab.made import Made, Making, declared
from k2repro.lab.progress import JobProgress, live
from k2repro.lab.rl_probe import ProbePoint, look, read_points, write_points
from k2repro.lab.rl_runs import LATER_RUN, SHARPENED, RlRun, all_runs, plan, run_named
from k2repro.lab.rl_training import MICRO_BATCH_MULTIPLE, train_run
from k2repro.lab.scale import Scale
from k2repro.mini import GRADER, TEXTS
from k2repro.mini.benchmarks import MAX_NEW_TOKENS, benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint, load_snapshot, save_checkpoint, save_snapshot
from k2repro.results import ArtifactStore
from k2repro.results.atomic import canonical_json, write_text
from k2repro.results.provenance import made_on
from k2repro.rlvr import NUMERICS as RLVR
from k2repro.rlvr.records import StepProgress, StepRecord
from k2repro.training import NUMERICS as TRAINING

AT_SWITCH, SHARP_START, SHARP_END = "@switch", "@start-sharp", "@sharp"
WEIGHTS, STEPS, RECORDS = "weights", "steps", "records.jsonl"
# The run whose weights ship, of the first seed: notebooks 04 and 05 start from it.
SHIPPED = "steady-from-sft"


# ---- things to be made ----------------------------------------------------------------------------


def tiers_of(model: str) -> tuple[str, ...]:
    """Benchmarks that a run, or other weights of it, is judged on: its training's, each once."""
    return tuple(dict.fromkeys(run_named(run_of(model)).tiers))


def run_of(model: str) -> str:
    """The name of the run of "<run>", "<run>@switch", "<run>@sharp" or "<run>@start-sharp"."""
    return model.partition("@")[0]


def training(name: str, seed: int, scale: Scale) -> Made:
    """A whole run: its last weights, its records, and the models at the points of its curve."""
    run = run_named(name)
    params = {
        "run": declared(run, later=LATER_RUN),
        "steps": scale.rl_steps,
        "prompts": scale.prompts,
        "group": scale.group,
        "points": scale.points,
        "micro_batch_multiple": MICRO_BATCH_MULTIPLE,
    }
    return Made(
        "rl-training",
        name,
        seed,
        partial(_train, run, seed, scale),
        params,
        (RLVR, TRAINING, ENGINE, TEXTS, GRADER),
        {"start": sft.weights(run.start, seed, scale)},
    )


def weights(name: str, seed: int, scale: Scale) -> Made:
    """The checkpoint at the end of a run."""
    needs = {"training": training(name, seed, scale)}
    shipped = name == SHIPPED and seed == scale.steady_first
    return Made("weights", name, seed, _take_weights, needs=needs, ships=shipped)


def weights_at_switch(name: str, seed: int, scale: Scale) -> Made:
    """The checkpoint where the last response budget of a run begins."""
    step = plan(run_named(name), scale).switch
    if step is None:
        raise K2ReproError(f"{name!r}: the run has one response budget throughout, so there is no switch")
    needs = {"training": training(name, seed, scale)}
    return Made(
        "weights", f"{name}{AT_SWITCH}", seed, partial(_take_snapshot, step), {"step": step}, needs=needs
    )


def records(name: str, seed: int, scale: Scale) -> Made:
    """The record of every step."""
    return Made(
        "rl-records", name, seed, _take_records, needs={"training": training(name, seed, scale)}, ships=True
    )


def curve(name: str, seed: int, scale: Scale) -> Made:
    """The probe along a run."""
    return Made(
        "rl-curve",
        name,
        seed,
        partial(_probe, tiers_of(name), scale.rl_probe),
        {"probe": scale.rl_probe, "max_new_tokens": MAX_NEW_TOKENS},
        (ENGINE, POOLS, TEXTS, GRADER),
        {"training": training(name, seed, scale)},
        ships=True,
    )


def scores(model: str, seed: int, scale: Scale) -> Made:
    """Scores of a model on the test problems of its family. model: a run, or a run with "@..." (`run_of`)."""
    name = run_of(model)
    if model.endswith(SHARP_START):
        judged = sft.weights(run_named(name).start, seed, scale)
    elif model.endswith(AT_SWITCH):
        judged = weights_at_switch(name, seed, scale)
    else:
        judged = weights(name, seed, scale)
    return pools.scores(
        pools.pool(
            judged,
            tiers_of(model),
            problems=scale.problems,
            samples=scale.samples,
            sharp=model.endswith((SHARP_START, SHARP_END)),
            name=model,
        )
    )


def models_of(name: str, scale: Scale) -> list[str]:
    """Which weights of a run are scored, and how."""
    switched = plan(run_named(name), scale).switch is not None
    sharpened = [f"{name}{SHARP_START}", f"{name}{SHARP_END}"] if name in SHARPENED else []
    return [name, *([f"{name}{AT_SWITCH}"] if switched else []), *sharpened]


def starts_of(scale: Scale) -> list[tuple[str, int]]:
    """(start, seed) of every run, and the SFT model beside runs from base: they are compared with it."""
    runs = all_runs(scale)
    found = [(run_named(name).start, seed) for name, seed in runs]
    return list(dict.fromkeys([*found, *(("sft", seed) for _, seed in runs)]))


def everything(scale: Scale) -> list[Made]:
    """All that notebook 03 reads."""
    runs = all_runs(scale)
    return [
        *(scores(model, seed, scale) for name, seed in runs for model in models_of(name, scale)),
        *(thing(name, seed, scale) for name, seed in runs for thing in (records, curve)),
        *(sft.scores(start, seed, scale) for start, seed in starts_of(scale)),
        weights(SHIPPED, scale.steady_first, scale),
    ]


# ---- making ---------------------------------------------------------------------------------------


def _train(run: RlRun, seed: int, scale: Scale, making: Making) -> None:
    model = load_checkpoint(making.needs["start"])
    steps = train_run(
        run,
        model,
        seed,
        scale,
        making.work,
        progress=lambda now: making.report(_report(now)),
        keep=lambda step, now: save_snapshot(now, making.work / STEPS / f"{step:06d}"),
    )
    save_checkpoint(model, making.folder / WEIGHTS)
    lines = (canonical_json(record.as_dict()) + "\n" for record in steps)
    write_text(making.folder / RECORDS, "".join(lines))
    shutil.copytree(making.work / STEPS, making.folder / STEPS)


def _report(now: StepProgress) -> JobProgress:
    done = now.record.step + 1
    return JobProgress(
        done / now.steps, f"step {done}/{now.steps}, reward {now.record.reward:.2f}", now.seconds_left
    )


def _take_weights(making: Making) -> None:
    shutil.copytree(making.needs["training"] / WEIGHTS, making.folder, dirs_exist_ok=True)


def _take_snapshot(step: int, making: Making) -> None:
    """A snapshot as a checkpoint, rounded as every checkpoint is."""
    save_checkpoint(load_snapshot(making.needs["training"] / STEPS / f"{step:06d}"), making.folder)


def _take_records(making: Making) -> None:
    shutil.copyfile(making.needs["training"] / RECORDS, making.folder / RECORDS)


def _probe(tiers: tuple[str, ...], probe: int, making: Making) -> None:
    problems = [each for tier in tiers for each in benchmark_problems(tier, "validation", probe)]
    folders = sorted((making.needs["training"] / STEPS).iterdir())
    points = []
    for at, folder in enumerate(folders):
        making.report(JobProgress(at / len(folders), f"point {at + 1} of {len(folders)}"))
        point = look(load_snapshot(folder), problems, int(folder.name), max_new_tokens=MAX_NEW_TOKENS)
        points.append(point)
    write_points(making.folder, points)


# ---- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Log:
    """What a run left behind besides weights: a record of every step, the probe along the way."""

    run: RlRun
    seed: int
    records: tuple[StepRecord, ...]
    points: tuple[ProbePoint, ...]


@dataclass(frozen=True)
class RlResults:
    """What was made.

    logs     of every run, by seed
    scores   by model and seed: of the runs, of "<run>@switch" where the budget changed, of "base" and "sft",
             and of end and start at a lower temperature, "<run>@sharp" and "<run>@start-sharp"
    tuned    folder of the weights that ship
    machine  that made them, see `made_on`
    """

    logs: Mapping[str, Mapping[int, Log]]
    scores: Mapping[str, Mapping[int, Scores]]
    tuned: Path
    machine: Mapping[str, str] = field(default_factory=dict)

    def compared(self, model: str, name: str) -> dict[int, Scores]:
        """Scores of `model` cut down to the seeds and tiers of the run `name`, to be compared with it."""
        tiers = tiers_of(name)
        samples = len(next(iter(self.scores[name].values())).attempts[0].generations)
        return {seed: self.scores[model][seed].part(tiers, samples) for seed in self.scores[name]}


def carry_out_rl(
    scale: Scale, store: ArtifactStore, *, workers: int = 2, progress: Watch = live
) -> RlResults:
    """Make what is missing, mark what ships, and read it. Raises whatever stops a job."""
    folders = carry_out(everything(scale), store, workers=workers, progress=progress)
    logs: dict[str, dict[int, Log]] = {}
    found: dict[str, dict[int, Scores]] = {}
    for name, seed in all_runs(scale):
        lines = (folders[records(name, seed, scale).key] / RECORDS).read_text(encoding="utf-8").splitlines()
        points = read_points(folders[curve(name, seed, scale).key])
        steps = tuple(StepRecord.from_dict(json.loads(line)) for line in lines)
        logs.setdefault(name, {})[seed] = Log(run_named(name), seed, steps, tuple(points))
        for model in models_of(name, scale):
            folder = folders[scores(model, seed, scale).key]
            found.setdefault(model, {})[seed] = pools.read_scores(folder)
    for start, seed in starts_of(scale):
        folder = folders[sft.scores(start, seed, scale).key]
        found.setdefault(start, {})[seed] = pools.read_scores(folder)
    return RlResults(
        logs, found, folders[weights(SHIPPED, scale.steady_first, scale).key], made_on(folders.values())
    )
