"""What mini-K2 was expected to show (`predictions.toml`), beside what it showed.

A prediction names the row that decides it, a direction, a least size, and how many seeds and problems the
row has to rest on. Where a row has fewer, nothing is decided, however the number looks; a smaller profile
says so in every line.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib import resources
from math import inf, isfinite
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.evaluate.seeds import t_interval
from k2repro.results.rows import Row

FILE = "predictions.toml"
DIRECTIONS = ("above", "below", "within", "not above")
UNITS = ("points", "fraction", "ratio")
BEFORE, AFTER = "before the run", "after the run"


@dataclass(frozen=True, kw_only=True)
class DeclaredEffect:
    """One declared effect; the keys are explained at the head of `predictions.toml`.

    Raises K2ReproError for a direction without its bound, and for one that nothing could miss.
    """

    effect: str
    what: str
    direction: str
    unit: str
    seeds: int
    n: int
    why: str
    least: float = -inf
    most: float = inf
    beyond: float | None = None
    after: str = ""

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise unknown(f"direction of {self.effect}", self.direction, DIRECTIONS)
        if self.unit not in UNITS:
            raise unknown(f"unit of {self.effect}", self.unit, UNITS)
        bounds = (isfinite(self.least), isfinite(self.most), self.beyond is not None)
        wanted = {"above": (True, False), "below": (False, True), "within": (True, True)}
        fits = bounds[:2] == wanted.get(self.direction, (False, False))
        if self.direction == "not above":
            fits = fits and bounds[2]
        if self.direction == "within":
            fits = fits and self.least <= self.most and not bounds[2]
        if not fits:
            raise K2ReproError(
                f"{self.effect}: {self.direction!r} does not go with the bounds given: 'above' needs "
                "`least`, 'below' `most`, 'within' both in order and no `beyond`, 'not above' only `beyond`"
            )
        if min(self.seeds, self.n) < 1 or not (self.what and self.why):
            raise K2ReproError(
                f"{self.effect}: seeds {self.seeds} and n {self.n} must be 1 at least, what and why be said"
            )

    @property
    def declared(self) -> str:
        return AFTER if self.after else BEFORE

    @property
    def seal(self) -> tuple[object, ...]:
        """What may not change after the rows: everything but the words."""
        return (self.direction, self.least, self.most, self.beyond, self.unit, self.seeds, self.n)

    @property
    def predicted(self) -> str:
        """The expectation in words."""
        if self.direction == "not above":
            return f"interval not above {self.said(self.beyond or 0.0)}"
        if self.direction == "within":
            return f"{self.said(self.least)} to {self.said(self.most)}"
        word, bound = ("least", self.least) if self.direction == "above" else ("most", self.most)
        parts = [] if bound == self.beyond else [f"at {word} {self.said(bound)}"]
        if self.beyond is not None:
            parts.append(f"interval {self.direction} {self.said(self.beyond)}")
        return ", ".join(parts)

    def said(self, value: float) -> str:
        """A size in the prediction's unit."""
        return f"{100 * value:g} points" if self.unit == "points" else f"{value:g}"


@cache
def load_predictions() -> tuple[DeclaredEffect, ...]:
    """Every prediction that ships, in the order of the file."""
    return parse_predictions((resources.files("k2repro.lab") / FILE).read_text(encoding="utf-8"), FILE)


def read_predictions(path: Path) -> tuple[DeclaredEffect, ...]:
    """The predictions of a file as it stands on disk."""
    return parse_predictions(path.read_text(encoding="utf-8"), path.name)


def parse_predictions(text: str, place: str) -> tuple[DeclaredEffect, ...]:
    """The predictions of a text. Raises K2ReproError that names a key or effect that is wrong or twice."""
    try:
        blocks = tomllib.loads(text).get("prediction", [])
    except tomllib.TOMLDecodeError as error:
        raise K2ReproError(f"{place} is not TOML: {error}") from None
    known = {each.name: each.default is MISSING for each in fields(DeclaredEffect)}
    found: dict[str, DeclaredEffect] = {}
    for block in blocks:
        name = str(block.get("effect"))
        for key in block:
            if key not in known:
                raise unknown(f"key of the prediction {name}", key, known)
        if missing := [key for key, needed in known.items() if needed and key not in block]:
            raise K2ReproError(f"{place}: the prediction {name} lacks {', '.join(missing)}")
        if name in found:
            raise K2ReproError(f"{place}: two predictions for {name}; one row decides one prediction")
        found[name] = DeclaredEffect(**block)
    return tuple(found.values())


