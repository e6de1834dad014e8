"""Catches a row of notebook 03 that is drawn from another model, or under another budget, than its name says.

Every model gets a pass rate and a share of short responses of its own, so that each difference of two models
is a number that no other pair gives.
"""

from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pytest

from k2repro.evaluate.pool import Attempts, Score, Scores
from k2repro.lab import rlvr_rows
from k2repro.lab.rl_runs import RUNS
from k2repro.lab.rlvr import SHARP_END, SHARP_START, RlResults
from k2repro.mini import programs
from k2repro.mini.benchmarks import MATHS
from k2repro.mini.mistakes import RIGHT

SWITCHED, SHORT = rlvr_rows.SWITCHED, RUNS["short-budget"].budget[0][1]
SHARP_SFT, SHARP_RL = f"from-sft{SHARP_START}", f"from-sft{SHARP_END}"
# Right answers, and how many of them fit the short budget, of 2,000 problems.
COUNTS = {
    "base": (100, 90),
    "sft": (1200, 701),
    "from-sft": (1432, 903),
    "from-base": (641, 407),
    SWITCHED: (1261, 1107),
    "short-budget": (1395, 1013),
    "broken-reward": (1153, 655),
    "uncentred": (1511, 866),
    SHARP_SFT: (1310, 731),
    SHARP_RL: (1475, 777),
}
PROBLEMS = 2000


def scores(right: int, short: int) -> Scores:
    """Problems dealt to the tiers in turn; the first `right` are solved, `short` of them briefly."""
    found = []
    for at in range(PROBLEMS):
        length = SHORT if at < short else SHORT + 1
        score = Score(RIGHT if at < right else "other", length, "stop", at < right)
        found.append(Attempts(f"problem-{at}", MATHS[at % len(MATHS)], (score,)))
    return Scores(tuple(found))


@pytest.fixture(scope="module")
def results() -> RlResults:
    logs = {name: {0: SimpleNamespace(run=run)} for name, run in RUNS.items()}
    made = {name: {0: scores(*counts)} for name, counts in COUNTS.items()}
    return RlResults(logs, made, Path())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def budgets(results: RlResults) -> rlvr_rows.Found:
    return rlvr_rows.budgets(results)


@pytest.fixture(scope="module")
def controls(results: RlResults) -> rlvr_rows.Found:
    return rlvr_rows.controls(results) | rlvr_rows.sharpening(results)


def test_the_models_can_be_told_apart():
    """Catches a table of counts in which two pairs of models differ alike: a swap would not show."""
    levels = [count for counts in COUNTS.values() for count in counts]
    gaps = [abs(one - other) for one, other in combinations(levels, 2)]
    assert len(set(levels)) == len(levels) and min(gaps) > 0


def full(model: str) -> float:
    return COUNTS[model][0] / PROBLEMS


def brief(model: str) -> float:
    return COUNTS[model][1] / PROBLEMS


BUDGET_ROWS = {
    # Under its own budget, as Figure 4 measures it; SFT under the full one.
    "rlvr.short_budget_minus_sft": brief(SWITCHED) - full("sft"),
    "rlvr.short_budget_minus_sft.full_budget": full(SWITCHED) - full("sft"),
    "rlvr.short_budget_minus_sft.both_short": brief(SWITCHED) - brief("sft"),
    # At the end of the run, not at the switch.
    "rlvr.two_stage_minus_full_budget": full("short-budget") - full("from-sft"),
    "rlvr.two_stage_minus_sft": full("short-budget") - full("sft"),
    "rlvr.sft_within_short_budget": brief("sft"),
}
CONTROL_ROWS = {
    "rlvr.broken_reward_minus_sft": full("broken-reward") - full("sft"),
    "rlvr.broken_reward_minus_sound_run": full("broken-reward") - full("from-sft"),
    "rlvr.uncentred_minus_sft": full("uncentred") - full("sft"),
    "rlvr.uncentred_minus_sound_run": full("uncentred") - full("from-sft"),
    "rlvr.sharp_sft_minus_sft": full(SHARP_SFT) - full("sft"),
    "rlvr.from_sft_minus_sharp_sft": full("from-sft") - full(SHARP_SFT),
    "rlvr.sharp_from_sft_minus_sharp_sft": full(SHARP_RL) - full(SHARP_SFT),
}


@pytest.mark.parametrize(("row", "expected"), BUDGET_ROWS.items())
def test_a_budget_row_is_of_its_models_under_its_budgets(budgets, row, expected):
    """Catches the switch in place of the end, and a short run scored without its budget."""
    assert budgets[row].value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("row", "expected"), CONTROL_ROWS.items())
def test_a_control_row_is_of_its_models(controls, row, expected):
    """Catches a control that is compared with another run than its name says."""
    assert controls[row].value == pytest.approx(expected, abs=1e-9)


def test_no_budget_row_is_left_out_of_this_table(budgets):
    """Catches a new row that nobody holds against its name."""
    assert budgets.keys() == BUDGET_ROWS.keys()


@pytest.mark.parametrize("wrong", [SWITCHED, "from-sft"])
def test_the_table_notices_another_model(results, wrong):
    """Wrong twin: the end of the two-stage run replaced by another model of the same campaign."""
    swapped = RlResults(results.logs, {**results.scores, "short-budget": results.scores[wrong]}, Path())
    row = "rlvr.two_stage_minus_sft"
    assert rlvr_rows.budgets(swapped)[row].value != pytest.approx(BUDGET_ROWS[row], abs=1e-6)


def test_programs_are_not_among_the_tiers_of_maths():
    """Catches code scores that are averaged into a maths row."""
    assert programs.TIER not in MATHS
