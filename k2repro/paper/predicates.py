"""Predicates on facts: each was declared before any run and turns numbers into a verdict.

A predicate is a plain function `(evidence, arguments...) -> Outcome`. Arguments come from
`claims.toml`; operands are fact keys or quantities, tolerances are literal numbers with a reason in the
claim's note. Predicates that wait for measurements stand in `row_predicates`.
"""

from collections.abc import Callable

from k2repro.errors import K2ReproError, unknown
from k2repro.paper.noise import noise_of
from k2repro.paper.outcome import (
    CONSISTENT,
    CONTRADICTED,
    DIRECTION,
    NOT_TESTABLE,
    RECOMPUTED,
    UNRESOLVED,
    VERDICTS,
    Evidence,
    Judgement,
)
from k2repro.paper.quantity import Operand, Quantity
from k2repro.paper.row_predicates import ROW_PREDICATES

SLACK = 1e-9


def number(value: float) -> str:
    """A number for a sentence: up to six significant digits, thousands separated."""
    return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.6g}"


def stated(found: Quantity) -> str:
    """A quantity for a sentence: formula and value, or the value alone where nothing was computed."""
    value = f"{number(found.value)} {found.unit}".rstrip()
    return value if found.is_fact else f"{found.formula} = {value}"


def _column(*operands: object) -> str:
    """The column that two facts share, as a label for their comparison; empty for anything else."""
    columns = {of.rpartition("/")[2] for of in operands if isinstance(of, str)}
    return f"{columns.pop()} " if len(columns) == 1 and all(isinstance(of, str) for of in operands) else ""


def _decided(holds: bool) -> str:
    return RECOMPUTED if holds else CONTRADICTED


def rounds_to(
    evidence: Evidence, recomputed: Operand, published: str, decimals: int | None = None
) -> Judgement:
    """The recomputed number, rounded as published, is the published one."""
    found = evidence.quantity(recomputed)
    fact = evidence.book.fact(published)
    target = evidence.book.number(published)
    digits = fact.decimals if decimals is None else decimals
    holds = abs(found.value - target) <= 0.5 * 10.0**-digits + SLACK
    words = "rounds to" if holds else "does not round to"
    reason = f"{stated(found)} {words} the published {fact.printed} at {digits} decimals."
    return Judgement(_decided(holds), reason, {"recomputed": found.value, "published": target})


def within(
    evidence: Evidence,
    recomputed: Operand,
    published: Operand,
    tolerance: float,
    relative: bool = False,
    is_gain: bool = False,
) -> Judgement:
    """The two agree up to `tolerance` (relative to the published one if asked).

    With `is_gain`, a number of the same sign outside the tolerance is "direction only".
    """
    found, target = evidence.quantity(recomputed), evidence.quantity(published)
    distance = abs(found.value - target.value)
    allowed = tolerance * (abs(target.value) if relative else 1)
    holds = distance <= allowed + SLACK
    verdict = _decided(holds)
    if not holds and is_gain and found.value * target.value > 0:
        verdict = DIRECTION
    reason = (
        f"{stated(found)} against {number(target.value)}: "
        f"{number(distance)} apart, {number(allowed)} allowed."
    )
    return Judgement(verdict, reason, {"recomputed": found.value, "published": target.value})


def all_higher(evidence: Evidence, higher: list[Operand], lower: list[Operand]) -> Judgement:
    """Every number in `higher` exceeds its partner in `lower`.

    For benchmark scores an order within the noise of their problems decides nothing: a pair that fails
    by less leaves the claim unresolved, and pairs that hold by less are no more than consistent.
    """
    if len(higher) != len(lower) or not higher:
        raise K2ReproError(f"{len(higher)} against {len(lower)} operands; pairs are needed")
    failing, against, near = 0, 0, 0
    parts: list[str] = []
    numbers: dict[str, float] = {}
    for index, (a, b) in enumerate(zip(higher, lower, strict=True), start=1):
        x, y = evidence.quantity(a), evidence.quantity(b)
        noise = noise_of(evidence.book, a, b)
        within_noise = noise is not None and abs(x.value - y.value) <= noise
        near += within_noise
        failing += x.value <= y.value
        against += x.value <= y.value and not within_noise
        parts.append(
            f"{_column(a, b)}{number(x.value)} {'>' if x.value > y.value else '<='} {number(y.value)}"
        )
        numbers |= {f"higher {index}": x.value, f"lower {index}": y.value}
    count = "all hold" if not failing else f"{failing} of {len(parts)} fail"
    if near:
        count += f"; {near} of {len(parts)} lie within two standard errors of their problems"
    verdict = CONTRADICTED if against else UNRESOLVED if failing else CONSISTENT if near else RECOMPUTED
    return Judgement(verdict, f"{'; '.join(parts)}: {count}.", numbers)


