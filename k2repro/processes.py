"""One way to start a child process: with a fixed number of threads, and never outliving its parent.

BLAS and OpenMP read their number of threads when they are loaded, so it has to stand in the environment
before a child starts. A child that waits for work, or measures for minutes, must end when its parent is
killed: nobody reads its answer any more, and some hold gigabytes.
"""

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from k2repro.errors import K2ReproError

# Every BLAS and OpenMP in use reads one of these when it is loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
ORPHANED = 1


def thread_variables(threads: int) -> dict[str, str]:
    """The environment variables that give a child `threads` threads; K2ReproError below 1."""
    if threads < 1:
        raise K2ReproError(f"threads = {threads!r} must be at least 1")
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that processes started in the block inherit; afterwards the old ones are back."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def start(command: Sequence[str], threads: int) -> "subprocess.Popen[str]":
    """Start a child with `threads` threads, and pipes for its three streams.

    Keep its standard input open for as long as the child shall live: a child that called `end_with_parent`
    ends when that pipe closes, which the system does for a parent that was killed.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, **thread_variables(threads)},
    )


def end_with_parent(stdin: IO[Any]) -> None:
    """In a child of `start`, once its work is read: end this process when the parent's pipe closes.

    Reads the descriptor itself: a thread that waits inside Python's buffer would crash an ordinary end.
    """
    descriptor = stdin.fileno()

    def watch() -> None:
        while os.read(descriptor, 1):
            continue
        os._exit(ORPHANED)

    threading.Thread(target=watch, daemon=True).start()
