"""Every kind of mistake, put into right responses on purpose, is found again: kind and place."""

import dataclasses
import random
import re
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.mini import traces
from k2repro.mini.grading import is_correct
from k2repro.mini.mistakes import (
    ANSWER_LINE,
    ARITHMETIC,
    KINDS,
    LOOK_UP,
    ORDER,
    RIGHT,
    UNFINISHED,
    UNREADABLE,
    classify,
    diagnose,
)
from k2repro.mini.problem import Problem
from k2repro.mini.variables import TIERS, problems, system_of

# What a marked search writes before a look-up.
M = r"(?: [a-z]\?)?"
STEP = re.compile(
    r" [a-z]: (?P<sign>[-+*]) [a-z] (?P<second>[a-z]) (?P<back>[a-z?])"
    rf"{M} [a-z]=\d{M} [a-z]=(?P<value>\d) [a-z]=(?P<result>\d)"
)
NOTE = re.compile(rf" [a-z]: (?P<sign>[-+*]) [a-z] (?P<second>[a-z]) [a-z?](?={M} [a-z]:)")
LOOKED_UP = re.compile(rf" [a-z]: [-+*] [a-z] [a-z] [a-z?]{M} (?P<name>[a-z])=(?P<value>\d)(?={M} [a-z]:)")
MARK = re.compile(r" (?P<name>[a-z])\?")
PROBLEMS = [problem for tier in TIERS for problem in problems(tier, "validation", 15, seed=3)]


def other_digit(digit: str) -> str:
    return str((int(digit) + 3) % 10)


def replaced(text: str, at: int, new: str) -> str:
    return text[:at] + new + text[at + 1 :]


def swapped(response: str, pattern: re.Pattern, part: str, change) -> tuple[str, int]:
    """One character of the last match changed, and where. The last: nothing after it depends on it."""
    found = list(pattern.finditer(response))[-1]
    at = found.start(part)
    return replaced(response, at, change(response[at])), at


def early_use(problem: Problem, response: str) -> tuple[str, int]:
    """A step that another step needs is left out, so that one begins before all is known.

    The place is where its value is used first: there it should have been opened.
    """
    for step in STEP.finditer(response):
        name = step[0][1]
        # In a marked search the step may be what its mark announces.
        without = response[: step.start()].removesuffix(f" {name}?") + response[step.end() :]
        used = re.search(rf" {name}=", without[: without.index("</think>")])
        if used:
            return without, used.start() + 1
    raise AssertionError("no step that another one needs")


def answer_copied_wrongly(response: str) -> tuple[str, int]:
    at = response.index("</answer>") - 1
    return replaced(response, at, other_digit(response[at])), at - 2


def wrong_by_the_answer_alone(problem: Problem, response: str) -> str:
    """Wrong twin: looks at the final answer only; every wrong one must be arithmetic, must it not."""
    if is_correct(problem, response):
        return RIGHT
    return ARITHMETIC if "</answer>" in response else UNFINISHED


def injected(problem: Problem, *, marked: bool = False) -> list[tuple[str, str, int | None]]:
    """(kind, response with that mistake, character of the mistake) for every way to go wrong.

    Where the mistake is in a step the answer is made wrong too: with a right answer a response is right.
    """
    good = traces.searching_response(system_of(problem), marked=marked)
    other_sign = {"+": "-", "-": "*", "*": "+"}
    letter = next(name for name in "abcdefghijklmnopqrst" if name not in problem.question)
    wrong_value, value_at = swapped(good, STEP, "value", other_digit)
    wrong_result, result_at = swapped(good, STEP, "result", other_digit)
    steps = [
        *([(LOOK_UP, *swapped(good, MARK, "name", lambda _: letter))] if marked else []),
        (LOOK_UP, *swapped(good, STEP, "sign", other_sign.__getitem__)),
        (LOOK_UP, *swapped(good, STEP, "back", lambda _: letter)),
        (LOOK_UP, wrong_value, value_at - 2),
        (ARITHMETIC, wrong_result, result_at - 2),
        (UNREADABLE, good.replace("<think>", "<think> well", 1), len("<think> ")),
        (UNREADABLE, good.replace("</think>", " so</think>"), good.index("</think>") + 1),
    ]
    if NOTE.search(good):
        steps += [
            (LOOK_UP, *swapped(good, NOTE, "second", lambda _: letter)),
            (LOOK_UP, *swapped(good, NOTE, "sign", other_sign.__getitem__)),
        ]
    if LOOKED_UP.search(good):
        wrong_operand, at = swapped(good, LOOKED_UP, "value", other_digit)
        steps.append((LOOK_UP, wrong_operand, at - 2))
    if problem.tier != "tier-1":
        steps.append((ORDER, *early_use(problem, good)))
    return [(kind, answer_copied_wrongly(text)[0], at) for kind, text, at in steps] + [
        (ANSWER_LINE, *answer_copied_wrongly(good)),
        (UNFINISHED, good[: good.index("</think>")], None),
        (UNFINISHED, good[: good.index("</answer>")], None),
        (UNFINISHED, good[: good.rindex("=") - 20], None),
        (UNREADABLE, good.replace("<think>", ""), 0),
        (UNREADABLE, good + " or not", None),
    ]


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.id)
def test_injected_mistakes_come_back(problem: Problem, marked: bool) -> None:
    """Catches a taxonomy that sounds right: each mistake has its kind, and its place where it has one."""
    for kind, response, at in injected(problem, marked=marked):
        found = diagnose(problem, response)
        assert found.kind == kind, (response, found)
        if at is not None:
            assert found.at == at, (response, found)
            assert found.expected == "" or not response.startswith(found.expected, at)


