"""How long a process may go on: by the processor time that it uses, or by the clock on the wall.

A verdict must not depend on what else the machine does. So a program is charged for the time that it ran,
and for the time that it slept of its own will; while it waits for a processor, nothing is charged.
"""

import os
import time

_LOOK_SECONDS = 0.05  # between two looks at a process that has not answered
_MOST_THREADS = 100
_ASLEEP = "S"  # in Linux's /proc/PID/stat: waits for a time or an event, not for a processor or a disk
_HARDLY = 0.2  # of the time between two looks: who ran for longer did not sleep


class WallClock:
    """So many seconds by the clock on the wall."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = 0.0

    def begin(self) -> None:
        """The waiting begins."""
        self._end = time.monotonic() + self._seconds

    def patience(self) -> float:
        """Seconds to the end."""
        return max(self._end - time.monotonic(), 0.0)

    def used_up(self, answered: bool = False) -> tuple[str, str] | None:
        """("timeout", "") at the end. An answer that has come counts: we may be the ones who were slow."""
        return None if answered or self._end > time.monotonic() else ("timeout", "")


class ProcessorTime:
    """So many seconds of processor time of one process, all its threads together.

    Sleeping is charged apart: it may take as long again and `sleep` seconds more. Behind both stands a
    generous clock on the wall, for a process that is neither running nor asleep. Linux only.
    """

    def __init__(self, pid: int, seconds: float, sleep: float = 1.0) -> None:
        self._pid = pid
        self._clock = (~pid << 3) | 2  # the clock of a process: MAKE_PROCESS_CPUCLOCK of the kernel
        self._seconds = seconds
        self._asleep_left = seconds + sleep
        self._wall_left = 60.0 + 30.0 * seconds
        self._start = self._last = self._now()
        self._looked = time.monotonic()

    def begin(self) -> None:
        """The waiting begins: the time since the last answer was the parent's."""
        self._looked = time.monotonic()

    def restart(self) -> None:
        """Give the whole processor time again."""
        self._start = self._now()

    def patience(self) -> float:
        """Seconds to the next look: no more than the rest, so that the end is not missed by much."""
        return min(max(self._seconds - (self._last - self._start), 0.001), _LOOK_SECONDS)

    def used_up(self, answered: bool = False) -> tuple[str, str] | None:
        """("timeout", ...), or ("memory", ...) for a program that starts threads without end."""
        now, wall = self._now(), time.monotonic()
        passed, ran = wall - self._looked, now - self._last
        self._looked, self._last = wall, now
        self._wall_left -= passed
        if not answered:
            states = self._thread_states()
            if len(states) > _MOST_THREADS:
                return "memory", f"more than {_MOST_THREADS} threads"
            if ran < _HARDLY * passed and set(states) == {_ASLEEP}:
                self._asleep_left -= passed
        if now - self._start > self._seconds:
            return "timeout", f"{self._seconds:g} s of processor time"
        if self._asleep_left < 0:
            return "timeout", "asleep"
        if self._wall_left < 0:
            return "timeout", "by the clock on the wall"
        return None

    def _now(self) -> float:
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # the process has ended; the conversation will notice
            return getattr(self, "_last", 0.0)

    def _thread_states(self) -> list[str]:
        folder = f"/proc/{self._pid}/task"
        try:
            return [_state(f"{folder}/{thread}/stat") for thread in os.listdir(folder)]
        except OSError:
            return []


Allowance = WallClock | ProcessorTime


def _state(path: str) -> str:
    """The letter behind the name of a thread, which stands in brackets and may hold any."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(") ")[2][:1]
