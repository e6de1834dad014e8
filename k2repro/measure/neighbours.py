"""How much of the machine other processes took while something was measured.

A rate that was measured beside a busy neighbour says little about the machine. What a virtual
machine's own kernel sees is counted: other processes, and time that the host took away (steal).
Neighbours on the host that only use memory bandwidth stay invisible.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

PROC_STAT = Path("/proc/stat")


def busy_seconds(text: str, ticks_per_second: float) -> float:
    """Processor seconds spent by everybody since the start, from the text of /proc/stat.

    user, nice, system, irq, softirq and steal; idle and waiting for disks are left out.
    """
    fields = [float(value) for value in text.splitlines()[0].split()[1:9]]
    fields += [0.0] * (8 - len(fields))
    user, nice, system, _idle, _waiting, interrupts, soft, steal = fields
    return (user + nice + system + interrupts + soft + steal) / ticks_per_second


@dataclass
class Neighbours:
    """Counts from its creation to `cores()`."""

    started: float
    busy: float
    own: float

    @staticmethod
    def watch() -> "Neighbours | None":
        """Start counting; None where the system does not tell."""
        if not PROC_STAT.exists():
            return None
        return Neighbours(time.perf_counter(), _busy(), time.process_time())

    def cores(self) -> float:
        """Cores that others used on average since the start, never below zero."""
        spent = _busy() - self.busy - (time.process_time() - self.own)
        return max(0.0, spent / max(time.perf_counter() - self.started, 1e-3))


def _busy() -> float:
    return busy_seconds(PROC_STAT.read_text(encoding="utf-8"), os.sysconf("SC_CLK_TCK"))
