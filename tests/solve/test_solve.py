"""The whole procedure on a server and on mini-K2: what is asked, who is chosen, what it costs."""

from dataclasses import replace

import pytest
from stubs import stub

from k2repro.best_of_n import Candidate
from k2repro.engine.backend import Completion, Sampling
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.server import Endpoint
from k2repro.errors import K2ReproError
from k2repro.planning import Plan
from k2repro.results import Places
from k2repro.solve import ChatDialect, Roles, SolveSettings, read_answer, solve, write_trace
from k2repro.wafer.replay.trace_file import read_trace

SHORT = Sampling(64, 1.0, 0.95, ("</answer>",))


def roles(url):
    backend = EndpointBackend(Endpoint(url, "stub"))
    return Roles(backend, backend, backend)


def test_plan_sample_judge_and_every_call_on_the_bill(tmp_path):
    """Catches calls of planner or judge that are not counted, and a trace that the replayer cannot read."""
    with stub(wrong=0.4) as url:
        found = [
            solve(f"What is {number} + 5?", roles(url), ChatDialect(), SolveSettings(solver=SHORT), seed=1)
            for number in range(12)
        ]
    for number, solution in enumerate(found):
        right = [each.answer == str(number + 5) for each in solution.candidates]
        # The stub's judge knows the answer, so a right candidate is always found.
        assert (solution.answer == str(number + 5)) is any(right)
        assert [plan.text for plan in solution.plans] == ["Add the units first, then the tens."] * 3
        usage = solution.usage
        assert (usage["planner"].calls, usage["solver"].calls, usage["judge"].calls) == (6, 3, 2)
        assert solution.verdicts.asked == 2
    assert any(len({each.answer for each in solution.candidates}) > 1 for solution in found)
    trace = read_trace(write_trace(tmp_path / "trace.jsonl", found, source="stub"))
    assert [phase.name for phase in trace.requests[0].phases] == [
        "topics",
        "plan",
        "planned",
        "judge-1",
        "judge-2",
    ]
    spent = sum(usage.output_tokens for solution in found for usage in solution.usage.values())
    assert trace.output_tokens == spent


def test_planned_and_unplanned_are_mixed_and_a_plan_that_is_not_needed_is_left_out():
    with stub(planner='{"needs_plan": false, "topics": []}') as url:
        found = solve(
            "What is 1 + 5?", roles(url), ChatDialect(), SolveSettings(n=3, planned=2, solver=SHORT), seed=0
        )
    assert [each.planned for each in found.candidates] == [False, False, False]
    assert [call.phase for call in found.calls if call.role == "solver"] == ["search", "planned", "planned"]


def test_a_judge_that_answers_prose_keeps_the_first_and_is_counted():
    with stub(judge="I like them both.") as url:
        found = solve(
            "What is 1 + 5?", roles(url), ChatDialect(), SolveSettings(planned=0, solver=SHORT), seed=0
        )
    assert (found.chosen, found.verdicts.unreadable) == (0, 2)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"Thus \boxed{12} or \boxed{13}", None),
        ("<answer>12", "12"),
        (r"<answer>\boxed{7}</answer>", "7"),
        ("Die Antwort ist 12.", None),
        ("", None),
        (r"first \boxed{1}" + "\n" + r"then \boxed{2}", "2"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{12", None),
    ],
)
def test_answers_are_read_or_missing_never_guessed(text, answer):
    """Catches the first of two answers being taken, and a number being fished out of prose."""
    assert read_answer(text) == answer


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(K2ReproError, match="no more plans than samples"):
        SolveSettings(n=2, planned=3)
    with pytest.raises(K2ReproError, match="round-robin"):
        SolveSettings(select="roundrobin")
    backend = object()
    with pytest.raises(K2ReproError, match="needs a judge"):
        solve("q", Roles(backend), ChatDialect(), SolveSettings(), seed=0)


@pytest.fixture(scope="module")
def mini():
    from k2repro.engine import LocalBackend
    from k2repro.solve.mini import shipped_checkpoint

    folder = shipped_checkpoint(Places.find().shipped_artifacts("laptop"))
    return LocalBackend.from_checkpoint(folder, compiled=False)


def test_mini_k2_solves_out_of_the_box_by_its_own_order(mini):
    """Catches a plan that is not the order of the likeliest pass, and an answer of another sample."""
    from k2repro.mini.variables import problems
    from k2repro.solve.mini import SETTINGS, MiniDialect

    right = 0
    for problem in problems("tier-1", "validation", 6):
        found = solve(problem.question, Roles(mini), MiniDialect(), SETTINGS, seed=0)
        (plan,) = found.plans
        assert plan.source == "own"
        planned = {name.removesuffix("?") for name in plan.text.split()[1:]}
        assert planned >= set(problem.facts["asked"]) - set(problem.facts["values"])
        assert [each.planned for each in found.candidates] == [False, False, True]
        assert found.answer == found.candidates[found.chosen].answer
        assert found.scores[found.chosen] == max(found.scores)
        right += found.answer == problem.gold.strip()
    assert right >= 5


class Planner:
    """A planner of mini-K2 that gives one reply after the other."""

    name = "planner"

    def __init__(self, *replies, finish="stop"):
        self.replies, self.finish, self.requests = replies, finish, []

    def complete(self, requests, *, progress=None):
        self.requests += requests
        return [
            [
                Completion((1,) * 9, self.finish, text=text, error="" if text else "gone")
                for text in self.replies[: each.n]
            ]
            for each in requests
        ]


QUESTION = "q=7 m: - p i i=4 p: + q i ? m p"


