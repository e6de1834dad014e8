"""The artifacts of the SFT pillar: checkpoints, pools, and the small ones that ship for every seed.

    checkpoint   weights, tokenizer, history, curve       of "base", "sft" and "direct"
    record       history and curve alone
    pool         what a checkpoint answers to the test problems
    scores       the pool without its texts

An artifact is addressed by everything that made it, so asking twice trains once. Each function can run in
a process of its own (`chains` runs all of them); a killed one resumes from its last saved state to the
same bytes.
"""

import shutil
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from k2repro.errors import unknown
from k2repro.evaluate.pool import Pool
from k2repro.evaluate.pool_file import load_pool, save_pool
from k2repro.results import ArtifactStore, Places, Recipe
from k2repro.results.hashing import code_hash
from k2repro.sft.generate import (
    BENCHMARKS,
    MAX_NEW_TOKENS,
    TEMPERATURE,
    Sampled,
    benchmark_problems,
    two_depths,
)
from k2repro.sft.recipe import BASE, DIRECT, MODEL, SFT
from k2repro.sft.runs import CURVE, HISTORY, Tell, train_run
from k2repro.sft.scores import score
from k2repro.sft.sizes import Sizes
from k2repro.sft.stages import Stage, load_checkpoint, new_model

POOL_FILE = "pool.jsonl.gz"
NAMES = ("base", "sft", "direct")


def stages_of(name: str, sizes: Sizes) -> list[Stage]:
    """The stages of a checkpoint, shortened as the sizes say. Raises K2ReproError for an unknown name."""
    stages = {"base": BASE, "sft": SFT, "direct": DIRECT}
    if name not in stages:
        raise unknown("checkpoint of the SFT pillar", name, NAMES)
    return [stage.shortened(sizes.steps) for stage in stages[name]]


# ---- what makes an artifact -----------------------------------------------------------------------


def checkpoint_recipe(name: str, seed: int, sizes: Sizes) -> Recipe:
    """What makes the checkpoint "base", "sft" or "direct" of a seed."""
    params = {
        "name": name,
        "seed": seed,
        "model": asdict(MODEL),
        "stages": [asdict(stage) for stage in stages_of(name, sizes)],
        "probe": _probe(name, sizes),
    }
    parents = {} if name == "base" else {"base": checkpoint_recipe("base", seed, sizes).key}
    return Recipe("checkpoint", params, _code("runs.py"), "", parents)


def record_recipe(name: str, seed: int, sizes: Sizes) -> Recipe:
    """What makes the record of a checkpoint: a part of it."""
    parents = {"checkpoint": checkpoint_recipe(name, seed, sizes).key}
    return Recipe("record", {}, "", "", parents)


def pool_recipe(name: str, seed: int, sizes: Sizes) -> Recipe:
    """What makes the pool of a checkpoint on the test problems."""
    params = {
        "seed": seed,
        "max_new_tokens": MAX_NEW_TOKENS,
        "temperature": TEMPERATURE,
        **_depths(name, sizes),
    }
    parents = {"model": checkpoint_recipe(name, seed, sizes).key}
    return Recipe("pool", params, _code("generate.py"), "", parents)


def scores_recipe(name: str, seed: int, sizes: Sizes) -> Recipe:
    """What makes the scores of a pool."""
    return Recipe("scores", {}, _code("scores.py"), "", {"pool": pool_recipe(name, seed, sizes).key})


# ---- building and finding -------------------------------------------------------------------------


def checkpoint(name: str, seed: int, sizes: Sizes, store: ArtifactStore, tell: Tell | None = None) -> Path:
    """The folder of a checkpoint (see `runs`); trained now if it does not stand yet, its base included."""
    recipe = checkpoint_recipe(name, seed, sizes)
    found = store.find(recipe)
    if found is not None:
        return found
    stages = stages_of(name, sizes)
    if name == "base":
        model = new_model(MODEL, seed, stages[0].layers)
    else:
        model = load_checkpoint(checkpoint("base", seed, sizes, store, tell))
    work = store.work_folder(recipe)

    def make(folder: Path) -> None:
        train_run(model, stages, seed, _probe(name, sizes), folder, work, tell)

    made = store.build(recipe, make)
    store.forget_work(recipe)
    return made


def record(name: str, seed: int, sizes: Sizes, store: ArtifactStore) -> Path:
    """The folder with the history of a checkpoint's training and, where there is one, its curve."""

    def make(folder: Path) -> None:
        whole = checkpoint(name, seed, sizes, store)
        for file in (HISTORY, CURVE):
            if (whole / file).is_file():
                shutil.copyfile(whole / file, folder / file)

    return store.build(record_recipe(name, seed, sizes), make)


def pool(name: str, seed: int, sizes: Sizes, store: ArtifactStore, sampled: Sampled | None = None) -> Pool:
    """All generations of a checkpoint on the test problems, made now if they do not stand yet."""

    def make(folder: Path) -> None:
        model = load_checkpoint(checkpoint(name, seed, sizes, store))
        about = {"model": name, "seed": seed, "split": "test", "temperature": TEMPERATURE}
        made = two_depths(model, seed, about=about, sampled=sampled, **_depths(name, sizes))
        save_pool(made, folder / POOL_FILE)

    return load_pool(store.build(pool_recipe(name, seed, sizes), make) / POOL_FILE)


def scores(name: str, seed: int, sizes: Sizes, store: ArtifactStore, sampled: Sampled | None = None) -> Pool:
    """A pool in which each text is the kind of its first mistake; the pool is made now if it has to be."""

    def make(folder: Path) -> None:
        problems = [
            problem for tier in BENCHMARKS for problem in benchmark_problems(tier, "test", sizes.problems)
        ]
        save_pool(score(pool(name, seed, sizes, store, sampled), problems), folder / POOL_FILE)

    return load_pool(store.build(scores_recipe(name, seed, sizes), make) / POOL_FILE)


def _depths(name: str, sizes: Sizes) -> dict[str, Any]:
    """Direct answers are not drawn deeply: their pass@k is not asked for."""
    return {
        "problems": sizes.problems,
        "samples": sizes.samples,
        "deep": sizes.deep,
        "deep_samples": sizes.samples if name == "direct" else sizes.deep_samples,
    }


def _probe(name: str, sizes: Sizes) -> int:
    return 0 if name == "base" else sizes.probe


@cache
def _code(file: str) -> str:
    """Hash of the code behind a file of this room; parsing dozens of files takes half a second."""
    return code_hash(Path(__file__).with_name(file), Places.find().package)
