"""Runs, their logs and their scores as artifacts.

    run      the weights after an arm (and, with two budgets, at the switch), its log beside them
    log      records and curve alone: what a notebook draws, small enough to ship
    scores   answers of a run on the test problems, without texts

Asking twice builds once, and a killed run resumes from its last state. A log or scores that ship are found
without the weights behind them. `campaign.py` builds all of them side by side.
"""

import json
import shutil
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

from k2repro.errors import K2ReproError, unknown
from k2repro.evaluate.pool import Pool
from k2repro.evaluate.pool_file import load_pool, save_pool
from k2repro.results import ArtifactStore, Places, Recipe
from k2repro.results.hashing import code_hash
from k2repro.rlvr.arms import ARMS
from k2repro.rlvr.evaluation import evaluate, part, sharpened
from k2repro.rlvr.probe import Point, read_points
from k2repro.rlvr.records import StepRecord
from k2repro.rlvr.runs import CURVE, RECORDS, Arm, RunSizes, carry_out, plan
from k2repro.rlvr.trainer import Tell
from k2repro.sft import builds as sft
from k2repro.sft.generate import MAX_NEW_TOKENS, Sampled
from k2repro.sft.sizes import Sizes as SftSizes
from k2repro.sft.stages import load_checkpoint, save_checkpoint

STARTS = ("base", "sft")
AT_SWITCH, SHARP_START, SHARP_END = "@switch", "@start-sharp", "@sharp"
SWITCH_FOLDER = "switch"
POOL_FILE = "pool.jsonl.gz"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a profile sets: of the SFT pillar, whose checkpoints and problems are used, and of every run."""

    sft: SftSizes = field(default_factory=SftSizes)
    run: RunSizes = field(default_factory=RunSizes)


@dataclass(frozen=True)
class Log:
    """What a run left behind besides weights: a record of every step, the probe along the way."""

    arm: Arm
    seed: int
    records: tuple[StepRecord, ...]
    points: tuple[Point, ...]


# ---- what makes an artifact -----------------------------------------------------------------------


def arm_named(name: str) -> Arm:
    """The arm of that name; K2ReproError if there is none."""
    if name not in ARMS:
        raise unknown("arm", name, ARMS)
    return ARMS[name]


def tiers_of(model: str) -> tuple[str, ...]:
    """Benchmarks that an arm, or other weights of it, is judged on: its training's, each once."""
    return tuple(dict.fromkeys(arm_named(arm_of(model)).tiers))


def arm_of(model: str) -> str:
    """The name of the arm of "<arm>", "<arm>@switch", "<arm>@sharp" or "<arm>@start-sharp"."""
    return model.partition("@")[0]


def run_recipe(name: str, seed: int, sizes: Sizes) -> Recipe:
    """What makes the weights of an arm."""
    arm = arm_named(name)
    params = {"arm": asdict(arm), "seed": seed, "sizes": asdict(sizes.run), "probe_tokens": MAX_NEW_TOKENS}
    parents = {"start": sft.checkpoint_recipe(arm.start, seed, sizes.sft).key}
    return Recipe("rlvr-run", params, _code("runs.py"), "", parents)


def log_recipe(name: str, seed: int, sizes: Sizes) -> Recipe:
    """What makes the log of an arm: a part of the run."""
    return Recipe("rlvr-log", {}, "", "", {"run": run_recipe(name, seed, sizes).key})


def scores_recipe(model: str, seed: int, sizes: Sizes) -> Recipe:
    """What makes the scores of a run. model: an arm's name, or that name with where its weights are from."""
    params = {
        "model": model,
        "tiers": list(tiers_of(model)),
        "problems": sizes.sft.problems,
        "samples": sizes.sft.samples,
        "max_new_tokens": MAX_NEW_TOKENS,
    }
    parents = {"run": run_recipe(arm_of(model), seed, sizes).key}
    return Recipe("rlvr-scores", params, _code("evaluation.py"), "", parents)


# ---- building and finding -------------------------------------------------------------------------


def checkpoint(name: str, seed: int, sizes: Sizes, store: ArtifactStore, tell: Tell | None = None) -> Path:
    """The folder of a run with the weights at its end; carried out now if it does not stand yet.

    Beside them `records.jsonl` and `curve.jsonl`, and `switch/` with the weights where a second budget began.
    """
    recipe, arm = run_recipe(name, seed, sizes), arm_named(name)
    found = store.find(recipe)
    if found is not None:
        return found
    start = sft.checkpoint(arm.start, seed, sizes.sft, store)
    work = store.work_folder(recipe)

    def make(folder: Path) -> None:
        model = load_checkpoint(start)
        carry_out(
            arm,
            model,
            seed,
            sizes.run,
            work,
            max_new_tokens=MAX_NEW_TOKENS,
            tell=tell,
            keep=lambda now: save_checkpoint(now, work / SWITCH_FOLDER),
        )
        save_checkpoint(model, folder)
        _copy_log(work, folder)
        if plan(arm, sizes.run).switch is not None:
            shutil.copytree(work / SWITCH_FOLDER, folder / SWITCH_FOLDER)

    made = store.build(recipe, make)
    store.forget_work(recipe)
    return made


def log(name: str, seed: int, sizes: Sizes, store: ArtifactStore, tell: Tell | None = None) -> Log:
    """Records and curve of a run; it is carried out now if neither they nor it stand yet."""

    def make(folder: Path) -> None:
        _copy_log(checkpoint(name, seed, sizes, store, tell), folder)

    folder = store.build(log_recipe(name, seed, sizes), make)
    lines = (folder / RECORDS).read_text().splitlines()
    records = tuple(StepRecord(**json.loads(line)) for line in lines)
    return Log(arm_named(name), seed, records, tuple(read_points(folder / CURVE)))


def scores(model: str, seed: int, sizes: Sizes, store: ArtifactStore, sampled: Sampled | None = None) -> Pool:
    """Scores of a run on the test problems of its family; made now if they do not stand yet."""

    def make(folder: Path) -> None:
        weights = load_checkpoint(_weights(model, seed, sizes, store))
        if model.endswith((SHARP_START, SHARP_END)):
            weights = sharpened(weights)
        pool = evaluate(weights, seed, tiers_of(model), sizes.sft.problems, sizes.sft.samples, sampled)
        save_pool(pool, folder / POOL_FILE)

    return load_pool(store.build(scores_recipe(model, seed, sizes), make) / POOL_FILE)


def start_scores(start: str, seed: int, tiers: tuple[str, ...], sizes: Sizes, store: ArtifactStore) -> Pool:
    """Scores of a start on the same problems, with as many samples and the same random numbers as a run's."""
    return part(sft.scores(start, seed, sizes.sft, store), tiers, sizes.sft.samples)


def _weights(model: str, seed: int, sizes: Sizes, store: ArtifactStore) -> Path:
    name = arm_of(model)
    if model.endswith(SHARP_START):
        return sft.checkpoint(arm_named(name).start, seed, sizes.sft, store)
    folder = checkpoint(name, seed, sizes, store)
    if not model.endswith(AT_SWITCH):
        return folder
    if not (folder / SWITCH_FOLDER).is_dir():
        raise K2ReproError(f"{model!r}: the run has one response budget throughout, so there is no switch")
    return folder / SWITCH_FOLDER


def _copy_log(source: Path, target: Path) -> None:
    for file in (RECORDS, CURVE):
        shutil.copyfile(source / file, target / file)


@cache  # the code that is loaded does not change while this process runs
def _code(file: str) -> str:
    return code_hash(Path(__file__).with_name(file), Places.find().package)
