"""Predicates on measured rows, declared before the rows exist; until then the verdict is "unresolved".

The rule for an effect, fixed here and used for every pillar:

    interval beyond zero on the claimed side   "reproduced at mini scale" (real weights: "recomputed")
    ... but it misses the published size       "direction only", where the claim states a size
    interval across zero                       "unresolved"
    interval beyond zero on the other side     "contradicted"

A number of trained models is a statement about training only with several seeds. Its interval resamples seeds
and problems, and Student's t interval over the seeds has to say the same; with fewer than LEAST_SEEDS seeds,
or an interval that holds them fixed, nothing is decided.
"""

from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from statistics import fmean, stdev

from k2repro.errors import K2ReproError
from k2repro.paper.outcome import CONTRADICTED, DIRECTION, MINI, RECOMPUTED, UNRESOLVED, Evidence, Judgement
from k2repro.results import Row
from k2repro.student_t import t_quantile

LEAST_SEEDS = 3


def _waiting(evidence: Evidence, extra: str = "") -> Judgement:
    if not evidence.needs:
        raise K2ReproError("a claim that waits for a measurement has to name its row under `needs`")
    return Judgement(UNRESOLVED, f"Waits for the row {evidence.needs[0]}. {extra}".strip())


def _reproduced(row: Row) -> str:
    """The verdict for an effect that came out, by the scale at which it was measured."""
    return MINI if row.scale == "mini" else RECOMPUTED


def _bounds(row: Row) -> tuple[float, float]:
    """The row's interval; an exact row is its own interval, a measured one has to bring one."""
    if row.interval is not None:
        return _with_t(row.interval, row.by_seed)
    if row.scale == "exact":
        return (row.value, row.value)
    raise K2ReproError(
        f"row {row.id!r} is measured ({row.scale}) and has no interval; its claim cannot be decided. "
        "Add interval and interval_method where the notebook writes it"
    )


def _with_t(interval: tuple[float, float], by_seed: tuple[float, ...]) -> tuple[float, float]:
    """The smallest range that holds the interval and Student's 95 % interval over the seeds."""
    if len(by_seed) < 2:
        return interval
    half = t_quantile(0.975, len(by_seed) - 1) * stdev(by_seed) / sqrt(len(by_seed))
    middle = fmean(by_seed)
    return (min(interval[0], middle - half), max(interval[1], middle + half))


def _too_few_seeds(row: Row) -> str | None:
    """Why a row of trained models decides nothing; None for one that may, and for rows without seeds."""
    if not row.seeds:
        return None
    if len(row.seeds) < LEAST_SEEDS:
        return f"{len(row.seeds)} seed{'s' if len(row.seeds) > 1 else ''} of {LEAST_SEEDS}"
    if "seed" not in (row.interval_method or ""):
        return "an interval that holds the seeds fixed"
    return None


def _in_percent(row: Row) -> Row:
    """The row in per cent or points, for comparison with a published size."""
    if row.unit in ("%", "points", "percent"):
        return row
    if row.unit != "fraction":
        raise K2ReproError(
            f"row {row.id!r} has the unit {row.unit!r}; a published size in per cent needs "
            "'%', 'points' or 'fraction'"
        )
    interval = row.interval and (100 * row.interval[0], 100 * row.interval[1])
    by_seed = tuple(100 * value for value in row.by_seed)
    return replace(row, value=100 * row.value, interval=interval, by_seed=by_seed, unit="%")


def _measured(row: Row) -> str:
    low, high = row.interval or _bounds(row)
    count = f", n = {row.n}" if row.n else ""
    text = f"{row.id} = {row.value:.4g} [{low:.4g}, {high:.4g}] {row.unit}, scale {row.scale}{count}"
    if len(row.by_seed) < 2:
        return text
    low, high = _bounds(row)
    return f"{text}, with Student's t over {len(row.by_seed)} seeds [{low:.4g}, {high:.4g}]"


