"""The line that a long run shows: how far, how fast, what was spent, how long still."""

import math
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

from k2repro.engine.budget import Budget

SECONDS_ON_A_TERMINAL, SECONDS_IN_A_FILE = 1.0, 15.0


class ProgressLine:
    """Writes a line to `stream` now and then, from a thread of its own: `with ProgressLine(...) as line`.

    what: is counted. waiting: seconds that a server wants not to be asked, for people who see no progress.
    """

    def __init__(
        self, budget: Budget, what: str, stream: TextIO | None = None, *, waiting: Callable[[], float] = float
    ) -> None:
        self._budget, self._what, self._stream = budget, what, stream or sys.stderr
        self._waiting = waiting
        self._done = self._total = 0
        self._before = budget.spent_requests
        self._started = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="progress")

    def __enter__(self) -> "ProgressLine":
        self._show()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._show()
        if self._stream.isatty():
            self._stream.write("\n")

    def __call__(self, done: int, total: int) -> None:
        """So many are done."""
        self._done, self._total = done, total

    def text(self, now: float | None = None) -> str:
        """The line."""
        seconds = max(1e-9, (time.monotonic() if now is None else now) - self._started)
        budget = self._budget
        rate = (budget.spent_requests - self._before) / seconds
        parts = [f"{self._done}/{self._total or '?'} {self._what}", f"{rate:.1f} requests/s"]
        parts.append(
            f"spent {_of(budget.spent_requests, budget.requests)} requests, "
            f"{_of(budget.spent_tokens, budget.tokens)} tokens"
        )
        if budget.spent_money or budget.money is not None:
            limit = "" if budget.money is None else f" of {budget.money:.2f}"
            parts.append(f"{budget.spent_money:.2f}{limit} money")
        if self._done and self._done < self._total:
            parts.append(f"about {_duration(seconds / self._done * (self._total - self._done))} left")
        if pause := math.ceil(self._waiting()):
            parts.append(f"waits {_duration(pause)}, as the server asked")
        return "  ".join(parts)

    def _run(self) -> None:
        pause = SECONDS_ON_A_TERMINAL if self._stream.isatty() else SECONDS_IN_A_FILE
        while not self._over.wait(pause):
            self._show()

    def _show(self) -> None:
        end = "\r" if self._stream.isatty() else "\n"
        self._stream.write(("\033[K" if end == "\r" else "") + self.text() + end)
        self._stream.flush()


def _of(spent: int, limit: int | None) -> str:
    return f"{spent:,}" if limit is None else f"{spent:,} of {limit:,}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