def test_mini_k2_follows_what_a_planner_hands_over_and_nothing_else_of_it(mini):
    """Catches a solver that reads the planner's thinking, and a planner whose tokens nobody counts."""
    from k2repro.mini.plans import planning_response
    from k2repro.mini.question import read_question
    from k2repro.solve.mini import SETTINGS, MiniDialect

    reply = planning_response(read_question(QUESTION)) + "<|im_end|>"
    planner = Planner(reply)
    found = solve(QUESTION, Roles(mini, planner), MiniDialect(), SETTINGS, seed=0)
    assert found.plans == (Plan(" plan p? m?"),)
    assert [each.planned for each in found.candidates] == [False, False, True]
    assert (found.usage["planner"].calls, found.usage["planner"].output_tokens) == (1, 9)
    assert [each.role for each in planner.requests] == ["planner"]
    (asked,) = {each.prompt[0].content for each in planner.requests}
    assert asked == MiniDialect().check(QUESTION)
    assert "? p=" not in found.candidates[2].text


@pytest.mark.parametrize(
    ("reply", "finish", "fault"),
    [
        ("<think> plan p=0 p? z=0</think>", "stop", "undefined name"),
        ("<think> plan q=0</think>", "stop", "undefined name"),
        ("<think></think><answer> plan p m</answer>", "stop", "empty"),
        ("<think> plan p=0 p? m=0</think>", "length", "unfinished"),
        ("plan p m", "stop", "unreadable"),
        ("", "error", "gone"),
    ],
)
def test_a_reply_that_is_no_plan_is_said_and_costs_no_sample(mini, reply, finish, fault):
    """Catches a stranger's name that reaches the solver, and a reply that is dropped without a word."""
    from k2repro.solve.mini import SETTINGS, MiniDialect

    said = []
    roles = Roles(mini, Planner(reply, finish=finish))
    found = solve(QUESTION, roles, MiniDialect(), SETTINGS, seed=0, tell=said.append)
    assert found.plans == (Plan("", fault=fault),)
    assert [each.planned for each in found.candidates] == [False] * 3
    assert f"plan 1: (none: {fault})" in said


def test_several_plans_reach_a_sample_each(mini):
    """Catches one plan for all, and a wrong plan that is held back: who would know that it is wrong?"""
    from k2repro.solve.mini import SETTINGS, MiniDialect

    replies = ["<think> plan p=0 p? m=0</think>", "<think> plan m=0 m? p=0</think>"]
    settings = replace(SETTINGS, n=2, planned=2)
    found = solve(QUESTION, Roles(mini, Planner(*replies)), MiniDialect(), settings, seed=0)
    assert [plan.text for plan in found.plans] == [" plan p? m?", " plan m? p?"]
    firsts = [each.text.partition("<think>")[2][:3] for each in found.candidates]
    assert firsts == [" p?", " m?"]


def test_a_dialect_without_an_own_plan_says_that_a_planner_is_missing(mini):
    from k2repro.solve.mini import MiniDialect

    with pytest.raises(K2ReproError, match="leave at least one sample without a plan"):
        settings = SolveSettings(n=1, planned=1, select="own-mean", solver=Sampling(20))
        solve("q=7 i=4 m: + q i ? m", Roles(mini), MiniDialect(), settings, seed=0)
    assert MiniDialect().prompt(" q=7 ? q", Plan(" plan q"))[0].content == " q=7 ? q plan q"


def test_the_process_check_goes_each_way_once_and_counts_it(mini):
    """Catches a check along another candidate's way, one that is drawn at random, and tokens left out."""
    from k2repro.mini.orders import evaluation_order
    from k2repro.mini.variables import problems
    from k2repro.solve.mini import MiniDialect

    settings = SolveSettings(n=4, planned=0, select="process", solver=Sampling(288, temperature=1.3))
    unconfirmed = 0
    for problem in problems("ops-15-16", "validation", 4):
        said = []
        found = solve(problem.question, Roles(mini), MiniDialect(), settings, seed=3, tell=said.append)
        orders = [tuple(evaluation_order(each.text)) for each in found.candidates]
        ways = list(dict.fromkeys(order for order in orders if order))
        checks = [call for call in found.calls if call.phase == "check"]
        assert {call.role for call in checks} == {"solver"}
        derived = [MiniDialect().answer(call.completion) for call in checks]
        along = dict(zip(ways, derived, strict=True))
        confirmed = sum(
            each.answer is not None and along.get(order) == each.answer
            for each, order in zip(found.candidates, orders, strict=True)
        )
        assert f"process check: {confirmed} of 4 confirmed" in said
        unconfirmed += 4 - confirmed
        spent = sum(each.output_tokens for each in found.usage.values())
        assert spent == sum(call.completion.count for call in found.calls)
    assert unconfirmed


def test_a_chat_model_shows_no_way_and_nobody_is_confirmed():
    """Catches a process check that confirms what it could not repeat."""
    from k2repro.solve.checking import check_ways

    candidate, completion = Candidate("5", "5", logprob=-1.0), Completion((), "stop", text="<answer>5")
    (found,) = check_ways("q", [candidate], [completion], ChatDialect(), lambda _: [], SHORT)
    assert found.agrees is False


def test_the_shipped_solver_is_the_one_after_reinforcement_learning():
    """Catches a name that the lab no longer gives: the weaker model before it would answer in silence."""
    from k2repro.lab import rlvr
    from k2repro.lab.scale import Scale
    from k2repro.results import Places
    from k2repro.solve.mini import shipped_checkpoint

    folder = shipped_checkpoint(Places.find().shipped_artifacts("laptop"))
    assert folder.name == rlvr.weights(rlvr.SHIPPED, Scale().steady_first, Scale()).key
