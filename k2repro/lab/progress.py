"""One live line for all jobs: what runs, how far it is, how much is left.

In JupyterLab it is a tqdm bar that disappears when everything is done. In a run that `k2repro` started
nothing may stay in the notebook, so the line goes to `progress.txt` in the run's folder instead.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from k2repro.results.atomic import write_text
from k2repro.results.places import RUN_FOLDER, writable_folder

WRITE_SECONDS = 2.0
FINISHED = "finished"


@dataclass(frozen=True)
class JobProgress:
    """Where a job stands: the share that is done, a few words, and the seconds left where they are known."""

    share: float
    words: str
    seconds_left: float | None = None


class Board:
    """What each job reported last, as one line of text and a count of finished work."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._words: dict[str, str] = {}
        self._shares: dict[str, float] = {}

    def hear(self, name: str, message: object) -> None:
        """Take in one message of a job."""
        if isinstance(message, JobProgress):
            left = "" if message.seconds_left is None else f", {_minutes(message.seconds_left)} left"
            self._shares[name] = message.share
            self._words[name] = message.words + left
        elif message == FINISHED:
            self._shares[name] = 1.0
            self._words.pop(name, None)

    @property
    def done(self) -> float:
        """Finished work in jobs; a job with several stages counts its current one."""
        return sum(self._shares.values())

    def line(self) -> str:
        """The jobs that are on their way."""
        return " | ".join(f"{name}: {words}" for name, words in self._words.items()) or "starting"


@contextmanager
def live(names: Sequence[str]) -> Iterator[Callable[[str, object], None]]:
    """A listener for `run_jobs` that keeps the line up to date."""
    board = Board(names)
    if os.environ.get(RUN_FOLDER):
        yield _to_file(board)
        return
    from tqdm import tqdm

    with tqdm(total=len(names), leave=False, bar_format="{l_bar}{bar:10}|{postfix}") as bar:

        def listen(name: str, message: object) -> None:
            board.hear(name, message)
            bar.n = round(board.done, 2)
            bar.set_postfix_str(board.line())

        yield listen


def _to_file(board: Board) -> Callable[[str, object], None]:
    path, last = writable_folder() / "progress.txt", 0.0

    def listen(name: str, message: object) -> None:
        nonlocal last
        board.hear(name, message)
        if time.monotonic() - last >= WRITE_SECONDS:
            last = time.monotonic()
            write_text(path, f"{board.done:.1f} of {len(board.names)} jobs | {board.line()}\n")

    return listen


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.0f} s"