def test_every_kind_is_injected_and_a_classifier_by_answer_fails() -> None:
    """Catches tests that inject too little: all kinds occur, the wrong twin misses most of them."""
    cases = [(problem, kind, text) for problem in PROBLEMS for kind, text, _ in injected(problem)]
    assert {kind for _, kind, _ in cases} == set(KINDS) - {RIGHT}
    hits = sum(wrong_by_the_answer_alone(problem, text) == kind for problem, kind, text in cases)
    assert hits < 0.45 * len(cases)


MADE = (
    traces.searching_response,
    partial(traces.searching_response, marked=True),
    traces.planned_response,
    partial(traces.planned_response, marked=True),
    traces.direct_response,
)


@pytest.mark.parametrize("make", MADE)
def test_reference_responses_are_right(make) -> None:
    """Catches a checker stricter than the grader: what is taught has no mistake, in any form."""
    assert {classify(problem, make(system_of(problem))) for problem in PROBLEMS} == {RIGHT}


def test_only_the_answer_line_is_wrong_where_only_that_was_changed() -> None:
    """Catches marks that are taken for mistakes: nothing before the answer is blamed, in any form."""
    for problem in PROBLEMS:
        for make in MADE[:-1]:
            text, at = answer_copied_wrongly(make(system_of(problem)))
            found = diagnose(problem, text)
            assert (found.kind, found.at) == (ANSWER_LINE, at)


def test_a_wrong_place_in_the_plan_is_a_wrong_look_up() -> None:
    """Catches places that nobody reads: one that names another step is found where it stands."""
    problem = PROBLEMS[-1]
    text, _ = answer_copied_wrongly(traces.planned_response(system_of(problem), marked=True))
    at = text.rindex(" ok ") + len(" ok ")
    named = text[at]
    other = next(name for name in system_of(problem).needed if name != named)
    found = diagnose(problem, replaced(text, at, other))
    assert (found.kind, found.at, found.expected) == (LOOK_UP, at, f"{named}?")


def test_the_place_in_a_plan_marks_nothing_behind_it() -> None:
    """Catches a place's mark that is given to the next step: a step without a mark would end the reading."""
    for problem in PROBLEMS:
        planned = traces.planned_response(system_of(problem), marked=True)
        text, at = answer_copied_wrongly(re.sub(r" ([a-z])\?(?= \1:)", "", planned))
        assert diagnose(problem, text)[:2] == (ANSWER_LINE, at)


def test_a_mark_that_nobody_follows_is_a_wrong_look_up() -> None:
    """Catches stray marks that hide the step behind them: they are found, unless the text ends there."""
    for problem in PROBLEMS:
        system = system_of(problem)
        good, _ = answer_copied_wrongly(traces.planned_response(system, marked=True))
        at = re.search(r" [a-z]: [-+*] [a-z] [a-z]", good).end()
        text = f"{good[:at]} {system.needed[-1]}? {system.needed[0]}?{good[at:]}"
        assert diagnose(problem, text)[:2] == (LOOK_UP, at + 1)
        assert classify(problem, text[: at + 3]) == UNFINISHED
        assert diagnose(problem, text[: at + 6])[:2] == (LOOK_UP, at + 1)


