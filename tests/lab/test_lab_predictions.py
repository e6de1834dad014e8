"""Catches: a verdict from too few seeds or the wrong interval, a bound that nothing misses, a loose file."""

from dataclasses import replace

import pytest

from k2repro.errors import K2ReproError
from k2repro.lab.predictions import (
    DeclaredEffect,
    complaint,
    load_predictions,
    of_room,
    parse_predictions,
    standings,
    verdict,
)
from k2repro.results import Fingerprint, Row

GAIN = DeclaredEffect(
    effect="room.gain",
    what="a gain",
    direction="above",
    least=0.03,
    beyond=0.0,
    unit="points",
    seeds=3,
    n=100,
    why="because",
)
BELOW = replace(GAIN, direction="below", least=float("-inf"), most=0.0)
NO_GAIN = replace(GAIN, direction="not above", least=float("-inf"))
LEVEL = replace(GAIN, direction="within", least=0.25, most=0.70, beyond=None, unit="fraction")


def row(
    value: float, low: float, high: float, seeds: int = 3, n: int = 100, method: str = "seed, problem"
) -> Row:
    return Row(
        id="room.gain",
        value=value,
        unit="fraction",
        n=n,
        interval=(low, high),
        interval_method=method,
        seeds=tuple(range(seeds)),
        by_seed=tuple(value + 0.01 * (seed - (seeds - 1) / 2) for seed in range(seeds)),
        profile="laptop",
        params_hash="0" * 16,
        code_hash="1" * 16,
        data_hash="2" * 16,
        fingerprint=Fingerprint("3.11", "2.13.0", "AVX2", 2),
        scale="mini",
    )


@pytest.mark.parametrize(
    ("prediction", "value", "low", "high", "words"),
    [
        (GAIN, 0.05, 0.01, 0.09, "holds"),
        (GAIN, 0.05, -0.01, 0.11, "does not hold: the interval reaches 0 points"),
        (GAIN, 0.05, 0.0, 0.11, "does not hold: the interval reaches 0 points"),
        (GAIN, 0.02, 0.01, 0.03, "does not hold: the value is below 3 points"),
        (BELOW, -0.02, -0.03, -0.01, "holds"),
        (BELOW, -0.02, -0.05, 0.0, "does not hold: the interval reaches 0 points"),
        (NO_GAIN, 0.01, -0.01, 0.03, "holds"),
        (NO_GAIN, -0.10, -0.12, -0.08, "holds"),  # a loss is no gain
        (NO_GAIN, 0.01, 0.005, 0.015, "does not hold: the interval lies above 0 points"),
        (LEVEL, 0.70, 0.6, 0.8, "holds"),
        (LEVEL, 0.71, 0.6, 0.8, "does not hold: the value is above 0.7"),
    ],
)
def test_a_prediction_wants_its_value_and_its_interval(prediction, value, low, high, words):
    """Catches a verdict from the value alone, and an interval that touches its bound and counts."""
    assert verdict(prediction, row(value, low, high)) == words


@pytest.mark.parametrize(
    ("short", "words"),
    [
        ({"seeds": 2}, "2 of 3 seeds"),
        ({"n": 99}, "99 of 100 problems"),
        ({"method": "bootstrap by problem"}, "holds the seeds fixed"),
    ],
)
def test_a_row_that_rests_on_too_little_decides_nothing(short, words):
    """Catches fewer seeds or problems than declared, and an interval blind to training, called a verdict."""
    good, bad = row(0.05, 0.01, 0.09, **short), row(0.02, -0.01, 0.05, **short)
    assert verdict(GAIN, good).startswith("undecided") and words in verdict(GAIN, good)
    assert "as predicted so far" in verdict(GAIN, good) and "not so far" in verdict(GAIN, bad)


def test_a_row_that_is_missing_is_waited_for():
    """Catches a prediction that holds because nothing was measured."""
    [record] = standings([GAIN], {})
    assert (record["measured"], record["verdict"]) == (None, "waits for its row")


def test_a_line_shows_both_intervals_and_every_seed():
    """Catches a table that hides how far seeds lie apart."""
    [record] = standings([GAIN], {"room.gain": row(0.05, 0.01, 0.09)})
    assert record["measured"].startswith("+5.0 [+1.0, +9.0]; t over seeds [+2.5, +7.5]")
    assert record["each seed"] == "+4.0 +5.0 +6.0"


@pytest.mark.parametrize("prediction", load_predictions(), ids=lambda each: each.effect)
def test_every_shipped_prediction_can_be_met_and_missed(prediction):
    """Catches a bound that no number fails, or none meets."""
    middle = {"above": prediction.least, "below": prediction.most, "within": prediction.least}
    inside = middle.get(prediction.direction, prediction.beyond or 0.0)
    beyond = {"above": 1e-6, "below": -1e-6}.get(prediction.direction, 0.0)
    assert complaint(prediction, row(inside + beyond, inside + beyond, inside + beyond)) is None
    outside = inside + {"above": -0.01, "within": -0.01}.get(prediction.direction, 0.01)
    assert complaint(prediction, row(outside, outside, outside)) is not None


def test_the_rooms_share_out_all_predictions():
    """Catches a prediction that no notebook shows."""
    shown = [each for room in ("sft", "rlvr", "planning", "best_of_n") for each in of_room(room)]
    assert sorted(each.effect for each in shown) == sorted(each.effect for each in load_predictions())
    with pytest.raises(K2ReproError, match="sftt"):
        of_room("sftt")


GOOD = """
[[prediction]]
effect = "room.gain"
what = "a gain"
direction = "above"
least = 0.03
unit = "points"
seeds = 5
n = 100
why = "because"
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + GOOD, "two predictions for room.gain"),
        (GOOD.replace("least", "lest"), "lest"),
        (GOOD.replace("why", "#"), "lacks why"),
        (GOOD.replace('"above"', '"up"'), "up"),
        (GOOD.replace("least = 0.03", "most = 0.03"), "does not go with the bounds"),
        (GOOD.replace("least = 0.03", ""), "does not go with the bounds"),
        (GOOD.replace("seeds = 5", "seeds = 0"), "seeds 0"),
        (GOOD.replace("seeds = 5", "seeds ="), "not TOML"),
    ],
)
def test_a_loose_file_is_refused_by_name(text, message):
    """Catches a key that is misspelt and therefore ignored, and a second prediction of one row."""
    assert parse_predictions(GOOD, "here")[0].declared == "before the run"
    with pytest.raises(K2ReproError, match=message):
        parse_predictions(text, "here")
