"""Using several cores: each works through a share of the prompts on its own.

Within one step there is too little work to divide: at these sizes two OpenMP threads are hardly faster
than one, and while the machine is busy with something else they mostly wait for each other. Shares need no
waiting, and since no sample depends on its neighbours they change no result.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import torch

from k2repro.engine.backend import Completion
from k2repro.engine.run import Run

Progress = Callable[[int, int], None]

# Rows in flight below which a second worker costs more in Python than it saves in arithmetic.
ROWS_PER_WORKER = 4
REPORT_SECONDS = 0.2


def workers_for(prompts: int, rows: int) -> int:
    """How many shares to make: at most torch's number of threads, and none too small."""
    return max(1, min(torch.get_num_threads(), prompts, rows // ROWS_PER_WORKER))


@contextlib.contextmanager
def one_thread_each(workers: int) -> Iterator[int]:
    """Keep torch's operations on the thread that calls them; the old number of threads comes back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield workers
    finally:
        torch.set_num_threads(threads)


def run_shares(runs: Sequence[Run], progress: Progress | None) -> list[list[Completion]]:
    """Completions of all runs, of which run k has the prompts k, k + len(runs), ...

    The first run, and every call of `progress`, happen in the calling thread.
    """
    told = 0
    total = sum(run.total for run in runs)

    def report() -> None:
        nonlocal told
        done = sum(run.done for run in runs)
        if progress is not None and done > told:
            told = done
            progress(done, total)

    with ThreadPoolExecutor(len(runs)) as pool:
        try:
            others = [pool.submit(run.all, _silent) for run in runs[1:]]
            parts = [runs[0].all(report)]
            _watch(others, report)
            parts += [other.result() for other in others]
        except BaseException:
            # On Ctrl-C too: leaving the pool waits for its threads.
            for run in runs:
                run.cancelled = True
            raise
    prompts = sum(map(len, parts))
    return [parts[index % len(runs)][index // len(runs)] for index in range(prompts)]


def _watch(others: Sequence[Future[list[list[Completion]]]], report: Callable[[], None]) -> None:
    pending = set(others)
    while pending:
        _, pending = wait(pending, timeout=REPORT_SECONDS)
        report()


def _silent() -> None:
    """Workers do not report: a progress bar belongs to the thread that made it."""