def test_a_place_is_not_claimed_before_its_value() -> None:
    """Catches a plan that is ticked off without work: the place stands before the value that it speaks of."""
    for problem in PROBLEMS:
        good, _ = answer_copied_wrongly(traces.planned_response(system_of(problem), marked=True))
        at = re.search(r" [a-z]: [-+*] [a-z] [a-z]", good).end()
        text = f"{good[:at]} ok {system_of(problem).needed[0]}?{good[at:]}"
        assert diagnose(problem, text)[:2] == (ORDER, at + 1)


def test_what_should_stand_there_is_a_whole_word() -> None:
    """Catches half a word told to the reader: a known value has its digit, an unknown one is defined."""
    for problem in PROBLEMS:
        system = system_of(problem)
        good, _ = answer_copied_wrongly(traces.planned_response(system, marked=True))
        first, *_, last = system.needed
        at = good.index(f" {first}: ") + 1
        found = diagnose(problem, replaced(good, at, last))
        assert found == (LOOK_UP, at, f"{first}:")
        given = next(iter(system.values))
        text = replaced(good, at - 3, given)
        assert diagnose(problem, text) == (LOOK_UP, at, f"{given}={system.values[given]}")


def test_a_mark_before_a_result_is_not_of_the_form() -> None:
    """Catches a result that is looked up before it is there, read as if it had been worked out."""
    for problem in PROBLEMS:
        good = traces.searching_response(system_of(problem), marked=True)
        result = list(re.finditer(r"(?: [a-z]\? [a-z]=\d){2}(?P<result> [a-z]=)", good))[-1]
        at = result.start("result")
        text, _ = answer_copied_wrongly(f"{good[:at]} {good[at + 1]}?{good[at:]}")
        assert diagnose(problem, text)[:2] == (UNREADABLE, at + 1)


def test_what_nobody_asked_for_does_not_go_back_to_the_question() -> None:
    """Catches a return to the question from a variable that another one needs: the search would end there."""
    tried = 0
    for problem in PROBLEMS:
        good, asked = traces.searching_response(system_of(problem)), system_of(problem).asked
        for note in re.finditer(r" ([a-z]): [-+*] [a-z] [a-z] (?P<back>[a-z]) ", good):
            if note[1] not in asked:
                at, tried = note.start("back"), tried + 1
                text, _ = answer_copied_wrongly(replaced(good, at, "?"))
                assert diagnose(problem, text)[:2] == (LOOK_UP, at)
    assert tried > 50


def test_a_detour_is_forgiven_once_a_value_comes_of_it() -> None:
    """Catches a circle that is remembered for good: a text that was cut much later would be blamed for it."""
    for problem in PROBLEMS:
        good = traces.searching_response(system_of(problem))
        note = re.match(r"<think>( [a-z]: [-+*] [a-z] [a-z] [a-z?])", good)
        assert note is not None
        twice = good[: note.end()] + note[1] + good[note.end() :]
        assert diagnose(problem, twice[: note.end() + len(note[1])])[:2] == (ORDER, note.end() + 1)
        assert classify(problem, twice[: twice.index("</think>")]) == UNFINISHED


def test_right_means_right_for_the_grader() -> None:
    """Catches counts that do not add up to pass@1: sloppy responses are right in both or in neither."""
    rng = random.Random(5)
    for problem in PROBLEMS:
        for _ in range(10):
            response = traces.sloppy_response(system_of(problem), rng, 0.2)
            kind = classify(problem, response)
            assert (kind == RIGHT) is is_correct(problem, response)
            assert kind in (RIGHT, ARITHMETIC)


def test_a_value_on_its_own_repeats_a_known_one() -> None:
    """Catches a recalled value that is never looked at, and one that was never worked out."""
    texts = {
        RIGHT: " p: * q i q=7 i=4 p=8 m: - p i p=8 i=4 m=4 p=8",
        LOOK_UP: " p: * q i q=7 i=4 p=8 m: - p i p=8 i=4 m=4 p=7",
        ORDER: " p=8 p: * q i q=7 i=4 p=8 m: - p i p=8 i=4 m=4",
    }
    facts = {
        "values": {"q": 7, "i": 4},
        "definitions": {"m": ["-", "p", "i"], "p": ["*", "q", "i"]},
        "listed": [*"qmip"],
        "asked": [*"mp"],
        "needed": [*"pm"],
    }
    problem = Problem("x", "variables", "test", "tier-1", "", " m=4 p=8", "", facts)
    for kind, trace in texts.items():
        answer = " m=4 p=8" if kind == RIGHT else " m=4 p=7"
        found = diagnose(problem, f"<think>{trace}</think><answer>{answer}</answer>")
        assert found.kind == kind
        if kind != RIGHT:
            assert found.at == len("<think> ") + (0 if kind == ORDER else len(trace) - 4)


