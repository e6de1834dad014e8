"""Everything that notebook 02 reads, for all seeds: what is missing is made, two jobs side by side.

    base -> sft -> scores of sft
         -> direct -> scores of direct
         -> scores of base

Chains of different seeds are independent. A stopped run goes on where it was: finished artifacts are found,
and an unfinished training resumes from its last state.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.evaluate.pool import Pool
from k2repro.results import ArtifactStore, Recipe
from k2repro.results.store import ship
from k2repro.sft import builds
from k2repro.sft.progress import FINISHED, SampledSoFar, live
from k2repro.sft.runs import Point, Probed, read_curve, read_history
from k2repro.sft.sizes import Sizes
from k2repro.training.jobs import Job, report, run_jobs
from k2repro.training.loop import Progress

REPORT_SECONDS = 0.5
History = Mapping[str, Mapping[str, list[float]]]


@dataclass(frozen=True)
class Chains:
    """What was made, by name of the checkpoint ("base", "sft", "direct") and seed.

    scores      pools without texts, see `scores`
    histories   loss and tokens of every step, by stage
    curves      points of the training curve; none for "base"
    checkpoints folders of "base" and "sft" of the first seed
    """

    seeds: tuple[int, ...]
    scores: Mapping[str, Mapping[int, Pool]]
    histories: Mapping[str, Mapping[int, History]]
    curves: Mapping[str, Mapping[int, Sequence[Point]]]
    checkpoints: Mapping[str, Path]


def build_chains(
    seeds: Sequence[int],
    sizes: Sizes,
    store: ArtifactStore,
    *,
    workers: int = 2,
    progress: Callable[[Sequence[str]], Any] = live,
) -> Chains:
    """Make what is missing, mark what ships, and read it.

    progress: context manager over the jobs' names that gives a listener; the default shows one line.
    Raises K2ReproError for no seed or one that is listed twice, and whatever stops a job.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise K2ReproError(f"seeds = {list(seeds)}: must be at least one, each once")
    jobs = jobs_for(seeds, sizes, store)
    if jobs:
        with progress([job.name for job in jobs]) as listen:
            run_jobs(jobs, workers=workers, listen=listen)
    for recipe in shipped(seeds, sizes):
        ship(recipe)
    return _read(seeds, sizes, store)


def shipped(seeds: Sequence[int], sizes: Sizes) -> list[Recipe]:
    """Scores and records of every seed; weights of one, so that a reader can ask the models."""
    small = [
        make(name, seed, sizes)
        for make in (builds.scores_recipe, builds.record_recipe)
        for name in builds.NAMES
        for seed in seeds
    ]
    return [*small, *(builds.checkpoint_recipe(name, seeds[0], sizes) for name in ("base", "sft"))]


def jobs_for(seeds: Sequence[int], sizes: Sizes, store: ArtifactStore) -> list[Job]:
    """The jobs that are needed, those of the longest chains first."""
    trained, scored = [], []
    for name in builds.NAMES:
        for seed in seeds:
            score = store.find(builds.scores_recipe(name, seed, sizes)) is None
            keep = store.find(builds.record_recipe(name, seed, sizes)) is None
            weights = builds.checkpoint_recipe(name, seed, sizes)
            wanted = score or keep or (seed == seeds[0] and name in ("base", "sft"))
            if wanted and store.find(weights) is None:
                trained.append((name, seed))
            if score or keep:
                scored.append((name, seed))
    # What is trained needs its base, even where the base's own scores stand already.
    for base in dict.fromkeys(("base", seed) for _, seed in trained):
        if base not in trained and store.find(builds.checkpoint_recipe(*base, sizes)) is None:
            trained.append(base)
    trained.sort(key=lambda pair: builds.NAMES.index(pair[0]))
    return _as_jobs(trained, scored, sizes, store)


def _as_jobs(
    trained: Sequence[tuple[str, int]], scored: Sequence[tuple[str, int]], sizes: Sizes, store: ArtifactStore
) -> list[Job]:
    jobs = []
    for name, seed in trained:
        after = _title("base", seed)
        waits = (after,) if name != "base" and ("base", seed) in trained else ()
        jobs.append(Job(_title(name, seed), _train, (_title(name, seed), name, seed, sizes, store), waits))
    for name, seed in sorted(scored, key=lambda pair: pair[0] != "sft"):
        title = f"scores of {_title(name, seed)}"
        waits = (_title(name, seed),) if (name, seed) in trained else ()
        jobs.append(Job(title, _score, (title, name, seed, sizes, store), waits))
    return jobs


def _title(name: str, seed: int) -> str:
    return f"{name} {seed}"


def _train(title: str, name: str, seed: int, sizes: Sizes, store: ArtifactStore) -> None:
    builds.checkpoint(name, seed, sizes, store, tell=_Often(title))
    report(title, FINISHED)


def _score(title: str, name: str, seed: int, sizes: Sizes, store: ArtifactStore) -> None:
    often = _Often(title)
    builds.scores(name, seed, sizes, store, sampled=lambda done, total: often(SampledSoFar(done, total)))
    builds.record(name, seed, sizes, store)
    report(title, FINISHED)


class _Often:
    """Reports what a job tells, at most every REPORT_SECONDS; a probe's result always."""

    def __init__(self, title: str) -> None:
        self.title, self.last = title, 0.0

    def __call__(self, message: Progress | Probed | SampledSoFar) -> None:
        now = time.monotonic()
        if isinstance(message, Probed) or now - self.last >= REPORT_SECONDS:
            report(self.title, message)
            self.last = now


def _read(seeds: Sequence[int], sizes: Sizes, store: ArtifactStore) -> Chains:
    records = {
        name: {seed: builds.record(name, seed, sizes, store) for seed in seeds} for name in builds.NAMES
    }
    return Chains(
        seeds=tuple(seeds),
        scores={
            name: {seed: builds.scores(name, seed, sizes, store) for seed in seeds} for name in builds.NAMES
        },
        histories={
            name: {seed: read_history(folder) for seed, folder in folders.items()}
            for name, folders in records.items()
        },
        curves={
            name: {seed: read_curve(folder) for seed, folder in folders.items()}
            for name, folders in records.items()
            if name != "base"
        },
        checkpoints={name: builds.checkpoint(name, seeds[0], sizes, store) for name in ("base", "sft")},
    )
