"""Catches an own plan that is not the order of the trace: a planned pass would follow another plan."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2repro.mini import traces, variables
from k2repro.mini.orders import evaluation_order
from k2repro.mini.trace_grammar import read_trace


@pytest.mark.parametrize("marked", [False, True])
@pytest.mark.parametrize("index", range(40))
def test_the_order_of_a_reference_trace_evaluates_everything_asked(index, marked):
    """Catches a name left out or moved up: along the order every operand must be known."""
    system = variables.draw_system(random.Random(index), 2 + index % 12)
    order = evaluation_order(traces.searching_response(system, marked=marked))
    known = set(system.values)
    for name in order:
        assert set(system.definitions[name][1:]) <= known
        known.add(name)
    assert set(system.asked) <= known
    assert len(order) == len(set(order))


@pytest.mark.parametrize("marked", [False, True])
def test_a_planned_trace_gives_its_plan_back(marked):
    """Catches an order that is sorted, reversed, or that of the notes."""
    system = variables.draw_system(random.Random(7), 9)
    assert tuple(evaluation_order(traces.planned_response(system, marked=marked))) == system.needed


def test_the_order_of_the_notes_is_another():
    """Wrong twin: reading notes too would name a variable before its operands are known."""
    system = variables.draw_system(random.Random(3), 9)
    response = traces.searching_response(system)
    pieces = read_trace(response.partition("<think>")[2].partition("</think>")[0]).pieces
    noted = list(dict.fromkeys(piece.words[0].name for piece in pieces))
    assert noted != evaluation_order(response)


@pytest.mark.parametrize("text", ["", "no trace", "<think> m: + p", "<answer> m=3</answer>"])
def test_a_text_without_a_whole_step_has_no_order(text):
    """Catches a broken trace that becomes a plan."""
    assert evaluation_order(text) == []


@given(st.integers(0, 30), st.data())
def test_a_response_that_was_cut_gives_the_beginning_of_the_order(index, data):
    """Catches half an evaluation that counts, and an answer that is read as a trace."""
    response = traces.searching_response(variables.draw_system(random.Random(index), 2 + index % 12))
    whole, cut = evaluation_order(response), data.draw(st.integers(0, len(response)))
    found = evaluation_order(response[:cut])
    assert found == whole[: len(found)]
    assert found == whole or "</think>" not in response[:cut]


@given(st.text(alphabet="abc:=?+-* 0123<>/think", max_size=60))
def test_any_text_has_an_order_without_repetition(text):
    """Catches responses in no known form, which a solver writes too, that crash or evaluate twice."""
    found = evaluation_order("<think>" + text)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("aside", [" ok {}?", " {}? z?"])
@pytest.mark.parametrize("index", range(10))
def test_asides_between_words_change_no_order(index, aside):
    """Catches a stray mark or place that turns an evaluation into recalls: its name would leave the plan.

    They stand right behind the definitions, where values are looked up next; z's mark belongs to the value.
    """
    system = variables.draw_system(random.Random(index), 6)
    good = traces.planned_response(system, marked=True)
    strewn = re.sub(r"( [a-z]: [-+*] [a-z] [a-z])", rf"\1{aside.format(system.needed[0])}", good)
    assert strewn != good
    assert tuple(evaluation_order(strewn)) == system.needed


def test_a_value_before_a_place_and_a_definition_is_recalled():
    """Catches half an evaluation that ends the reading at a stray place."""
    trace = "<think> m: - p i ? p=3 ok x? i: + q p m q=7 p=3 i=0 m: - p i ? p=3 i=0 m=3</think>"
    assert evaluation_order(trace) == ["i", "m"]


def test_a_value_before_a_mark_that_is_left_alone_is_recalled():
    """Catches half an evaluation where the search looks up a value, marks another and opens a third."""
    trace = "<think> m: - p i ? p=3 x? i? i: + q p m q=7 p=3 i=0 m: - p i ? p=3 i=0 m=3</think>"
    assert evaluation_order(trace) == ["i", "m"]
