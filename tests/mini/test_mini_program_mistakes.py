"""Every kind of mistake, put into right responses of `programs`, is found again: kind and place."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.mini import programs, variables
from k2repro.mini.mistakes import ANSWER_LINE, ARITHMETIC, LOOK_UP, ORDER, RIGHT, UNFINISHED, UNREADABLE
from k2repro.mini.problem import Problem
from k2repro.mini.program_mistakes import KINDS, VERDICT, classify, diagnose, trace_is_consistent
from k2repro.mini.program_traces import (
    direct_response,
    planned_response,
    planned_trace,
    search,
    searching_response,
    searching_trace,
    sloppy_response,
    write,
)
from k2repro.mini.programs import FORMS, task_of
from k2repro.mini.tokenizer import TURN_END, encode

PROBLEMS = programs.problems("code", "validation", 60, seed=9)
# Each match ends in the digit that the group is about.
PLACES = {
    "input": re.compile(r" [pqrs](?P<at>\d)"),
    "output": re.compile(r" [pqrs]\d(?P<at>\d)"),
    "work": re.compile(r" [pqrs]\d\d(?P<at>\d)"),
    "deduced": re.compile(r" b=(?P<at>\d)"),
    "found": re.compile(r"(?P<at>\d)\d (?:ok|no)"),
    "compared": re.compile(r"(?P<at>\d) (?:ok|no)"),
}


def changed(text: str, at: int, new: str, length: int = 1) -> str:
    return text[:at] + new + text[at + length :]


@pytest.mark.parametrize("problem", PROBLEMS[:20], ids=lambda problem: problem.id)
def test_reference_responses_are_right(problem: Problem) -> None:
    """Catches a checker that is stricter than what is taught, or that only one kind of response passes."""
    task = task_of(problem)
    for respond in (searching_response, planned_response, direct_response):
        for end in ("", TURN_END):
            assert classify(problem, respond(task) + end) == RIGHT
    assert trace_is_consistent(problem, searching_trace(task))
    assert trace_is_consistent(problem, planned_trace(task))
    assert not trace_is_consistent(problem, searching_trace(task)[:-1])
    assert not trace_is_consistent(problem, searching_trace(task) + " ok")
    assert not trace_is_consistent(problem, "")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PROBLEMS), st.sampled_from(sorted(PLACES)), st.integers(0, 10**6), st.integers(1, 9))
def test_a_wrong_digit_is_found_where_it_stands(problem: Problem, place: str, pick: int, shift: int) -> None:
    """Catches a mistake blamed on a later step, or a wrong copy taken for wrong arithmetic."""
    response = searching_response(task_of(problem))
    places = [found.start("at") for found in PLACES[place].finditer(response)]
    at = places[pick % len(places)]
    wrong = changed(response, at, str((int(response[at]) + shift) % 10))
    found = diagnose(problem, wrong)
    expected = LOOK_UP if place in ("input", "output", "compared") else ARITHMETIC
    assert (found.kind, found.at, found.expected) == (expected, at, response[at])


@pytest.mark.parametrize("problem", PROBLEMS[:20], ids=lambda problem: problem.id)
def test_a_wrong_verdict_is_found(problem: Problem) -> None:
    """Catches a verdict taken on trust: the search would end, or go on, with the wrong function."""
    response = searching_response(task_of(problem))
    for verdict, other in ((" ok", " no"), (" no", " ok")):
        at = response.find(verdict)
        if at >= 0:
            found = diagnose(problem, changed(response, at, other, 3))
            assert (found.kind, found.at, found.expected) == (VERDICT, at, verdict)


def test_steps_left_out_or_repeated_are_of_wrong_order() -> None:
    """Catches a jump to the right candidate, which looks like reasoning and is a guess."""
    problem = next(p for p in PROBLEMS if p.facts["form"] == "linear" and p.facts["a"] > 3)
    response = searching_response(task_of(problem))
    end = response.index(" no")
    cases = {
        "candidate skipped": (changed(response, end + 3, "3"), end + 3),
        "candidate repeated": (changed(response, end + 3, "1"), end + 3),
        "closed early": (response[: end + 3] + response[response.index("</think>") :], end + 3),
        "no verdict": (response[:end] + response[end + 3 :], end),
        "next example without a verdict": (response.replace(" ok r", " r", 1), response.index(" ok r")),
        "goes on after the end": (response.replace("</think>", " no2</think>"), response.index("</think>")),
        "another example": (response.replace(" q", " r", 1), response.index(" q")),
    }
    for name, (text, at) in cases.items():
        found = diagnose(problem, text)
        assert (found.kind, found.at) == (ORDER, at), name


def test_a_search_that_begins_after_the_right_form_is_of_wrong_order() -> None:
    """Catches a wrong plan followed to its end without a false step, taken for a right answer."""
    problem = next(p for p in PROBLEMS if p.facts["form"] == "linear")
    task = task_of(problem)
    trace, outcome = write(search(task.examples, FORMS[1:]))
    assert not outcome.agrees
    assert classify(problem, f"<think>{trace}</think><answer>{problem.gold}</answer>") == ORDER
    assert not trace_is_consistent(problem, trace)


def test_wrong_programs() -> None:
    """Catches a right search that hides a wrong program, and a guess without a search."""
    problem = PROBLEMS[0]
    wrong = PROBLEMS[1].gold
    assert wrong != problem.gold
    for respond in (searching_response, direct_response):
        response = respond(task_of(problem))
        found = diagnose(problem, response.replace(problem.gold, wrong))
        assert (found.kind, found.expected) == (ANSWER_LINE, problem.gold)
        assert response[found.at :].startswith(problem.gold)
        assert classify(problem, response.replace(problem.gold, "")) == UNREADABLE
        assert classify(problem, response + " and more") == UNREADABLE


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(PROBLEMS), st.integers(0, 10**6))
def test_a_right_beginning_is_unfinished(problem: Problem, pick: int) -> None:
    """Catches a budget that ran out counted as a mistake, wherever the text was cut."""
    response = searching_response(task_of(problem))
    assert classify(problem, response[: pick % len(response)]) == UNFINISHED


@pytest.mark.parametrize(
    "text", ["hello", "<think> hello", "<think>x", "<think> linear1 p</think>x", "<answer>"]
)
def test_other_texts_are_not_right(text: str) -> None:
    """Catches a crash, or a pass, on what an untrained model writes."""
    assert classify(PROBLEMS[0], text) in (UNREADABLE, ORDER)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PROBLEMS), st.text(alphabet="</think>wr0123456789 pqsbo=linearu", max_size=60))
def test_any_text_has_a_kind(problem: Problem, text: str) -> None:
    """Catches an exception on text that a model may well write."""
    for response in (text, "<think>" + text, "<think> linear1" + text, "<think></think>" + text):
        assert classify(problem, response) in KINDS


def test_sloppy_responses_fail_by_arithmetic_only() -> None:
    """Catches errors carried on that are counted as new ones; without the first one all are right."""
    rng = random.Random(2)
    kinds = []
    for problem in PROBLEMS:
        task = task_of(problem)
        response = sloppy_response(task, rng, 0.1)
        found = diagnose(problem, response)
        kinds.append(found.kind)
        if found.kind == ARITHMETIC:
            assert response[: found.at] == searching_response(task)[: found.at]
            assert response[found.at] != searching_response(task)[found.at] == found.expected
    assert set(kinds) == {RIGHT, ARITHMETIC}


def test_a_twin_that_only_compares_programs_misses_what_is_found_here() -> None:
    """Catches a taxonomy by outcome: a lucky program after a wrong step is not a right response."""
    problem = PROBLEMS[0]
    response = searching_response(task_of(problem))
    at = response.index(" b=") + 3
    lucky = changed(response, at, str((int(response[at]) + 1) % 10))

    def by_outcome(text: str) -> str:
        return RIGHT if text.endswith(f"<answer>{problem.gold}</answer>") else ANSWER_LINE

    assert by_outcome(lucky) == RIGHT
    assert classify(problem, lucky) == ARITHMETIC
    assert len(encode(lucky)) == len(encode(response))


def test_other_families_are_refused() -> None:
    """Catches a problem of `variables` judged as a program."""
    with pytest.raises(K2ReproError, match="unknown family with a hidden function 'variables'"):
        classify(variables.problems("tier-1", "test", 1)[0], "")
