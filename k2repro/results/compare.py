"""Did the shipped numbers come out again? Row by row, with the rule that was applied.

Inside one fingerprint a row must be identical. Across fingerprints (another CPU, torch or thread
count) a computed row must still be identical, and a measured one must lie within the shipped interval.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from k2repro.results.rows import Row

# Sums of floats may differ in the last digits between CPUs; whole numbers may not differ at all.
RELATIVE_TOLERANCE = 1e-9


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
    if not old.is_measured:
        slack = RELATIVE_TOLERANCE * max(abs(old.value), abs(new.value))
        both_whole = isinstance(old.value, int) and isinstance(new.value, int)
        close = abs(old.value - new.value) <= (0 if both_whole else slack)
        return Comparison(
            row_id,
            "identical" if close else "outside",
            old.value,
            new.value,
            "computed, not measured: equal anywhere",
        )
    if old.interval is None:
        same = old.value == new.value
        return Comparison(
            row_id,
            "identical" if same else "not comparable",
            old.value,
            new.value,
            "other fingerprint, no interval: reported only",
        )
    inside = old.interval[0] <= new.value <= old.interval[1]
    return Comparison(
        row_id,
        "within interval" if inside else "outside",
        old.value,
        new.value,
        "other fingerprint: in interval",
    )


def summarise(comparisons: list[Comparison]) -> str:
    """One line: how many rows came out again, and the outcomes of the rest."""
    counts: dict[str, int] = {}
    for comparison in comparisons:
        counts[comparison.outcome] = counts.get(comparison.outcome, 0) + 1
    good = sum(comparison.reproduced for comparison in comparisons)
    rest = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    return f"{good} of {len(comparisons)} rows came out again ({rest})"
