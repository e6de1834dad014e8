"""What the laptop profile was meant to reach, declared before it was run, and whether it does.

A difference meets its bar when its value does and its interval excludes zero on the bar's side. "No gain" is
the other way round: it is met unless the interval proves a gain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k2repro.rlvr.results import Effect


@dataclass(frozen=True)
class Bar:
    """least: at least this, interval above zero; most: at most this, interval below zero; none: no gain."""

    what: str
    row: str
    least: float | None = None
    most: float | None = None

    @property
    def asked(self) -> str:
        """The bar in words."""
        if self.least is not None:
            return f"at least {100 * self.least:+g} points, interval above 0"
        if self.most is not None:
            return f"at most {100 * self.most:+g} points, interval below 0"
        return "interval not above 0"

    def met(self, value: float, low: float, high: float) -> bool:
        """Whether a difference with its interval meets the bar."""
        if self.least is not None:
            return value >= self.least and low > 0
        if self.most is not None:
            return value <= self.most and high < 0
        return low <= 0


BARS = (
    Bar("RL from SFT, gain over the tiers", "rlvr.gain_from_sft.mean", least=0.03),
    Bar("RL from base, gain over the tiers", "rlvr.gain_from_base", least=0.25),
    Bar("RL from SFT ends above RL from base", "rlvr.final_from_sft_minus_final_from_base", least=0.0),
    Bar("restored short budget ends below full", "rlvr.two_stage_minus_full_budget", most=0.0),
    Bar("broken reward against its start", "rlvr.broken_reward_minus_sft"),
    Bar("code, gain by executed tests", "rlvr.code.gain", least=0.05),
)


def standings(found: Mapping[str, Effect]) -> list[dict[str, Any]]:
    """Every bar with what was measured, and for how many seeds alone the verdict is the same."""
    return [_standing(bar, found[bar.row]) for bar in BARS]


def _standing(bar: Bar, effect: Effect) -> dict[str, Any]:
    met = bar.met(effect.value, effect.interval.low, effect.interval.high)
    alike = sum(
        bar.met(value, interval.low, interval.high) == met for value, interval in effect.by_seed.values()
    )
    return {
        "bar": bar.what,
        "asked for": bar.asked,
        "measured (points)": f"{100 * effect.value:+.1f} "
        f"[{100 * effect.interval.low:+.1f}, {100 * effect.interval.high:+.1f}]",
        "met": met,
        "seeds that agree": f"{alike} of {len(effect.by_seed)}",
    }
