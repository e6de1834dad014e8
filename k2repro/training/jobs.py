"""Independent jobs side by side, each in a process of its own with one thread.

A matrix product of a small model gains little from a second thread, while two models train on two cores at nearly
full speed each. One thread for each job also makes a result independent of how many run at once.
"""

import multiprocessing
import os
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_messages: Any = None


@dataclass(frozen=True)
class Job:
    """A module-level function and its arguments; all must survive pickling between our own processes."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


Listen = Callable[[str, Any], None]


def run_jobs(jobs: Sequence[Job], *, workers: int = 2, listen: Listen | None = None) -> list[Any]:
    """Results of `jobs`, in their order, at most `workers` at a time.

    listen(job name, message): called in this process for everything that a job passes to `report`. If a job
    raises, jobs that have not started are dropped, running ones finish, and its exception is raised.
    """
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), context.Manager() as manager:
        messages = manager.Queue()
        pool = ProcessPoolExecutor(min(workers, len(jobs)) or 1, context, _start, (messages,))
        with pool:
            futures = [pool.submit(_run, job) for job in jobs]
            try:
                _follow(futures, messages, listen)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            return [future.result() for future in futures]


def report(name: str, message: Any) -> None:
    """Tell the process that called `run_jobs`; without one (a direct call) nothing happens."""
    if _messages is not None:
        _messages.put((name, message))


def _follow(futures: list[Future[Any]], messages: Any, listen: Listen | None) -> None:
    while True:
        running = not all(future.done() for future in futures)
        try:
            while True:
                name, message = messages.get(timeout=0.2 if running else 0.01)
                if listen is not None:
                    listen(name, message)
        except queue.Empty:
            pass
        for future in futures:
            if future.done() and not future.cancelled() and future.exception() is not None:
                future.result()
        if not running:
            return


def _start(messages: Any) -> None:
    global _messages
    _messages = messages
    import torch

    torch.set_num_threads(1)


def _run(job: Job) -> Any:
    return job.function(*job.arguments)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Thread counts that started processes inherit: libraries read them when they are first imported."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
