"""How this room times anything: repeat, keep all times, report the best and the median.

The best of several runs is the machine; the median is the machine with its neighbours. Memory
bandwidth and decode rates are the best, as in STREAM (https://www.cs.virginia.edu/stream/ref.html),
and the median stands beside it so that a reader sees how noisy the machine was.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from k2repro.errors import K2ReproError

Clock = Callable[[], float]


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: best and median of `runs` runs."""

    best: float
    median: float
    runs: int


def time_call(function: Callable[[], object], *, runs: int, clock: Clock = time.perf_counter) -> Timing:
    """Time `function` `runs` times; one warm-up first.

    Raises K2ReproError when `runs` is not positive.
    """
    if runs < 1:
        raise K2ReproError(f"runs = {runs!r} must be at least 1")
    function()
    times: list[float] = []
    for _ in range(runs):
        start = clock()
        function()
        times.append(clock() - start)
    return Timing(min(times), statistics.median(times), len(times))


def time_short_call(
    function: Callable[[], object], *, runs: int, per_run: float = 2e-3, clock: Clock = time.perf_counter
) -> Timing:
    """Time a call of microseconds: it is repeated inside each run until a run takes `per_run` s."""
    once = time_call(function, runs=3, clock=clock).best
    inner = max(1, int(per_run / max(once, 1e-7)))

    def repeat() -> None:
        for _ in range(inner):
            function()

    timing = time_call(repeat, runs=runs, clock=clock)
    return Timing(timing.best / inner, timing.median / inner, timing.runs)