def effect(evidence: Evidence, sign: int = 1, beyond: float = 0.0, published: str | None = None) -> Judgement:
    """A measured effect lies beyond `beyond` on the side of `sign`; `published` is the stated size.

    A stated size, in per cent or points, is matched when the interval contains it.
    """
    row = evidence.row()
    stated = evidence.book.number(published) if published else None
    if row is None:
        return _waiting(evidence, f"Stated size: {stated:g}." if stated is not None else "")
    row = row if stated is None else _in_percent(row)
    low, high = _bounds(row)
    numbers = {row.id: float(row.value), "low": low, "high": high}
    ahead, behind = (low - beyond, high - beyond) if sign > 0 else (beyond - high, beyond - low)
    side = "above" if sign > 0 else "below"
    if few := _too_few_seeds(row):
        return Judgement(UNRESOLVED, f"{_measured(row)}: {few} decides nothing about training.", numbers)
    if behind < 0:
        return Judgement(CONTRADICTED, f"{_measured(row)}: not {side} {beyond:g}.", numbers)
    if ahead <= 0:
        return Judgement(UNRESOLVED, f"{_measured(row)}: the interval reaches {beyond:g}.", numbers)
    if stated is not None and not low <= stated <= high:
        reason = f"{_measured(row)}: {side} {beyond:g}, and the stated {stated:g} is outside."
        return Judgement(DIRECTION, reason, numbers | {"published": stated})
    return Judgement(_reproduced(row), f"{_measured(row)}: {side} {beyond:g}.", numbers)


def no_more_than(evidence: Evidence, limit: float) -> Judgement:
    """A measured or computed deviation stays within `limit`, a numerical tolerance."""
    row = evidence.row()
    if row is None:
        return _waiting(evidence)
    _, high = _bounds(row)
    numbers = {row.id: float(row.value), "limit": limit}
    holds = high <= limit
    verdict = _reproduced(row) if holds else CONTRADICTED
    return Judgement(verdict, f"{_measured(row)}: {'within' if holds else 'beyond'} {limit:g}.", numbers)


def measured_value(evidence: Evidence, published: str, also: str | None = None) -> Judgement:
    """A number measured on real weights contains the published one in its interval.

    `also` is a second print of the same number; if the two prints disagree the claim is contradicted.
    """
    stated = evidence.book.number(published)
    numbers = {"published": stated}
    agreement = ""
    if also is not None:
        other = evidence.book.fact(also)
        value = evidence.book.number(also)
        numbers["second print"] = value
        if value != stated:
            return Judgement(
                CONTRADICTED, f"Stated {stated:g}; {other.source} prints {other.printed}.", numbers
            )
        agreement = f" {other.source} prints the same {other.printed}, for {other.row}."
    row = evidence.row()
    if row is None or row.scale != "real":
        return Judgement(UNRESOLVED, _waiting(evidence, agreement.strip()).reason, numbers)
    row = _in_percent(row)
    low, high = _bounds(row)
    numbers |= {row.id: float(row.value), "low": low, "high": high}
    holds = low <= stated <= high
    words = "contains" if holds else "does not contain"
    reason = f"{_measured(row)}: the interval {words} the published {stated:g}.{agreement}"
    return Judgement(RECOMPUTED if holds else CONTRADICTED, reason, numbers)


def predicted_rate(evidence: Evidence, published: str) -> Judgement:
    """A published rate against the emulator's prediction interval.

    Inside: the rate follows from the emulator. Outside decides nothing by itself, because the number
    of devices and the share of the draft are not published: unresolved, with the distance shown.
    """
    stated = evidence.book.number(published)
    row = evidence.row()
    if row is None:
        return _waiting(evidence, f"Published: {stated:g}.")
    low, high = _bounds(row)
    numbers = {row.id: float(row.value), "low": low, "high": high, "published": stated}
    if low <= stated <= high:
        return Judgement(RECOMPUTED, f"{_measured(row)} contains the published {stated:g}.", numbers)
    side = "above" if stated > high else "below"
    reason = f"The published {stated:g} lies {side} {_measured(row)}."
    return Judgement(UNRESOLVED, reason, numbers)


ROW_PREDICATES: dict[str, Callable[..., Judgement]] = {
    function.__name__: function for function in (effect, no_more_than, measured_value, predicted_rate)
}
