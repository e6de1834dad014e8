"""What the laptop profile was meant to reach, declared before it was run, and whether it does.

A smaller profile is held against the same bars: it misses them, and its table says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from k2repro.evaluate.effects import Effect


@dataclass(frozen=True)
class Bar:
    """A range for a row; `low` and `high` belong to it.

    shown    +1 or -1: besides, the whole interval has to lie above or below zero
    no_gain  the other way round: met unless the interval lies above zero, whatever the value
    points   say it in points of a percentage rather than as a fraction
    """

    what: str
    row: str
    low: float = -inf
    high: float = inf
    shown: int = 0
    no_gain: bool = False
    points: bool = False

    def met(self, value: float, interval: tuple[float, float]) -> bool:
        """Whether a number with its interval meets the bar."""
        if self.no_gain:
            return interval[0] <= 0
        side = interval[0] > 0 if self.shown > 0 else interval[1] < 0 if self.shown < 0 else True
        return self.low <= value <= self.high and side

    @property
    def predicted(self) -> str:
        """The range in words."""
        if self.no_gain:
            return "interval not above 0"
        side = "" if not self.shown else f", interval {'above' if self.shown > 0 else 'below'} 0"
        if isfinite(self.low) and isfinite(self.high):
            return f"{self._said(self.low)} to {self._said(self.high)}{side}"
        if isfinite(self.low):
            return f"at least {self._said(self.low)}{side}"
        return f"at most {self._said(self.high)}{side}"

    def _said(self, value: float) -> str:
        return f"{100 * value:+g} points" if self.points else f"{value:g}"


def standings(bars: Sequence[Bar], found: Mapping[str, Effect]) -> list[dict[str, Any]]:
    """Every bar beside what was measured, and for how many seeds alone the verdict is the same.

    A row that does not exist is a bar that is not met.
    """
    return [_standing(bar, found.get(bar.row)) for bar in bars]


def _standing(bar: Bar, effect: Effect | None) -> dict[str, Any]:
    if effect is None:
        return {
            "what": bar.what,
            "predicted": bar.predicted,
            "measured": None,
            "met": False,
            "seeds that agree": "-",
        }
    interval = (effect.interval.low, effect.interval.high)
    met = bar.met(effect.value, interval)
    alone = [
        bar.met(value, interval if own is None else (own.low, own.high))
        for value, own in effect.by_seed.values()
    ]
    scale, sign = (100, "+.1f") if bar.points else (1, ".3f")
    value, low, high = (format(scale * number, sign) for number in (effect.value, *interval))
    return {
        "what": bar.what,
        "predicted": bar.predicted,
        "measured": f"{value} [{low}, {high}]",
        "met": met,
        "seeds that agree": f"{alone.count(met)} of {len(alone)}",
    }
