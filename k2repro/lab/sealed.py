"""Which was there first, a prediction or the row that decides it: asked of git.

A prediction counts as declared before its row if the commit that gave it its present direction, sizes and
counts is older, by the committer's clock, than the commit that gave the row its present value. What is not
committed yet is younger than everything. Words may change freely.

Git shows the order of commits and no more: who looked at which number when, it does not know. Where there is
no history (a tarball) or only its end (a shallow clone), nothing can be said, and that is what is said.
"""

import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.lab.predictions import FILE, DeclaredEffect, parse_predictions, read_predictions
from k2repro.results.rows import Row, read_rows, rows_of_text

PLACE = f"k2repro/lab/{FILE}"
# Younger than every commit.
NOW = inf


@dataclass(frozen=True)
class Order:
    """When a prediction and its row got what they say now: seconds since 1970, NOW if not committed."""

    prediction: DeclaredEffect
    declared: float
    measured: float

    @property
    def before(self) -> bool:
        """A row of the same commit, or one that waits to be committed with it, was not predicted."""
        return self.declared < self.measured

    @property
    def complaint(self) -> str | None:
        """What the file says wrongly about the order; None where it is honest."""
        if not self.before and not self.prediction.after:
            return (
                "was added or changed after its row was measured; say what was known in `after`, or measure "
                "again on new problems and seeds"
            )
        if self.before and self.prediction.after:
            return "stands before its row now, which was measured anew since: take `after` out"
        return None


def why_no_dates(root: Path) -> str | None:
    """Why git cannot date a prediction here; None where it can."""
    try:
        shallow = _git(root, "rev-parse", "--is-shallow-repository").strip()
    except K2ReproError:
        return "no git history here (a tarball, or git is not installed)"
    if Path(_git(root, "rev-parse", "--show-toplevel").strip()).resolve() != root.resolve():
        return "no git history of its own here (it lies in another repository)"
    if shallow == "true":
        return "a shallow clone holds only the end of the history; `git fetch --unshallow` brings the rest"
    return None


def orders(root: Path, rows_folder: str) -> list[Order]:
    """The order of every prediction whose row exists. Asks git; see `why_no_dates` first.

    rows_folder: where the rows lie, from the root, such as `results/laptop/rows`.
    """
    places = {
        row_id: (f"{rows_folder}/{path.name}", row)
        for path in sorted((root / rows_folder).glob("*.jsonl"))
        for row_id, row in read_rows(path).items()
    }
    texts = _Texts(root)
    return [
        Order(
            each,
            texts.since(PLACE, partial(_sealed_in, each.effect, each.seal)),
            texts.since(place, partial(_numbered_in, row.id, _number(row))),
        )
        for each in read_predictions(root / PLACE)
        if each.effect in places
        for place, row in [places[each.effect]]
    ]


class _Texts:
    """The texts that a file had, newest first, each read from git once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, list[tuple[float, str]]] = {}

    def since(self, place: str, holds: Callable[[str], bool]) -> float:
        """Date of the oldest commit of the unbroken line, back from today, in which a text `holds`."""
        date = NOW
        for when, text in self._history(place):
            if not holds(text):
                break
            date = when
        return date

    def _history(self, place: str) -> Iterable[tuple[float, str]]:
        if place not in self._known:
            self._known[place] = list(self._read(place))
        return self._known[place]

    def _read(self, place: str) -> Iterator[tuple[float, str]]:
        lines = _git(self._root, "log", "--topo-order", "--format=%H %ct", "--", place).splitlines()
        for line in lines:
            commit, when = line.split()
            try:
                yield float(when), _git(self._root, "show", f"{commit}:{place}")
            except K2ReproError:
                return  # the commit that took the file away


def _sealed_in(effect: str, seal: tuple[object, ...], text: str) -> bool:
    return _seal_in(text, effect) == seal


def _numbered_in(row_id: str, number: tuple[object, ...], text: str) -> bool:
    return _number_in(text, row_id) == number


def _seal_in(text: str, effect: str) -> tuple[object, ...] | None:
    try:
        found = {each.effect: each.seal for each in parse_predictions(text, PLACE)}
    except K2ReproError:
        return None  # an older form of the file sealed nothing
    return found.get(effect)


def _number_in(text: str, row_id: str) -> tuple[object, ...] | None:
    try:
        row = rows_of_text(text, "an older file").get(row_id)
    except K2ReproError:
        return None
    return None if row is None else _number(row)


def _number(row: Row) -> tuple[object, ...]:
    """What was measured: a row that is written anew with the same number is as old as it was.

    Nine digits, because a sum in another order is no new measurement.
    """
    return (f"{row.value:.9g}", row.seeds, row.n)


def _git(root: Path, *words: str) -> str:
    """What git says. Raises K2ReproError where it is missing or fails."""
    try:
        run = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise K2ReproError(f"git {words[0]}: {error}") from None
    if run.returncode:
        raise K2ReproError(f"git {words[0]}: {run.stderr.strip()}")
    return run.stdout
