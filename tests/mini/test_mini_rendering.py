"""Sentences for people: nothing of a problem or a response is lost on the way to them."""

import dataclasses
import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.mini import program_traces, programs, traces
from k2repro.mini.problem import Problem
from k2repro.mini.rendering import render_problem, render_response, response_lines
from k2repro.mini.variables import System, problems, system_of

SYSTEM = System(
    values={"q": 7, "i": 4},
    definitions={"m": ("-", "p", "i"), "p": ("*", "q", "i")},
    listed=("q", "m", "i", "p"),
    asked=("m", "p"),
    needed=("p", "m"),
)
PROBLEM = Problem(
    "x",
    "variables",
    "test",
    "tier-1",
    " q=7 m: - p i i=4 p: * q i ? m p",
    " m=4 p=8",
    " plan p m",
    {
        "values": SYSTEM.values,
        "definitions": SYSTEM.definitions,
        "listed": SYSTEM.listed,
        "asked": SYSTEM.asked,
        "needed": SYSTEM.needed,
    },
)


def test_a_problem_in_sentences() -> None:
    """Catches swapped operands in prose: minus and times keep their order, the plan is the last sentence."""
    sentences = "q is 7. m is p minus i. i is 4. p is q times i. What are m and p?"
    assert render_problem(PROBLEM) == sentences
    assert render_problem(PROBLEM, plan=True) == sentences + " Plan: work out p, then m."


def test_a_trace_in_numbered_lines() -> None:
    """Catches a slider that skips steps: a line for each note, evaluation, repeated value."""
    assert render_response(traces.searching_response(SYSTEM) + "<|im_end|>").splitlines() == [
        "1. To know m I need p and i: m is p minus i, as asked.",
        "2. p = q × i = 7 × 4 = 8 (mod 10), for m",
        "3. m = p - i = 8 - 4 = 4 (mod 10), as asked",
        "4. p is known: 8.",
        "Answer: m is 4 and p is 8.",
    ]


def test_names_copied_wrongly_stay_visible() -> None:
    """Catches a rendering that repairs mistakes: a model's wrong operand name is shown."""
    [line] = response_lines("<think> m: - p i q=8 i=4 m=4")
    assert line == "1. m = p - i = 8 - 4 = 4 (mod 10), written as q=8, i=4, m=4"
    [line] = response_lines("<think> m: - p i g p=8 i=4 m=4")
    assert line == "1. m = p - i = 8 - 4 = 4 (mod 10), for g"


def test_wrong_marks_and_places_stay_visible() -> None:
    """Catches a rendering that hides what was marked: a reader would look for the mistake elsewhere."""
    told = {
        " p? p: * q i q=7 i=4 p=8 ok p?": ["1. p = q × i = 7 × 4 = 8 (mod 10)"],
        " m? p: * q i q=7 i=4 p=8": ["1. p = q × i = 7 × 4 = 8 (mod 10), looked up as m"],
        " p: * q i q=7 m? i=4 p=8": ["1. p = q × i = 7 × 4 = 8 (mod 10), looked up as m"],
        " p: * q i q=7 i=4 p=8 ok m?": ["1. p = q × i = 7 × 4 = 8 (mod 10)", "2. m is said to be done."],
        " m? p: * q i m: - p i": [
            "1. To know p I need q and i: p is q times i, looked up as m.",
            "2. To know m I need p and i: m is p minus i.",
        ],
        " p: * q i m? q? q=7 i=4 p=8": [
            "1. m is to be looked up, and is not.",
            "2. p = q × i = 7 × 4 = 8 (mod 10)",
        ],
        " m? q=7": ["1. q is known: 7, looked up as m."],
    }
    for trace, lines in told.items():
        assert response_lines("<think>" + trace) == lines


def test_every_family_is_rendered_and_unknown_ones_are_refused() -> None:
    """Catches a raw question shown to people: programs get sentences too, a new family an error."""
    problem = programs.problems("code", "test", 1)[0]
    assert render_problem(problem, plan=True) == programs.render_program_problem(problem, plan=True)
    with pytest.raises(K2ReproError, match="unknown family 'riddles'"):
        render_problem(dataclasses.replace(problem, family="riddles"))


