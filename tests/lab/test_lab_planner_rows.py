"""Catches: the planner's passes beside the wrong searches, and problems looked at before counted as fresh."""

from dataclasses import replace

import numpy as np
import pytest
from solver_marks import solver_results

from k2repro.lab import planner
from k2repro.lab import planning_rows as rows
from k2repro.lab.candidates import PAIR
from k2repro.lab.marks import SEARCH
from k2repro.lab.planning_rows import LIKELIHOODS
from k2repro.mini.benchmarks import LEVELS
from k2repro.mini.plans import EARLY
from k2repro.results import open_rows

# Of the problems of each level, as many have deep pools.
DEEP = 10
ROW = "planning.planner_bo3_minus_bo3"


def number(marks) -> int:
    return int(marks.id.rpartition("/")[2])


def shaped(marks):
    """Pools of 8 where problems are fresh, of 16 where not; one planned pass, surely right where fresh."""
    if marks.kind == SEARCH and marks.split == "test" and number(marks) < DEEP:
        return replace(marks, of=marks.of * 2)
    if marks.kind not in planner.PLANNERS:
        return marks
    right = int(number(marks) >= DEEP and marks.kind == planner.LONG)
    return replace(marks, of=(0,), right=(right,), tokens=(50,), own=(50.0,), answer=(0,), judge=())


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    found = solver_results(tmp_path_factory.mktemp("weights"))
    return replace(found, marks={seed: list(map(shaped, marks)) for seed, marks in found.marks.items()})


@pytest.fixture(scope="module")
def found(results):
    return rows.add_rows(open_rows("04_planning", profile="smoke"), results)  # never saved


def test_fresh_problems_and_those_seen_before_stand_apart(results, found):
    """Catches a declared row that holds the problems which the declaration rests on: here they pull it down.

    A planned pass is as likely as can be, so it is taken wherever there is one: right where fresh.
    """
    select = rows.best_choice(results, LIKELIHOODS)
    searched = results.of("test", SEARCH)
    for row, fresh in ((ROW, True), (f"{ROW}.seen", False)):
        asked = {
            s: [each for each in marks if (number(each) >= DEEP) is fresh] for s, marks in searched.items()
        }
        three = rows.accuracy(asked, select, 3).mean.mean()
        assert found[row].value == pytest.approx(float(fresh) - three)
    levels = [found[f"{ROW}.{name}"].value for name in LEVELS]
    assert np.mean(levels) == pytest.approx(found[ROW].value)


def test_the_control_is_measured_by_its_own_passes(results, found):
    """Catches the planner's passes in the control's row: here all of the control's are wrong, and taken."""
    select = rows.best_choice(results, LIKELIHOODS)
    three = rows.accuracy(results.of("test", SEARCH), select, 3).mean.mean()
    assert found["planning.short_planner_bo3_minus_bo3"].value == pytest.approx(-three)
    assert found[ROW].value > 0


def test_without_fresh_problems_nothing_is_claimed(results):
    """Catches a declared row of problems that were looked at before, where there are no others."""
    known = {
        seed: [each for each in marks if each.split != "test" or number(each) < DEEP]
        for seed, marks in results.marks.items()
    }
    found = rows._planner_together(replace(results, marks=known))
    assert f"{ROW}.seen" in found and ROW not in found


def test_the_planner_is_paid_for(results, found):
    """Catches a second model that writes for nothing: its 20 tokens a plan, beside the solver's 50."""
    fresh = [each for marks in results.of("test", SEARCH).values() for each in marks if number(each) >= DEEP]
    search = np.mean([np.mean(each.column("tokens")) for each in fresh])
    pair = np.mean([np.mean(each.column("tokens")[:PAIR]) for each in fresh])
    solver = (PAIR * pair + 50) / (3 * search)
    assert found["planning.planner_bo3_token_ratio"].value == pytest.approx(solver)
    both = found["planning.planner_bo3_token_ratio_of_both_roles"].value
    assert both == pytest.approx(solver + 20 / (3 * search))
    dearer = [replace(each, tokens=10_000) for each in results.written["levels"]]
    dear = rows.add_rows(
        open_rows("04_planning", profile="smoke"),
        replace(results, written={**results.written, "levels": dearer}),
    )
    row = "planning.planner_bo3_minus_equal_tokens"
    assert dear[row].value < found[row].value


def test_both_rows_of_table_2_have_the_same_plans(results, found):
    """Catches "Plan only" along the planner's plan beside "Plan + Bo3" along the solver's own order."""
    row = "best_of_n.score.plan-bo3.mean"
    planned, searched = results.of("test", "planner"), results.of("test", SEARCH)
    select = rows.best_choice(results, LIKELIHOODS)
    assert found[row].value == pytest.approx(rows.mixed(searched, planned, select).mean.mean())
    failed = [replace(each, kind=EARLY) for each in results.written["validation"]]
    without = replace(results, written={**results.written, "validation": failed})
    own = rows.add_rows(open_rows("04_planning", profile="smoke"), without)
    assert own[row].value == pytest.approx(own["planning.own_bo3.mean"].value)
