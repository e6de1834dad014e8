"""All runs of notebook 03 and what they are compared with: what is missing is made, two jobs side by side.

    base -> sft -> from-sft -> scores of from-sft
                -> short-budget -> scores of short-budget, and at its switch
         -> from-base -> scores of from-base          ... and so on for every arm and seed

Independent runs use a core each. A stopped campaign goes on where it was: finished artifacts are found, and
an unfinished run resumes from its last state.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.evaluate.pool import Pool
from k2repro.results import ArtifactStore, Recipe
from k2repro.results.store import ship
from k2repro.rlvr import builds
from k2repro.rlvr.arms import MEASURED, SHARPENED, SHOWN
from k2repro.rlvr.builds import AT_SWITCH, SHARP_END, SHARP_START, Log, Sizes
from k2repro.rlvr.records import Progress
from k2repro.rlvr.runs import plan
from k2repro.sft import builds as sft
from k2repro.sft.progress import FINISHED, SampledSoFar, Told, live
from k2repro.training.jobs import Job, report, run_jobs

Wanted = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Campaign:
    """What was made.

    logs     of every arm, by seed
    scores   by model and seed: of the arms, of "<arm>@switch" where the budget changed, of "base" and "sft",
             and of end and start at a lower temperature, "<arm>@sharp" and "<arm>@start-sharp"
    """

    logs: Mapping[str, Mapping[int, Log]]
    scores: Mapping[str, Mapping[int, Pool]]

    def compared(self, model: str, name: str) -> dict[int, Pool]:
        """Scores of `model` cut down to the seeds and tiers of the arm `name`, to be compared with it."""
        tiers = builds.tiers_of(name)
        samples = len(next(iter(self.scores[name].values())).attempts[0].generations)
        return {seed: builds.part(self.scores[model][seed], tiers, samples) for seed in self.scores[name]}


def all_runs(seeds: int, shown_seeds: int) -> list[tuple[str, int]]:
    """(arm, seed) of every run: `seeds` of each of MEASURED, `shown_seeds` of each of SHOWN."""
    if not 1 <= shown_seeds <= seeds:
        raise K2ReproError(f"shown_seeds = {shown_seeds}: must be at least 1 and at most seeds = {seeds}")
    counts = {**dict.fromkeys(MEASURED, seeds), **dict.fromkeys(SHOWN, shown_seeds)}
    return [(name, seed) for name, count in counts.items() for seed in range(count)]


def carry_out_all(
    wanted: Wanted,
    sizes: Sizes,
    store: ArtifactStore,
    *,
    workers: int = 2,
    progress: Callable[[Sequence[str]], Any] = live,
) -> Campaign:
    """Make what is missing, mark what ships, and read it.

    progress: context manager over the jobs' names that gives a listener; the default shows one line.
    Raises whatever stops a job; what is finished by then stays.
    """
    jobs = jobs_for(wanted, sizes, store)
    if jobs:
        with progress([job.name for job in jobs]) as listen:
            run_jobs(jobs, workers=workers, listen=listen)
    for recipe in shipped(wanted, sizes):
        ship(recipe)
    return _read(wanted, sizes, store)


def models_of(name: str, sizes: Sizes) -> list[str]:
    """Which weights of an arm are scored, and how."""
    switched = plan(builds.arm_named(name), sizes.run).switch is not None
    sharpened = [f"{name}{SHARP_START}", f"{name}{SHARP_END}"] if name in SHARPENED else []
    return [name, *([f"{name}{AT_SWITCH}"] if switched else []), *sharpened]


def starts_of(wanted: Wanted) -> list[tuple[str, int]]:
    """(start, seed) of every run, and the SFT model beside runs from base: they are compared with it."""
    found = [(builds.arm_named(name).start, seed) for name, seed in wanted]
    return list(dict.fromkeys([*found, *(("sft", seed) for _, seed in wanted)]))


def shipped(wanted: Wanted, sizes: Sizes) -> list[Recipe]:
    """Logs and scores of every run and start; weights of one run, which other pillars start from."""
    small = [builds.log_recipe(name, seed, sizes) for name, seed in wanted]
    small += [
        builds.scores_recipe(model, seed, sizes) for name, seed in wanted for model in models_of(name, sizes)
    ]
    small += [sft.scores_recipe(start, seed, sizes.sft) for start, seed in starts_of(wanted)]
    first = _first(wanted)
    return [*small, *([builds.run_recipe(*first, sizes)] if first else [])]


# ---- jobs -----------------------------------------------------------------------------------------


def jobs_for(wanted: Wanted, sizes: Sizes, store: ArtifactStore) -> list[Job]:
    """The jobs that are needed: checkpoints of the SFT pillar, runs, scores."""
    scored = [
        (model, name, seed)
        for name, seed in wanted
        for model in models_of(name, sizes)
        if store.find(builds.scores_recipe(model, seed, sizes)) is None
    ]
    runs = [
        (name, seed)
        for name, seed in wanted
        if any((name, seed) == each[1:] for each in scored) or _lacks(name, seed, wanted, sizes, store)
    ]
    compared = [
        (start, seed)
        for start, seed in starts_of(wanted)
        if store.find(sft.scores_recipe(start, seed, sizes.sft)) is None
    ]
    untrained = [
        (builds.arm_named(name).start, seed)
        for name, seed in runs
        if store.find(builds.run_recipe(name, seed, sizes)) is None
    ]
    jobs = _train_jobs([*untrained, *compared], sizes, store)
    known = {job.name for job in jobs}
    for name, seed in runs:
        title, start = _title(name, seed), _title(builds.arm_named(name).start, seed)
        jobs.append(Job(title, _run, (title, name, seed, sizes, store), _those((start,), known)))
    known |= {_title(name, seed) for name, seed in runs}
    for model, name, seed in scored:
        title = f"scores of {_title(model, seed)}"
        after = _those((_title(name, seed),), known)
        jobs.append(Job(title, _score, (title, model, seed, sizes, store), after))
    for start, seed in compared:
        title = f"scores of {_title(start, seed)}"
        after = _those((_title(start, seed),), known)
        jobs.append(Job(title, _score_start, (title, start, seed, sizes, store), after))
    return jobs


def _lacks(name: str, seed: int, wanted: Wanted, sizes: Sizes, store: ArtifactStore) -> bool:
    """Whether the log of a run is missing, or its weights where they ship."""
    recipes = [builds.log_recipe(name, seed, sizes)]
    if (name, seed) == _first(wanted):
        recipes.append(builds.run_recipe(name, seed, sizes))
    return any(store.find(recipe) is None for recipe in recipes)


def _train_jobs(starts: Sequence[tuple[str, int]], sizes: Sizes, store: ArtifactStore) -> list[Job]:
    """Jobs for checkpoints of the SFT pillar that do not stand yet, each base before what comes from it."""
    missing = [
        (start, seed)
        for start, seed in dict.fromkeys(starts)
        if store.find(sft.checkpoint_recipe(start, seed, sizes.sft)) is None
    ]
    bases = [
        ("base", seed)
        for seed in dict.fromkeys(seed for _, seed in missing)
        if store.find(sft.checkpoint_recipe("base", seed, sizes.sft)) is None
    ]
    titles = {_title(*base) for base in bases}
    jobs = [Job(_title(*base), _train, (_title(*base), *base, sizes, store)) for base in bases]
    for start, seed in missing:
        if start != "base":
            title = _title(start, seed)
            after = _those((_title("base", seed),), titles)
            jobs.append(Job(title, _train, (title, start, seed, sizes, store), after))
    return jobs


def _those(names: tuple[str, ...], known: set[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name in known)


def _first(wanted: Wanted) -> tuple[str, int] | None:
    """The run whose weights ship."""
    return next((pair for pair in wanted if pair[0] == "from-sft"), None)


def _title(name: str, seed: int) -> str:
    return f"{name} {seed}"


def _train(title: str, name: str, seed: int, sizes: Sizes, store: ArtifactStore) -> None:
    sft.checkpoint(name, seed, sizes.sft, store, tell=lambda message: report(title, message))
    report(title, FINISHED)


def _run(title: str, name: str, seed: int, sizes: Sizes, store: ArtifactStore) -> None:
    def tell(progress: Progress) -> None:
        record = progress.record
        words = f"step {record.step + 1}/{progress.steps}, reward {record.reward:.2f}"
        report(title, Told((record.step + 1) / progress.steps, words, progress.seconds_left))

    builds.checkpoint(name, seed, sizes, store, tell)
    builds.log(name, seed, sizes, store)
    report(title, FINISHED)


def _score(title: str, model: str, seed: int, sizes: Sizes, store: ArtifactStore) -> None:
    builds.scores(model, seed, sizes, store, _counting(title))
    report(title, FINISHED)


def _score_start(title: str, start: str, seed: int, sizes: Sizes, store: ArtifactStore) -> None:
    sft.scores(start, seed, sizes.sft, store, _counting(title))
    report(title, FINISHED)


def _counting(title: str) -> Callable[[int, int], None]:
    return lambda done, total: report(title, SampledSoFar(done, total))


def _read(wanted: Wanted, sizes: Sizes, store: ArtifactStore) -> Campaign:
    logs: dict[str, dict[int, Log]] = {}
    scores: dict[str, dict[int, Pool]] = {}
    for name, seed in wanted:
        logs.setdefault(name, {})[seed] = builds.log(name, seed, sizes, store)
        for model in models_of(name, sizes):
            scores.setdefault(model, {})[seed] = builds.scores(model, seed, sizes, store)
    for start, seed in starts_of(wanted):
        scores.setdefault(start, {})[seed] = sft.scores(start, seed, sizes.sft, store)
    return Campaign(logs, scores)
