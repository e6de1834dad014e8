"""Everything that a notebook reads: what is missing is made, jobs side by side, each in one process.

A stopped campaign goes on where it was: finished artifacts are found, and an unfinished training or pool
resumes from what it last saved.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.lab.jobs import Job, report, run_jobs
from k2repro.lab.made import Made, make_now, missing
from k2repro.lab.progress import FINISHED, live
from k2repro.results import ArtifactStore
from k2repro.results.store import ship

REPORT_SECONDS = 0.5
Watch = Callable[[Sequence[str]], AbstractContextManager[Callable[[str, object], None]]]


def carry_out(
    wanted: Sequence[Made], store: ArtifactStore, *, workers: int = 2, progress: Watch = live
) -> Mapping[str, Path]:
    """Make what is missing and mark what ships; the folder of each wanted thing by its key.

    progress: context manager over the jobs' names that gives a listener; the default shows one line.
    Raises whatever stops a job; what is finished by then stays.
    """
    jobs = jobs_for(wanted, store)
    if jobs:
        with progress([job.name for job in jobs]) as listen:
            run_jobs(jobs, workers=workers, listen=listen)
    for made in wanted:
        if made.ships:
            ship(made.recipe)
    return {made.key: _standing(made, store) for made in wanted}


def jobs_for(wanted: Sequence[Made], store: ArtifactStore) -> list[Job]:
    """A job for each missing thing, those behind which the longest chain waits in front."""
    todo = missing(wanted, store)
    todo_keys = {made.key for made in todo}
    waiting: dict[str, int] = dict.fromkeys(todo_keys, 0)
    for made in reversed(todo):
        for needed in made.needs.values():
            if needed.key in todo_keys:
                waiting[needed.key] = max(waiting[needed.key], waiting[made.key] + 1)
    first = sorted(todo, key=lambda made: -waiting[made.key])
    return [
        Job(
            made.title,
            _make,
            (made, store),
            tuple(needed.title for needed in made.needs.values() if needed.key in todo_keys),
        )
        for made in first
    ]


def _standing(made: Made, store: ArtifactStore) -> Path:
    folder = store.find(made.recipe)
    if folder is None:
        raise K2ReproError(f"{made.title} was made and is gone. Usual cause: two runs that clean one cache")
    return folder


def _make(made: Made, store: ArtifactStore) -> None:
    last = 0.0

    def now_and_then(message: object) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_SECONDS:
            last = time.monotonic()
            report(made.title, message)

    make_now(made, store, now_and_then)
    report(made.title, FINISHED)