def near(evidence: Evidence, a: Operand, b: Operand) -> Judgement:
    """Two benchmark scores match: apart by no more than what decides nothing in `all_higher`."""
    x, y = evidence.quantity(a), evidence.quantity(b)
    noise = noise_of(evidence.book, a, b)
    if noise is None:
        raise K2ReproError(f"near: {a!r} and {b!r} are not scores of a benchmark with known problems")
    distance = abs(x.value - y.value)
    holds = distance <= noise
    sign = "<=" if holds else ">"
    apart = f"{number(x.value)} and {number(y.value)}: {number(distance)} apart"
    reason = f"{apart} {sign} {noise:.3g}, two standard errors of the difference."
    return Judgement(CONSISTENT if holds else CONTRADICTED, reason, {"distance": distance, "noise": noise})


def all_within(
    evidence: Evidence, recomputed: list[Operand], published: Operand, tolerance: float
) -> Judgement:
    """Every reading agrees with the published number up to `tolerance`; some but not all: unresolved."""
    target = evidence.quantity(published)
    found = [evidence.quantity(of) for of in recomputed]
    near_by = [abs(x.value - target.value) <= tolerance + SLACK for x in found]
    verdict = RECOMPUTED if all(near_by) else UNRESOLVED if any(near_by) else CONTRADICTED
    listed = "; ".join(map(stated, found))
    count = f"{sum(near_by)} of {len(found)} readings"
    reason = f"{count} lie within {tolerance:g} of {number(target.value)}: {listed}."
    numbers = {f"reading {i}": x.value for i, x in enumerate(found, start=1)} | {"published": target.value}
    return Judgement(verdict, reason, numbers)


def at_most(evidence: Evidence, value: Operand, limit: Operand) -> Judgement:
    """`value` does not exceed `limit`."""
    x, y = evidence.quantity(value), evidence.quantity(limit)
    sign = "<=" if x.value <= y.value else ">"
    reason = f"{stated(x)} {sign} {stated(y)}."
    return Judgement(_decided(x.value <= y.value), reason, {"value": x.value, "limit": y.value})


def all_between(evidence: Evidence, values: list[Operand], low: str, high: str) -> Judgement:
    """Every magnitude lies between two published bounds, rounded as the bounds are printed."""
    bounds = [evidence.book.number(low), evidence.book.number(high)]
    digits = max(evidence.book.fact(low).decimals, evidence.book.fact(high).decimals)
    found = [abs(evidence.quantity(value).value) for value in values]
    outside = [v for v in found if not bounds[0] <= round(v, digits) <= bounds[1]]
    reason = (
        f"Published range {bounds[0]:g} to {bounds[1]:g}; recorded magnitudes run from {min(found):g} to "
        f"{max(found):g} and {len(outside)} of {len(found)} lie outside, as printed at {digits} decimals "
        f"({', '.join(f'{v:g}' for v in found)})."
    )
    numbers = {"low": bounds[0], "high": bounds[1], "smallest": min(found), "largest": max(found)}
    numbers |= {f"value {index}": v for index, v in enumerate(found, start=1)}
    return Judgement(_decided(not outside), reason, numbers)


