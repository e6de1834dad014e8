"""Jobs side by side, each in a process of its own with one thread; a job may wait for others.

A matrix product of a small model gains little from a second thread, while two models train on two cores at
nearly full speed each. One thread for each job also makes a result independent of how many run at once.
"""

import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from multiprocessing.managers import SyncManager
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.processes import environment, thread_variables
from k2repro.results.provenance import WORKERS

MESSAGES_AT_ONCE = 50
_messages: Any = None


@dataclass(frozen=True)
class Job:
    """A module-level function and its arguments; all must survive pickling between our own processes.

    after: names of jobs that have to be finished before this one starts.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    after: tuple[str, ...] = ()


Listen = Callable[[str, Any], None]


def run_jobs(jobs: Sequence[Job], *, workers: int = 2, listen: Listen | None = None) -> list[Any]:
    """Results of `jobs`, in their order, at most `workers` at a time.

    Of the jobs that may start, the one that stands first in `jobs` does: put the longest chains in front.
    listen(job name, message): called in this process for everything that a job passes to `report`. If a job
    raises, jobs that have not started are dropped, running ones finish, and its exception is raised.
    Raises K2ReproError for a name that stands twice, an unknown name in `after`, and jobs in a circle.
    """
    _check_order(jobs)
    context = multiprocessing.get_context("spawn")
    wide = {**thread_variables(1), WORKERS: str(workers)}
    with environment(wide), _served(context) as manager:
        messages = manager.Queue()
        pool = ProcessPoolExecutor(min(workers, len(jobs)) or 1, context, _start, (messages,))
        with pool:
            try:
                futures = _work_off(jobs, workers, pool, messages, listen)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            return [futures[job.name].result() for job in jobs]


def report(name: str, message: Any) -> None:
    """Tell the process that called `run_jobs`; without one (a direct call) nothing happens."""
    if _messages is not None:
        _messages.put((name, message))


def _work_off(
    jobs: Sequence[Job], workers: int, pool: ProcessPoolExecutor, messages: Any, listen: Listen | None
) -> dict[str, Future[Any]]:
    """Start jobs as workers and their predecessors allow, until all are finished."""
    futures: dict[str, Future[Any]] = {}
    while True:
        finished = {name for name, future in futures.items() if future.done()}
        for name in finished:
            futures[name].result()
        for job in jobs:
            free = len(futures) - len(finished) < workers
            if free and job.name not in futures and finished.issuperset(job.after):
                futures[job.name] = pool.submit(_run, job)
        if len(finished) == len(jobs):
            while _pass_on(messages, listen, wait=0.01):
                continue
            return futures
        _pass_on(messages, listen, wait=0.2)


def _pass_on(messages: Any, listen: Listen | None, wait: float) -> bool:
    """Wait up to `wait` seconds for a message, then pass on what is there; whether there may be more.

    A bounded number at a time: jobs that report often would otherwise keep the next ones from starting.
    """
    for _ in range(MESSAGES_AT_ONCE):
        try:
            name, message = messages.get(timeout=wait)
        except queue.Empty:
            return False
        wait = 0.01
        if listen is not None:
            listen(name, message)
    return True


@contextmanager
def _served(context: SpawnContext) -> Iterator[SyncManager]:
    """A process of its own that keeps the queue of messages."""
    manager = SyncManager(ctx=context)
    manager.start(_watch_parent)
    with manager:
        yield manager


def _check_order(jobs: Sequence[Job]) -> None:
    names = [job.name for job in jobs]
    if len(set(names)) < len(names):
        raise K2ReproError(f"two jobs are called {max(names, key=names.count)!r}: names must differ")
    for job in jobs:
        for name in job.after:
            if name not in names:
                raise unknown(f"job that {job.name!r} waits for", name, names)
    waiting, finished = list(jobs), set[str]()
    while waiting:
        ready = [job for job in waiting if finished.issuperset(job.after)]
        if not ready:
            raise K2ReproError(f"jobs wait for each other in a circle: {', '.join(j.name for j in waiting)}")
        finished |= {job.name for job in ready}
        waiting = [job for job in waiting if job not in ready]


def _start(messages: Any) -> None:
    global _messages
    _messages = messages
    _watch_parent()
    import torch

    torch.set_num_threads(1)


def _watch_parent() -> None:
    """End this process with its parent: workers wait for jobs, and from a killed parent none comes."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(job: Job) -> Any:
    return job.function(*job.arguments)
