"""The live race: tokens at the emulated speed, so that a reader feels 20, 200 and 2,000 a second.

Everything here is a generator that waits between its values. Clock and sleep are arguments: a
notebook and a terminal pass the real ones, a test passes its own and waits for nothing. What is
shown follows the clock, never a count of frames: a slow terminal skips frames and stays in time.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.wafer.model.parameters import FloatArray

Clock = Callable[[], float]
Sleep = Callable[[float], None]
# A clock that stands a rounding error before a tick has reached it.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Lane:
    """One runner: its name and when each of its tokens comes, seconds, never falling."""

    name: str
    times: FloatArray

    def __post_init__(self) -> None:
        if self.times.size == 0 or self.times[0] < 0 or bool((np.diff(self.times) < 0).any()):
            raise K2ReproError(
                f"lane {self.name!r}: token times must be a non-empty list of seconds "
                "that starts at or after zero and never falls"
            )

    def count_at(self, seconds: float | FloatArray) -> NDArray[np.int64]:
        """Tokens that have come by then."""
        return np.searchsorted(self.times, seconds, side="right").astype(np.int64)


def lane_at_rate(name: str, tokens_per_second: float, tokens: int) -> Lane:
    """A lane of constant speed."""
    if not (np.isfinite(tokens_per_second) and tokens_per_second > 0) or tokens < 1:
        raise K2ReproError(
            f"lane {name!r}: {tokens} tokens at {tokens_per_second!r} a second; both must be above zero"
        )
    return Lane(name, np.arange(1, tokens + 1) / tokens_per_second)


@dataclass(frozen=True)
class Frame:
    """The race at one moment: seconds since the start, tokens of each lane, who has finished."""

    seconds: float
    counts: tuple[int, ...]
    finished: tuple[bool, ...]


def _frame(lanes: Sequence[Lane], seconds: float) -> Frame:
    counts = tuple(int(lane.count_at(seconds)) for lane in lanes)
    return Frame(
        seconds, counts, tuple(count == lane.times.size for count, lane in zip(counts, lanes, strict=True))
    )


def race_frames(lanes: Sequence[Lane], *, seconds: float, frames_per_second: float) -> list[Frame]:
    """All frames at once, for an animation that needs no kernel; nothing waits."""
    _check_race(lanes, seconds, frames_per_second)
    count = max(1, round(seconds * frames_per_second))
    return [_frame(lanes, index / frames_per_second) for index in range(count + 1)]


def run_race(
    lanes: Sequence[Lane],
    *,
    seconds: float,
    frames_per_second: float = 20.0,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
) -> Iterator[Frame]:
    """Frames in real time until all lanes have finished or `seconds` are over."""
    _check_race(lanes, seconds, frames_per_second)
    start = clock()
    while True:
        now = clock() - start
        over = now >= seconds - _ROUNDING
        frame = _frame(lanes, seconds if over else now)
        yield frame
        if over or all(frame.finished):
            return
        # The next tick after the time that drawing took: late frames are skipped, not queued.
        ticks = np.floor((clock() - start + _ROUNDING) * frames_per_second) + 1
        tick = ticks / frames_per_second
        sleep(max(0.0, min(float(tick), seconds) - (clock() - start)))


def _check_race(lanes: Sequence[Lane], seconds: float, frames_per_second: float) -> None:
    if not lanes:
        raise K2ReproError("a race needs at least one lane")
    if not seconds > 0 or not frames_per_second > 0:
        raise K2ReproError(
            f"a race of {seconds!r} s at {frames_per_second!r} frames per second is "
            "none; both must be above zero"
        )


def draw_frame(lanes: Sequence[Lane], frame: Frame, width: int = 40) -> str:
    """A frame as text, one line per lane: name, bar of its own length, tokens, tokens per second."""
    widest = max(len(lane.name) for lane in lanes)
    lines = []
    for lane, count, finished in zip(lanes, frame.counts, frame.finished, strict=True):
        filled = round(width * count / lane.times.size)
        spent = min(frame.seconds, float(lane.times[-1]))
        rate = count / spent if spent > 0 else 0.0
        state = f"done in {lane.times[-1]:.1f} s" if finished else f"{rate:.0f} tok/s"
        lines.append(
            f"{lane.name:<{widest}}  [{'#' * filled}{'.' * (width - filled)}] "
            f"{count:>7} of {lane.times.size}  {state}"
        )
    return "\n".join([*lines, f"{frame.seconds:6.1f} s"])