def of_room(*rooms: str) -> tuple[DeclaredEffect, ...]:
    """The predictions whose row ids begin with these words: `sft`, `rlvr`, `planning`, `best_of_n`."""
    found = tuple(each for each in load_predictions() if each.effect.split(".")[0] in rooms)
    if not found:
        raise unknown("room", ", ".join(rooms), {each.effect.split(".")[0] for each in load_predictions()})
    return found


# ---- verdicts -----------------------------------------------------------------------------------------


def shortage(prediction: DeclaredEffect, row: Row) -> str | None:
    """Why this row cannot decide its prediction; None where it can."""
    if len(row.seeds) < prediction.seeds:
        return f"{len(row.seeds)} of {prediction.seeds} seeds"
    if (row.n or 0) < prediction.n:
        return f"{row.n or 0} of {prediction.n} problems"
    if prediction.beyond is not None and row.interval is None:
        return "the row has no interval"
    if prediction.beyond is not None and prediction.seeds > 1 and "seed" not in (row.interval_method or ""):
        return "its interval holds the seeds fixed"
    return None


def complaint(prediction: DeclaredEffect, row: Row) -> str | None:
    """What the number misses of what was predicted, whoever may decide it; None where it misses nothing."""
    if prediction.direction != "not above":
        if row.value < prediction.least:
            return f"the value is below {prediction.said(prediction.least)}"
        if row.value > prediction.most:
            return f"the value is above {prediction.said(prediction.most)}"
    if prediction.beyond is None:
        return None
    low, high = row.interval or (row.value, row.value)
    if prediction.direction == "not above":
        gain = low > prediction.beyond
        return f"the interval lies above {prediction.said(prediction.beyond)}" if gain else None
    reaches = high >= prediction.beyond if prediction.direction == "below" else low <= prediction.beyond
    return f"the interval reaches {prediction.said(prediction.beyond)}" if reaches else None


def verdict(prediction: DeclaredEffect, row: Row | None) -> str:
    """In words: holds, does not hold, undecided and why, or waits for its row."""
    if row is None:
        return "waits for its row"
    missed, short = complaint(prediction, row), shortage(prediction, row)
    if short is None:
        return "holds" if missed is None else f"does not hold: {missed}"
    so_far = "as predicted so far" if missed is None else f"not so far: {missed}"
    return f"undecided, {short}; {so_far}"


def standings(predictions: Iterable[DeclaredEffect], rows: Mapping[str, Row]) -> list[dict[str, Any]]:
    """A line for each prediction: declared, measured, and what follows."""
    return [_standing(each, rows.get(each.effect)) for each in predictions]


def _standing(prediction: DeclaredEffect, row: Row | None) -> dict[str, Any]:
    return {
        "what": prediction.what,
        "predicted": prediction.predicted,
        "declared": prediction.declared,
        "measured": row and _measured(prediction, row),
        "each seed": row and _each_seed(prediction, row),
        "verdict": verdict(prediction, row),
    }


def _measured(prediction: DeclaredEffect, row: Row) -> str:
    """Value and the row's interval, then Student's t over the seeds where the row holds them."""
    text = _spelled(prediction, (row.value,))
    if row.interval:
        text += f" [{_spelled(prediction, row.interval, ', ')}]"
    if len(row.by_seed) > 1:
        text += f"; t over seeds [{_spelled(prediction, tuple(t_interval(row.by_seed)), ', ')}]"
    return text


def _each_seed(prediction: DeclaredEffect, row: Row) -> str | None:
    return _spelled(prediction, row.by_seed) if row.by_seed else None


def _spelled(prediction: DeclaredEffect, values: Iterable[float], between: str = " ") -> str:
    if prediction.unit == "points":
        return between.join(f"{100 * value:+.1f}" for value in values)
    return between.join(f"{value:.3f}" for value in values)
