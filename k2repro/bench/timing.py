"""Two sides timed in turn in one run, so that a machine whose speed drifts treats both alike."""

import time
from collections.abc import Callable


def alternate(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    repeats: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[float], list[float]]:
    """Seconds of `repeats` runs of each side, in turn.

    The first run of each is not counted: it pays for allocation and for choosing or compiling kernels. clock:
    `time.thread_time` counts the processor time of this thread alone.
    """
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 1):
        for run, times in zip((ours, theirs), seconds, strict=True):
            began = clock()
            run()
            times.append(clock() - began)
    return seconds[0][1:], seconds[1][1:]