def test_half_a_value_of_an_unknown_name_is_classified() -> None:
    """Catches a crash on model output: " p=" with nothing behind it, in place of a value."""
    facts = {
        "values": {"q": 7, "i": 4},
        "definitions": {"m": ["-", "p", "i"], "p": ["*", "q", "i"]},
        "listed": [*"qmip"],
        "asked": [*"mp"],
        "needed": [*"pm"],
    }
    problem = Problem("x", "variables", "test", "tier-1", "", " m=4 p=8", "", facts)
    assert classify(problem, "<think> m: - p i p= i=4 m=4</think><answer> m=4 p=7</answer>") == UNREADABLE


def test_the_first_of_two_mistakes_decides() -> None:
    """Catches blame on the last mistake: a wrong sum followed by a wrong look-up is a wrong sum."""
    problem = problems("tier-3", "validation", 1, seed=3)[0]
    good = traces.searching_response(system_of(problem))
    first = next(STEP.finditer(good))
    both = replaced(good, first.start("result"), other_digit(first["result"]))
    both, _ = swapped(both, STEP, "sign", {"+": "-", "-": "*", "*": "+"}.__getitem__)
    both, _ = answer_copied_wrongly(both)
    assert classify(problem, both) == ARITHMETIC
    # Cut off right behind the wrong sum, it is still that and not "unfinished".
    assert classify(problem, both[: first.end()]) == ARITHMETIC


def test_an_answer_without_its_steps_was_given_before_it_was_known() -> None:
    """Catches direct guesses counted as copying: nothing was worked out that could be copied."""
    problem = PROBLEMS[-1]
    wrong, _ = answer_copied_wrongly(traces.direct_response(system_of(problem)))
    assert classify(problem, wrong) == ORDER


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.sampled_from(PROBLEMS),
    st.sampled_from(MADE[:-1]),
    st.floats(0, 1),
    st.sampled_from(["", "<|im_end|>"]),
)
def test_a_right_response_cut_anywhere_is_unfinished(problem: Problem, make, share: float, end: str) -> None:
    """Catches a budget counted as nonsense: every proper beginning of a right response is unfinished."""
    good = make(system_of(problem))
    cut = good[: int(share * (len(good) - 1))]
    if cut and re.search(r" [a-z]$|<think>.* [a-z]$", cut):
        return  # half a word that tokens cannot leave: " m" of " m:"
    assert classify(problem, cut + end) == UNFINISHED


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.sampled_from(PROBLEMS), st.text(alphabet="abcdefgmpq =?:+-*0123456789<>/think", max_size=60))
def test_any_text_gets_some_kind(problem: Problem, text: str) -> None:
    """Catches a crash on model output: arbitrary text is classified, and never as right."""
    for response in (text, "<think>" + text, f"<think>{text}</think><answer>{text}</answer>"):
        assert classify(problem, response) in set(KINDS) - {RIGHT}


WORDS = [f" {name}{end}" for name in "abmpx" for end in ("?", ":", "=3", "=7", "")]
WORDS += [" +", " -", " *", " ok", " ok m?", " ok a?", "</think>", "<answer>"]


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.sampled_from(PROBLEMS), st.lists(st.sampled_from(WORDS), max_size=30).map("".join))
def test_any_words_get_some_kind(problem: Problem, text: str) -> None:
    """Catches a crash on words of the language in an order that nobody taught, marks and places too."""
    found = diagnose(problem, "<think>" + text)
    assert found.kind in set(KINDS) - {RIGHT} and 0 <= found.at <= len("<think>" + text)


def test_other_families_are_refused() -> None:
    """Catches programs judged by the rules of arithmetic."""
    with pytest.raises(K2ReproError, match="unknown family with a taxonomy of mistakes 'programs'"):
        classify(dataclasses.replace(PROBLEMS[0], family="programs"), "")
