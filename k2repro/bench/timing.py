"""Sides timed in turn in one run, so that a machine whose speed drifts treats them alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Name = TypeVar("Name")


def in_turn(
    sides: Mapping[Name, Callable[[], object]],
    repeats: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
    told: Callable[[float], None] = lambda share: None,
) -> dict[Name, list[float]]:
    """Seconds of `repeats` runs of each side: all of them once, then all of them again.

    The first run of each is not counted: it pays for allocation and for choosing or compiling kernels. clock:
    `time.thread_time` counts the processor time of this thread alone. told: the share that is done.
    """
    seconds: dict[Name, list[float]] = {name: [] for name in sides}
    for turn in range(repeats + 1):
        for done, (name, run) in enumerate(sides.items()):
            began = clock()
            run()
            seconds[name].append(clock() - began)
            told((turn + (done + 1) / len(sides)) / (repeats + 1))
    return {name: times[1:] for name, times in seconds.items()}


def alternate(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    repeats: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[list[float], list[float]]:
    """Seconds of `repeats` runs of each of two sides, in turn."""
    seconds = in_turn({"ours": ours, "theirs": theirs}, repeats, clock=clock)
    return seconds["ours"], seconds["theirs"]


def ratio_of_medians(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of theirs over the median of ours: above 1 ours is faster."""
    return statistics.median(theirs) / statistics.median(ours)
