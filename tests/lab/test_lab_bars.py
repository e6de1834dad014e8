"""Catches: a bar that counts as met although its interval touches zero, and "no gain" that a gain passes."""

from dataclasses import replace

import pytest

from k2repro.evaluate import Interval
from k2repro.evaluate.effects import Effect
from k2repro.lab.bars import Bar, standings
from k2repro.lab.rlvr_rows import BARS

GAIN = Bar("a gain", "row", low=0.03, shown=1)
BELOW = Bar("below", "row", high=0.0, shown=-1)
NO_GAIN = Bar("no gain", "row", no_gain=True)


@pytest.mark.parametrize(
    ("bar", "value", "low", "high", "met"),
    [
        (GAIN, 0.05, 0.01, 0.09, True),
        (GAIN, 0.05, -0.01, 0.11, False),  # large enough, but not shown
        (GAIN, 0.02, 0.01, 0.03, False),  # shown, but too small
        (BELOW, -0.02, -0.03, -0.01, True),
        (BELOW, -0.02, -0.05, 0.01, False),
        (NO_GAIN, 0.01, -0.01, 0.03, True),
        (NO_GAIN, -0.10, -0.12, -0.08, True),  # a loss is no gain
        (NO_GAIN, 0.01, 0.005, 0.015, False),
    ],
)
def test_a_bar_wants_its_value_and_its_interval(bar: Bar, value: float, low: float, high: float, met: bool):
    """Catches a verdict from the value alone."""
    assert bar.met(value, (low, high)) is met


def test_every_bar_is_held_against_its_own_row_and_seeds_are_counted():
    """Catches bars that read a neighbour's row, and seeds that agree by default."""
    found = {bar.row: _effect(0.5, 0.4, 0.6) for bar in BARS}
    sure, unsure = _effect(0.04, 0.01, 0.07), _effect(0.02, -0.01, 0.05)
    found["rlvr.gain_from_sft.mean"] = replace(sure, by_seed={0: sure.by_seed[0], 1: unsure.by_seed[0]})
    records = {record["what"]: record for record in standings(BARS, found)}
    assert len(records) == len(BARS)
    assert records["RL from SFT, gain over the tiers"]["met"] is True
    assert records["RL from SFT, gain over the tiers"]["seeds that agree"] == "1 of 2"
    assert records["broken reward against its start"]["met"] is False
    assert records["restored short budget ends below full"]["met"] is False


def _effect(value: float, low: float, high: float) -> Effect:
    interval = Interval(low, high, "test", 0.95, 10)
    return Effect(value, interval, 0.01, 10, {0: (value, interval)})
