"""Did the shipped numbers come out again? Row by row, with the rule that was applied.

Inside one fingerprint a row must be identical. Across fingerprints (another CPU, torch or thread count) an
exact row must still be identical. A number that rests on trained models cannot be: training amplifies
rounding, so the same seeds come out as other draws of the same recipe. There both runs are samples of
trainings, and their difference is held against the two-level intervals of both, widened for the few seeds
that stand behind them (Student's t, 99 %). Besides, an effect whose intervals lie on opposite sides of zero
has not come out again, however wide they are. One seed says nothing about that and is reported only.

Many rows at 99 % miss by chance, and rows of one pillar hang together. So a run is judged by the rows that a
prediction names, and lists the others: `failures`.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from math import hypot, sqrt
from statistics import NormalDist

from k2repro.results.rows import Row
from k2repro.student_t import t_quantile

# Sums of floats may differ in the last digits between CPUs; whole numbers may not differ at all.
RELATIVE_TOLERANCE = 1e-9
# Level of the comparison of two sets of trainings, and of the intervals that rows hold.
LEVEL, ROW_LEVEL = 0.99, 0.95
SIDES = "other fingerprint: on the other side of zero"
APART = "other fingerprint: differs by at most"


@dataclass(frozen=True)
class Comparison:
    """One row of this run beside the shipped one.

    outcome   "identical" | "within interval" | "outside" | "not comparable" | "missing" | "new"
    """

    id: str
    outcome: str
    shipped: float | None
    here: float | None
    rule: str

    def as_dict(self) -> dict[str, str | float | None]:
        return asdict(self)

    @property
    def of_trainings(self) -> bool:
        """Two sets of trained models on two machines were compared."""
        return self.rule.startswith((SIDES, APART))

    @property
    def reproduced(self) -> bool:
        return self.outcome in ("identical", "within interval")


def compare_rows(shipped: Mapping[str, Row], here: Mapping[str, Row]) -> list[Comparison]:
    """Every id of either side, sorted."""
    return [
        _compare(row_id, shipped.get(row_id), here.get(row_id))
        for row_id in sorted(shipped.keys() | here.keys())
    ]


def _compare(row_id: str, old: Row | None, new: Row | None) -> Comparison:
    if old is None or new is None:
        value = new.value if new else None
        outcome = "missing" if new is None else "new"
        return Comparison(row_id, outcome, old.value if old else None, value, "present on both sides")
    if old.fingerprint == new.fingerprint:
        outcome = "identical" if old.value == new.value and old.interval == new.interval else "outside"
        return Comparison(row_id, outcome, old.value, new.value, "same fingerprint: identical")
    if old.scale == "exact":
        slack = RELATIVE_TOLERANCE * max(abs(old.value), abs(new.value))
        both_whole = isinstance(old.value, int) and isinstance(new.value, int)
        close = abs(old.value - new.value) <= (0 if both_whole else slack)
        return Comparison(
            row_id,
            "identical" if close else "outside",
            old.value,
            new.value,
            "exact quantity: equal anywhere",
        )
    return Comparison(row_id, *_measured_elsewhere(old, new))


def _measured_elsewhere(old: Row, new: Row) -> tuple[str, float, float, str]:
    """Outcome, both values and rule for a measured row of two machines."""
    numbers = (float(old.value), float(new.value))
    if old.interval is None or (old.seeds and new.interval is None):
        same = "identical" if old.value == new.value else "not comparable"
        return (same, *numbers, "other fingerprint, no interval: reported only")
    if not old.seeds:
        inside = old.interval[0] <= new.value <= old.interval[1]
        outcome = "within interval" if inside else "outside"
        return (outcome, *numbers, "other fingerprint: in interval")
    if min(len(old.seeds), len(new.seeds)) < 2:
        return ("not comparable", *numbers, "other fingerprint, one seed: reported only")
    if not all("seed" in (row.interval_method or "") for row in (old, new)):
        return ("not comparable", *numbers, "other fingerprint, interval over problems: reported only")
    if _opposite(old, new):
        return ("outside", *numbers, SIDES)
    allowed = allowed_difference(old, new)
    outcome = "within interval" if abs(new.value - old.value) <= allowed else "outside"
    return (outcome, *numbers, f"{APART} {allowed:.3g}")


def allowed_difference(old: Row, new: Row) -> float:
    """How far two runs of one recipe may lie apart, from their two-level intervals and numbers of seeds.

    Each side brings the half of its interval that faces the other, as a standard error; k resampled seeds
    spread (k - 1) / k too little in variance, which is put right. t has as many degrees of freedom as both
    have seeds beyond their means.
    """
    lower, upper = sorted((old, new), key=lambda row: row.value)
    assert lower.interval is not None and upper.interval is not None
    halves = (lower.interval[1] - lower.value, upper.value - upper.interval[0])
    normal = NormalDist().inv_cdf((1 + ROW_LEVEL) / 2)
    errors = [
        max(half, 0.0) / normal * sqrt(len(row.seeds) / (len(row.seeds) - 1))
        for half, row in zip(halves, (lower, upper), strict=True)
    ]
    degrees = len(lower.seeds) + len(upper.seeds) - 2
    return t_quantile((1 + LEVEL) / 2, degrees) * hypot(*errors)


def _opposite(old: Row, new: Row) -> bool:
    """Both intervals leave zero out, on different sides."""
    assert old.interval is not None and new.interval is not None
    return old.interval[0] > 0 > new.interval[1] or new.interval[0] > 0 > old.interval[1]


def failures(comparisons: list[Comparison], deciding: Collection[str]) -> list[Comparison]:
    """What a reproduction may not show.

    deciding: ids of the rows that decide between two machines. Everywhere else, and for exact rows, a row
    that differs fails; so does one that is missing.
    """
    return [
        each
        for each in comparisons
        if each.outcome == "missing"
        or (each.outcome == "outside" and (each.id in deciding or not each.of_trainings))
    ]


def summarise(comparisons: list[Comparison]) -> str:
    """One line: how many rows came out again, and the outcomes of the rest."""
    counts: dict[str, int] = {}
    for comparison in comparisons:
        counts[comparison.outcome] = counts.get(comparison.outcome, 0) + 1
    good = sum(comparison.reproduced for comparison in comparisons)
    rest = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    return f"{good} of {len(comparisons)} rows came out again ({rest})"