SQUARE = programs.Function(programs.FORMS[1], 2, 3)
TASK = programs.Task(SQUARE, tuple((x, SQUARE.table[x]) for x in (1, 2, 4, 7)))


def test_a_program_trace_has_one_line_for_each_candidate() -> None:
    """Catches candidates that vanish: the plan leaves 1*x*x+b and 2*x*x+b to try, then the program."""
    assert response_lines(program_traces.planned_response(TASK)) == [
        "1. Try (1*x*x+b)%10: p has 1 and 5, 1 times 1 is 1, times 1 is 1, so b is 4; "
        "q has 2 and 1, 2 times 2 is 4, times 1 is 4, so b is 7, against 4: no (mod 10).",
        "2. Try (2*x*x+b)%10: p has 1 and 5, 1 times 1 is 1, times 2 is 2, so b is 3; "
        "q has 2 and 1, 2 times 2 is 4, times 2 is 8, so b is 3, against 3: ok; "
        "r has 4 and 5, 4 times 4 is 6, times 2 is 2, so b is 3, against 3: ok; "
        "s has 7 and 1, 7 times 7 is 9, times 2 is 8, so b is 3, against 3: ok (mod 10).",
        "Answer: def f(x): return (2*x*x+3)%10",
    ]


def test_every_program_trace_is_read_to_its_end() -> None:
    """Catches forms of steps that the pattern misses: no raw trace is left, in any search."""
    for problem in programs.problems("code", "validation", 60):
        task = programs.task_of(problem)
        for response in (program_traces.searching_response(task), program_traces.direct_response(task)):
            lines = response_lines(response)
            assert lines[-1] == f"Answer: {problem.gold}"
            assert all(re.match(r"\d+\. Try ", line) for line in lines[:-1])
            assert len(lines) - 1 == response.count("b=")


def test_a_program_trace_that_goes_astray_shows_the_rest() -> None:
    """Catches silence after the first oddity in a search: the text from there on is shown."""
    good = program_traces.planned_response(TASK)
    broken = good.replace("no2", "no 2")
    lines = response_lines(broken)
    assert lines[0] == response_lines(good)[0]
    assert lines[-1] == broken[broken.index(" 2 p") :]


@pytest.mark.parametrize("text", ["", "hello\nworld", "<think", "def f(x):\n    return x", "m=3"])
def test_text_of_another_form_is_shown_as_it_is(text: str) -> None:
    """Catches model output that disappears: what cannot be read is shown unchanged."""
    assert render_response(text) == text


def test_the_rest_of_a_response_that_goes_astray_is_shown() -> None:
    """Catches silence after the first oddity: good steps in sentences, then the text from there on."""
    good = traces.searching_response(SYSTEM)
    broken = good.replace(" p=8 i=4", " p~8 i=4")
    lines = response_lines(broken)
    assert lines[:2] == response_lines(good)[:2]
    assert lines[2] == "3. Back to m, which is p minus i, as asked."
    assert lines[-1] == broken[broken.index(" p~8") :]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(alphabet="abmp =?:+-*0123456789<>/think\n", max_size=80))
def test_any_text_is_rendered(text: str) -> None:
    """Catches a crash on model output; every digit that the model wrote is still there."""
    shown = render_response("<think>" + text)
    wanted = re.findall(r"\d", text)
    assert len(re.findall(r"\d", shown)) >= len(wanted)


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("tier", ["tier-1", "tier-4"])
def test_as_many_lines_as_steps(tier: str, marked: bool) -> None:
    """Catches steps that the reader's pattern misses: one line each, and the answer."""
    for problem in problems(tier, "validation", 20):
        system = system_of(problem)
        lines = response_lines(traces.searching_response(system, marked=marked))
        actions = traces.search_order(system)
        # A note that is evaluated at once is one step with its evaluation.
        at_once = sum(
            first.action == traces.NOTE and second.action == traces.EVALUATE
            for first, second in itertools.pairwise(actions)
        )
        assert len(lines) == len(actions) - at_once + 1
        assert lines[-1].startswith("Answer: ")
        assert render_problem(problem).count(" is ") == len(system.listed)
