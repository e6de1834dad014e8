"""Catches: a curve of Figure 4 whose responses count under a budget that was not in force."""

from types import SimpleNamespace

import pytest

from k2repro.errors import K2ReproError
from k2repro.lab.rl_probe import ProbePoint
from k2repro.lab.rlvr import RlResults
from k2repro.lab.rlvr_curves import curves, landmarks

SHORT, FULL, SWITCH = 120, 288, 4


def point(step: int, lengths: tuple[int, ...], right: str = "1111") -> ProbePoint:
    """Four problems of one tier."""
    return ProbePoint(step, {"tier-1": right}, {"tier-1": lengths}, {"tier-1": (0.1,) * 4}, {})


def results(points: list[ProbePoint], steps: int = 8) -> RlResults:
    """A run whose budget is short before step SWITCH and full from it on."""
    records = tuple(SimpleNamespace(budget=SHORT if at < SWITCH else FULL) for at in range(steps))
    log = SimpleNamespace(seed=0, records=records, points=tuple(points))
    return RlResults({"short-budget": {0: log}}, {}, None)  # type: ignore[arg-type, dict-item]


def test_a_response_as_long_as_the_budget_fits_it():
    """Catches a boundary that is off by one: the budget is the number of tokens that may be written."""
    lengths = (SHORT - 1, SHORT, SHORT + 1, FULL)
    assert point(0, lengths).outcomes(SHORT) == {"tier-1": [1, 1, 0, 0]}
    assert point(0, lengths, "0111").outcomes(SHORT) == {"tier-1": [0, 1, 0, 0]}
    assert point(0, lengths).outcomes() == {"tier-1": [1, 1, 1, 1]}


def test_each_point_counts_under_the_budget_that_led_to_it():
    """Catches the point at the switch scored with the budget of the stage that comes after it."""
    lengths = (SHORT, SHORT + 1, SHORT + 1, FULL)
    run = curves(results([point(step, lengths) for step in (0, SWITCH, SWITCH + 1, 8)]), ["short-budget"])
    assert [(each.step, each.effect.value) for each in run["short-budget"]] == [
        (0, 0.25),
        (SWITCH, 0.25),
        (SWITCH + 1, 1.0),
        (8, 1.0),
    ]


def test_a_peak_is_the_first_of_equals_and_the_last_point_is_the_last():
    """Catches a peak that is taken for the end."""
    marks = ("0001", "0111", "0111", "0011")
    points = [point(2 * at, (1,) * 4, right) for at, right in enumerate(marks)]
    found = landmarks(curves(results(points), ["short-budget"])["short-budget"])
    assert {name: each.step for name, each in found.items()} == {"start": 0, "peak": 2, "last": 6}


def test_seeds_that_were_looked_at_elsewhere_are_refused():
    """Catches an average over points of different steps."""
    one, other = (results([point(0, (1,) * 4), point(step, (1,) * 4)]) for step in (4, 5))
    logs = {0: one.logs["short-budget"][0], 1: other.logs["short-budget"][0]}
    with pytest.raises(K2ReproError, match="after different steps"):
        curves(RlResults({"short-budget": logs}, {}, None), ["short-budget"])  # type: ignore[arg-type]
