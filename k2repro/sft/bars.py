"""What the laptop profile was meant to reach, declared before it was run, and whether it does.

A bar is met when the number lies inside it; it is met surely when the whole interval does. A smaller profile
is held against the same bars: it misses them, and its table says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from k2repro.sft.results import Evidence, Measured, Numbers
from k2repro.sft.rows import curve_rows, pass_at_k_rows, pass_rows


@dataclass(frozen=True)
class Bar:
    """A range for a row; `low` and `high` belong to it."""

    what: str
    row: str
    low: float = -inf
    high: float = inf

    def met(self, value: float) -> bool:
        """Whether a value lies in the range."""
        return self.low <= value <= self.high

    @property
    def asked(self) -> str:
        """The range in words."""
        if self.low == -inf:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high == inf else f"{self.low:g} to {self.high:g}"


BARS = (
    Bar("SFT, easiest tier", "sft.pass_at_1.final.tier-1", low=0.90),
    Bar("SFT, hardest tier", "sft.pass_at_1.final.tier-4", 0.25, 0.70),
    Bar("SFT, mean of the maths tiers", "sft.pass_at_1.final.mean", 0.65, 0.88),
    Bar("SFT, programs", "sft.pass_at_1.final.code", 0.30, 0.90),
    Bar("base, mean of the maths tiers", "sft.pass_at_1.base.mean", high=0.15),
    Bar("base, pass@k over pass@1 at the largest k", "sft.pass_at_k.base_ratio.mean", low=3.0),
    Bar("reasoning minus direct, third tier", "sft.cot_minus_direct.tier-3", low=0.30),
    Bar("reasoning minus direct, hardest tier", "sft.cot_minus_direct.tier-4", low=0.30),
    Bar("share of the gain in the first quarter", "sft.gain_share_at_quarter", low=0.50),
    Bar("share of the gain in the last quarter", "sft.gain_share_of_last_quarter", high=0.15),
)


@dataclass(frozen=True)
class Standing:
    """A bar beside what was measured, over all seeds and for each; None where the number does not exist."""

    bar: Bar
    measured: Measured | None
    by_seed: Mapping[int, float | None]

    @property
    def met(self) -> bool:
        return self.measured is not None and self.bar.met(self.measured.value)

    @property
    def surely(self) -> bool:
        """Whether the interval lies on one side: all of it in the range, or all of it outside."""
        if self.measured is None:
            return False
        low, high = self.measured.interval
        inside = self.bar.met(low) and self.bar.met(high)
        return inside or high < self.bar.low or low > self.bar.high

    @property
    def agreeing(self) -> int:
        """How many seeds give the same verdict as all together."""
        return sum((value is not None and self.bar.met(value)) == self.met for value in self.by_seed.values())

    def record(self) -> dict[str, object]:
        """The standing as a line of a table."""
        return {
            "bar": self.bar.what,
            "asked for": self.bar.asked,
            "measured": None if self.measured is None else round(self.measured.value, 3),
            "met": self.met,
            "interval on one side": self.surely,
            "seeds that agree": f"{self.agreeing} of {len(self.by_seed)}",
        }


def standings(evidence: Evidence) -> list[Standing]:
    """Every bar with its numbers."""
    pooled = _numbers(evidence)
    seeds = {seed: _numbers(evidence.only(seed)) for seed in evidence.seeds}
    return [
        Standing(
            bar,
            pooled.get(bar.row),
            {seed: numbers[bar.row].value if bar.row in numbers else None for seed, numbers in seeds.items()},
        )
        for bar in BARS
    ]


def _numbers(evidence: Evidence) -> Numbers:
    return pass_rows(evidence) | pass_at_k_rows(evidence) | curve_rows(evidence)