def on_grid(
    evidence: Evidence,
    cells: list[str],
    problems: Operand,
    tolerance: float,
    runs: str | None = None,
    if_off: str = CONTRADICTED,
) -> Judgement:
    """Scores averaged over whole runs lie on multiples of 1 / (runs * problems), up to `tolerance`.

    `if_off` is "unresolved" where another number of runs, which nobody printed, would explain a miss.
    """
    if if_off not in (CONTRADICTED, UNRESOLVED):
        raise unknown("verdict for cells off the grid", if_off, VERDICTS)
    steps = evidence.quantity(problems).value * (evidence.book.number(runs) if runs else 1)
    off, strict = [], 0
    numbers: dict[str, float] = {"grid points": steps}
    for key in cells:
        fact, score = evidence.book.fact(key), evidence.book.number(key)
        nearest = 100 * round(score * steps / 100) / steps
        numbers[key] = distance = abs(score - nearest)
        strict += distance > 0.5 * 10.0**-fact.decimals + SLACK
        if distance > tolerance + SLACK:
            off.append(f"{fact.row} / {fact.column} {fact.printed} (nearest {nearest:.2f})")
    named = f": {'; '.join(off)}" if off else ""
    reason = (
        f"On multiples of 1/{steps:g}, {len(off)} of {len(cells)} cells miss by more than "
        f"{tolerance:g} points{named}. At strict rounding {strict} miss."
    )
    return Judgement(RECOMPUTED if not off else if_off, reason, numbers)


def equals_source(
    evidence: Evidence, stated: str, source: str, if_equal: str = NOT_TESTABLE, because: str = ""
) -> Judgement:
    """Two prints of one number. Unequal: contradicted. Equal: quoted correctly, which measures nothing.

    `if_equal` is "recomputed" only where the source is the artefact itself (a config, the code).
    """
    if if_equal not in (RECOMPUTED, UNRESOLVED, NOT_TESTABLE):
        raise unknown("verdict for equal sources", if_equal, VERDICTS)
    a, b = evidence.book.fact(stated), evidence.book.fact(source)
    x, y = evidence.book.number(stated), evidence.book.number(source)
    numbers = {"stated": x, "source": y}
    allowed = 0.5 * 10.0**-a.decimals if a.decimals < b.decimals else 0.0
    if abs(x - y) > allowed + SLACK:
        return Judgement(CONTRADICTED, f"Stated {a.printed}; {b.source} has {b.printed} {b.unit}.", numbers)
    reason = f"Agrees with {b.printed} {b.unit} ({b.source}). {because}".strip()
    return Judgement(if_equal, reason, numbers)


def texts_differ(evidence: Evidence, stated: str, found: str) -> Judgement:
    """Two sources describe one thing in words; different words contradict the claim."""
    a, b = evidence.book.text(stated), evidence.book.text(found)
    source = evidence.book.fact(found).source
    if a != b:
        return Judgement(CONTRADICTED, f"Stated: {a}. Found: {b} ({source}).")
    return Judgement(UNRESOLVED, f"Both sources say {a!r}; nothing here measures it.")


def signs_agree(evidence: Evidence, gains: list[Operand]) -> Judgement:
    """All gains positive: recomputed; none: contradicted; mixed: the evidence conflicts."""
    found = [evidence.quantity(gain) for gain in gains]
    positive = sum(q.value > 0 for q in found)
    listed = "; ".join(map(stated, found))
    verdict = UNRESOLVED
    if positive in (0, len(found)):
        verdict = _decided(positive > 0)
    reason = f"{positive} of {len(found)} comparisons are in favour: {listed}."
    return Judgement(verdict, reason, {f"gain {i}": q.value for i, q in enumerate(found, start=1)})


def undecided(evidence: Evidence, reason: str, show: list[Operand] | None = None) -> Judgement:
    """The recorded evidence cannot decide; `show` are the numbers that a reader should see."""
    return _without_verdict(evidence, UNRESOLVED, reason, show or [])


def not_testable(evidence: Evidence, reason: str, show: list[Operand] | None = None) -> Judgement:
    """Nothing that runs here can decide; the reason is part of the declaration."""
    return _without_verdict(evidence, NOT_TESTABLE, reason, show or [])


def _without_verdict(evidence: Evidence, verdict: str, reason: str, show: list[Operand]) -> Judgement:
    found = [evidence.quantity(of) for of in show]
    listed = "; ".join(map(stated, found))
    sentence = f"{reason} Recorded: {listed}." if listed else reason
    return Judgement(verdict, sentence, {f"shown {i}": q.value for i, q in enumerate(found, start=1)})


PREDICATES: dict[str, Callable[..., Judgement]] = {
    function.__name__: function
    for function in (
        rounds_to,
        within,
        all_higher,
        at_most,
        all_between,
        all_within,
        near,
        on_grid,
        equals_source,
        texts_differ,
        signs_agree,
        undecided,
        not_testable,
    )
} | ROW_PREDICATES
