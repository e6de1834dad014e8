"""What notebooks 04 and 05 show of single problems is what the solver wrote and the grader says."""

from pathlib import Path

import pytest

from k2repro.lab.sft_recipe import MODEL
from k2repro.lessons.judging import SHOWN, Round, rounds
from k2repro.lessons.planning import Answered, differing, pairs_of_answers
from k2repro.mini.benchmarks import LEVELS, benchmark_problems
from k2repro.mini.checkpoint import new_model, save_checkpoint


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_checkpoint(new_model(MODEL, 0, 2), folder)
    return folder


def test_both_answers_are_to_the_same_problem(untrained):
    """Catches a search of one problem beside the planned pass of another."""
    problems = benchmark_problems(LEVELS[0], "validation", 2)
    found = pairs_of_answers(untrained, problems)
    assert [each[0].id for each in found] == [problem.id for problem in problems]
    for _, search, planned in found:
        assert 0 <= search.good <= len(search.text) and not search.right and search.text != planned.text


def test_the_shown_problem_is_one_that_the_plan_alone_solved():
    """Catches a pair that shows no difference where one could be shown."""
    wrong, right = Answered("w", 1, 0, "unreadable"), Answered("r", 1, 1, "right")
    pairs = [("a", right, right), ("b", right, wrong), ("c", wrong, right)]
    assert differing(pairs)[0] == "c"
    assert differing(pairs[:2])[0] == "b"
    assert differing(pairs[:1])[0] == "a"


def test_a_round_shows_everybody_s_pick_and_who_is_right():
    """Catches a panel that grades the reader against a chooser instead of the grader."""
    game = Round("q", ("x", "y", "z"), {"judge": 2}, (False, True, False))
    assert game.records(1) == [
        {"who": "you", "picked": 2, "right": "yes"},
        {"who": "judge", "picked": 3, "right": "no"},
    ]
    assert game.records() == game.records(1)[1:]


def test_rounds_come_from_a_solver_and_a_judge(untrained):
    """Catches choosers that are missing, or picks beyond the answers."""
    games = rounds(untrained, untrained, among=1)
    assert games and all(set(game.picks) == set(SHOWN) for game in games)
    assert all(0 <= at < len(game.texts) for game in games for at in game.picks.values())
