"""Catches: a tuning log that hides what was chosen on test scores, or that loses an entry."""

import pytest

from k2repro.errors import K2ReproError
from k2repro.lab.choices import FILE, choice_records, load_choices, parse_choices
from k2repro.lab.rl_runs import FROM_SFT, STEPS_CODE, STEPS_FROM_SFT
from k2repro.lab.sft_recipe import FINE_TUNING, SFT
from k2repro.training.optimizer import LearningRates

GOOD = """
[[choice]]
stage = "sft"
date = "2026-11-29"
setting = "fewer steps"
seen = ["test"]
runs = "three seeds"
why = "room"
"""


def test_what_was_chosen_on_test_scores_stands_first():
    """Catches the one line that matters at the end of a long table."""
    records = choice_records("sft", "rl")
    on_test = ["test" in record["seen"] for record in records]
    assert on_test == sorted(on_test, reverse=True) and on_test.count(True) >= 2
    assert {record["changed"].split(":")[0] for record in choice_records("base")} == {"base"}


def test_the_log_ends_where_the_recipe_stands():
    """Catches a setting that was changed once more without a line in the log."""
    settings = " ".join(choice.setting for choice in load_choices())
    assert f"{SFT[0].steps} steps instead of" in settings
    last = next(c.setting for c in reversed(load_choices()) if "steps from SFT" in c.setting)
    assert last == f"{STEPS_FROM_SFT} steps from SFT, {STEPS_CODE} on code"
    assert f"rate of its own, {FROM_SFT.readout:g}" in settings
    assert FINE_TUNING.matrices == pytest.approx(0.3 * LearningRates().matrices)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace('"test"', '"nothing"'), "nothing"),
        (GOOD.replace('["test"]', "[]"), "what was seen"),
        (GOOD.replace("2026-11-29", "yesterday"), "needs a day"),
        (GOOD.replace('"sft"', '"stf"'), "stf"),
        (GOOD.replace("why", "because"), "because"),
        (GOOD.replace("why", "#"), "lacks why"),
    ],
)
def test_an_entry_that_hides_something_is_refused(text, message):
    """Catches a log with holes; FILE itself parses."""
    assert parse_choices(GOOD) and FILE.endswith(".toml")
    with pytest.raises(K2ReproError, match=message):
        parse_choices(text)
