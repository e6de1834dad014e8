"""Checkpoints and pools of the SFT pillar as artifacts: base, SFT, the direct contrast, and what they generate.

An artifact is addressed by everything that made it, so asking twice trains once. Each builder can run in
a process of its own; a killed one resumes from its last saved state to the same bytes.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from k2repro.architecture import Qwen2
from k2repro.engine import Sampler
from k2repro.evaluate.pool import Pool, generate_pool, load_pool, save_pool
from k2repro.mini import programs, tokenizer, variables
from k2repro.mini.grading import grade
from k2repro.mini.problem import Problem
from k2repro.results import ArtifactStore, Places, Recipe
from k2repro.results.atomic import canonical_json, write_text
from k2repro.results.hashing import code_hash
from k2repro.sft.recipe import BASE, DIRECT, MODEL, SFT
from k2repro.sft.stages import (
    Stage,
    Tell,
    history_values,
    load_checkpoint,
    new_model,
    run_stages,
    save_checkpoint,
)

BENCHMARKS = (*variables.TIERS, programs.TIER)
# Longest response that is sampled, in tokens: above every reference trace of every tier.
MAX_NEW_TOKENS = 288
CURVE_POINTS = (0.0, 0.03, 0.06, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)


@dataclass(frozen=True)
class Sizes:
    """What a profile sets: how long to train, how many problems to ask.

    steps     share of the recipe's steps
    problems  of each tier in a pool, and samples of each
    deep      problems of each tier that get `deep_samples` instead, for pass@k
    probe     problems of each tier behind every point of the training curve
    """

    steps: float = 1.0
    problems: int = 500
    samples: int = 2
    deep: int = 100
    deep_samples: int = 16
    probe: int = 100


def checkpoint_recipe(name: str, seed: int, sizes: Sizes) -> Recipe:
    """What makes the checkpoint "base", "sft" or "direct" of a seed."""
    stages = {"base": BASE, "sft": SFT, "direct": DIRECT}[name]
    parents = {} if name == "base" else {"base": checkpoint_recipe("base", seed, sizes).key}
    params = {
        "name": name, "seed": seed, "model": asdict(MODEL), "share": sizes.steps,
        "stages": [asdict(stage) for stage in stages],
        "probe": 0 if name == "base" else sizes.probe,
    }
    return Recipe("checkpoint", params, _code("stages.py"), "", parents)


def pool_recipe(name: str, seed: int, sizes: Sizes) -> Recipe:
    """What makes the pool of a checkpoint on the test problems."""
    params = {
        "seed": seed, "problems": sizes.problems, "samples": sizes.samples, "deep": sizes.deep,
        "deep_samples": sizes.deep_samples, "max_new_tokens": MAX_NEW_TOKENS, "temperature": 1.0,
    }
    parents = {"model": checkpoint_recipe(name, seed, sizes).key}
    return Recipe("pool", {"name": name, **params}, _code("builds.py"), "", parents)


def checkpoint(name: str, seed: int, sizes: Sizes, store: ArtifactStore, tell: Tell | None = None) -> Path:
    """The folder of a checkpoint; trained now if it does not stand yet, its base included.

    Beside the weights: `history.json` (loss and tokens of every step) and, for "sft" and "direct",
    `curve.json` (right answers on the probe along the training).
    """
    recipe = checkpoint_recipe(name, seed, sizes)
    found = store.find(recipe)
    if found is not None:
        return found
    stages = [stage.shortened(sizes.steps) for stage in {"base": BASE, "sft": SFT, "direct": DIRECT}[name]]
    if name == "base":
        model = new_model(MODEL, seed, stages[0].layers)
    else:
        model = load_checkpoint(checkpoint("base", seed, sizes, store, tell))
    work = store.work_folder(recipe)

    def make(folder: Path) -> None:
        _train(model, stages, seed, sizes, folder, work, tell, probe=name != "base")

    made = store.build(recipe, make)
    store.forget_work(recipe)
    return made


def pool(name: str, seed: int, sizes: Sizes, store: ArtifactStore, tell: Tell | None = None) -> Pool:
    """All generations of a checkpoint on the test problems, made now if they do not stand yet."""
    recipe = pool_recipe(name, seed, sizes)

    def make(folder: Path) -> None:
        model = load_checkpoint(checkpoint(name, seed, sizes, store, tell))
        about = {"model": name, "seed": seed, "split": "test", "temperature": 1.0}
        save_pool(test_pool(model, seed, sizes, about), folder / "pool.jsonl.gz")

    return load_pool(store.build(recipe, make) / "pool.jsonl.gz")


def test_pool(model: Qwen2, seed: int, sizes: Sizes, about: dict[str, Any]) -> Pool:
    """Two samplings joined: a few problems of each tier deeply, the others with few samples each."""
    few, deep = [], []
    for tier in BENCHMARKS:
        problems = benchmark_problems(tier, "test", sizes.problems)
        deep += problems[: sizes.deep]
        few += problems[sizes.deep:]
    pools = [_generate(model, deep, sizes.deep_samples, seed, about)]
    if few:
        pools.append(_generate(model, few, sizes.samples, seed, about))
    return Pool(tuple(attempt for part in pools for attempt in part.attempts), about)


def benchmark_problems(tier: str, split: str, count: int) -> list[Problem]:
    """The first `count` problems of a benchmark; the same for every model and seed, so models pair up."""
    family = programs if tier == programs.TIER else variables
    return family.problems(tier, split, count)


def _train(
    model: Qwen2, stages: Sequence[Stage], seed: int, sizes: Sizes, folder: Path, work: Path,
    tell: Tell | None, probe: bool,
) -> None:
    last = stages[-1].steps
    points = sorted({round(share * last) for share in CURVE_POINTS}) if probe else []
    problems = [p for tier in BENCHMARKS for p in benchmark_problems(tier, "validation", sizes.probe)]

    def keep(step: int, model: Qwen2) -> None:
        about = {"step": step}
        pool = _generate(model, problems, 1, seed, about)
        right = {tier: sum(a.right for a in pool.tier(tier).attempts) for tier in pool.tiers}
        point = {"step": step, "right": right, "n": sizes.probe}
        write_text(work / "curve" / f"{step:06d}.json", canonical_json(point) + "\n")

    model, histories = run_stages(model, stages, seed, work=work, tell=tell, keep=keep, keep_at=points)
    save_checkpoint(model, folder)
    write_text(folder / "history.json", canonical_json(history_values(histories)) + "\n")
    if probe:
        lines = [(work / "curve" / f"{step:06d}.json").read_text() for step in points]
        write_text(folder / "curve.jsonl", "".join(lines))


def _generate(model: Qwen2, problems: Sequence[Problem], n: int, seed: int, about: dict[str, Any]) -> Pool:
    sampler = partial(
        Sampler(model.eval()).sample, max_new_tokens=MAX_NEW_TOKENS, stop=[tokenizer.turn_end()],
        tokenizer=tokenizer.load(),
    )
    return generate_pool(
        sampler, problems, grade, n=n, seed=seed, about=about,
        prompt=lambda problem: tokenizer.prompt_text(problem.question),
    )


def _code(file: str) -> str:
    return code_hash(Path(__file__).with_name(file), Places.find().package)
