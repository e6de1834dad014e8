"""Planning: replies are read or counted, a plan reaches the solver whole, and leaks are told from chance."""

import pytest

from k2repro.engine.backend import Completion
from k2repro.errors import K2ReproError
from k2repro.planning import Plan, holds_answer, leak_rate, make_plans, read_need, with_plan


def reply(text, finish="stop"):
    return Completion((), finish, text=text, counted=5)


class Planner:
    """Gives the replies in order: to the topics request, then to the plan requests."""

    def __init__(self, *needs, plan="1. Factor n. 2. Count."):
        self.needs, self.plan, self.requests = needs, plan, []

    def __call__(self, requests):
        self.requests += requests
        if requests[0].label == "topics":
            return [[reply(text) for text in self.needs]]
        return [[reply(self.plan)] for _ in requests]


NEEDED = '{"needs_plan": true, "topics": ["divisors", "parity"]}'


def test_the_procedure_step_by_step():
    """Catches topics that never reach the plan, and plans that are one plan copied N times."""
    ask = Planner(NEEDED, '{"needs_plan": false, "topics": []}', "Sure! " + NEEDED)
    plans = make_plans("How many divisors has 12?", ask, count=3, seed=4)
    topics, first, third = ask.requests
    assert topics.n == 3
    assert topics.schema is not None
    assert "divisors; parity" in first.prompt[0].content
    assert first.seed != third.seed
    assert [plan.text for plan in plans] == ["1. Factor n. 2. Count.", "", "1. Factor n. 2. Count."]
    assert all(request.role == "planner" for request in ask.requests)


@pytest.mark.parametrize("text", ["", "No idea.", '{"needs_plan": "yes"}', "{broken", '["a"]'])
def test_a_reply_that_is_no_json_costs_no_sample(text):
    """Catches the released code's way: such a reply raises and the sample is lost."""
    need = read_need(reply(text))
    assert need.wanted
    assert not need.readable


def test_the_solver_reads_question_and_plan_and_an_empty_plan_changes_nothing():
    question = "How many divisors has 12?"
    assert with_plan(question, None) == with_plan(question, Plan("")) == question
    text = with_plan(question, Plan("Factor 12."))
    assert question in text
    assert "<ideas>\nFactor 12.\n</ideas>" in text
    with pytest.raises(K2ReproError, match="empty"):
        with_plan("  ", None)


def test_failed_planner_calls_are_no_plan():
    ask = Planner(NEEDED)
    ask.plan = ""
    (plan,) = make_plans("q?", ask, count=1, seed=0)
    assert plan.text == ""
    assert not plan.states_answer


@pytest.mark.parametrize(
    ("plan", "gold", "leaks"),
    [
        ("Count to 6.", "6", True),
        ("Count to 16.", "6", False),
        ("It is 6.5 at most", "6", False),
        ("Use 12 = 3 * 4.", "12", False),
    ],
)
def test_a_leak_is_the_answer_as_a_word_that_the_question_does_not_hold(plan, gold, leaks):
    """Catches 16 counted as 6, and a number that the question itself gives."""
    assert holds_answer(plan, "How many divisors has 12?", gold) is leaks


def test_leaks_are_held_against_chance():
    """Catches small answers that stand in any plan being called leaks."""
    plans = ["Step 1, step 2.", "Step 1, step 2.", "The answer is 7.", ""]
    found = leak_rate(plans, ["a?", "b?", "c?", "d?"], ["1", "2", "7", "9"])
    assert found.plans == 3
    assert found.held == 1.0
    assert found.chance == pytest.approx(2 / 6)
    assert found.stated == pytest.approx(1 / 3)
    with pytest.raises(K2ReproError, match="must be equal"):
        leak_rate(["a"], [], [])
