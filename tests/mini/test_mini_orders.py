"""The order of evaluation that is read off a response is the one in which it was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2repro.mini import traces
from k2repro.mini.orders import evaluation_order
from k2repro.mini.variables import TIERS, problems, system_of

SYSTEMS = [system_of(problem) for tier in TIERS for problem in problems(tier, "train", 25, seed=47)]


def searched(system) -> list[str]:
    return [move.name for move in traces.search_order(system) if move.action == traces.EVALUATE]


def by_notes(response: str) -> list[str]:
    """Wrong twin: the order in which variables were opened."""
    return list(dict.fromkeys(word[0] for word in response.split() if word.endswith(":")))


def by_values(response: str) -> list[str]:
    """Wrong twin: the order in which values were first written down, given ones and recalls too."""
    return list(dict.fromkeys(word[0] for word in response.split() if "=" in word))


def right_on_all(read) -> bool:
    searches = all(read(traces.searching_response(system)) == searched(system) for system in SYSTEMS)
    return searches and all(read(traces.planned_response(each)) == list(each.needed) for each in SYSTEMS)


def test_the_order_of_a_search_and_of_a_plan_come_back():
    """Catches an order that is not the one evaluated: a re-derivation would check something else."""
    assert right_on_all(evaluation_order)
    assert any(searched(system) != list(system.needed) for system in SYSTEMS)


@pytest.mark.parametrize("twin", [by_notes, by_values])
def test_wrong_twins_are_caught(twin):
    """Catches a test whose problems are too easy to tell the order of evaluation from others."""
    assert not right_on_all(twin)


@given(st.sampled_from(SYSTEMS), st.data())
def test_a_response_that_was_cut_gives_the_beginning_of_the_order(system, data):
    """Catches half an evaluation that counts, and an answer that is read as a trace."""
    response = traces.searching_response(system)
    cut = data.draw(st.integers(0, len(response)))
    whole = searched(system)
    found = evaluation_order(response[:cut])
    assert found == whole[: len(found)]
    if "</think>" in response[:cut]:
        assert found == whole


@given(st.text(alphabet="abc:=?+-* 0123<>/think", max_size=60))
def test_any_text_has_an_order_without_repetition(text):
    """Catches responses in no known form, which a solver writes too, that crash or evaluate twice."""
    found = evaluation_order(text)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("response", "order"),
    [
        ("", []),
        ("<think></think><answer> m=3</answer>", []),
        ("<think> m: - p i p=3 i=4 m=9 p: + q q q=1 q=1 p=2 m: - p i p=2 i=4 m=8</think>", ["m", "p"]),
        (" m: - p i p=3 i=4 m=9", ["m"]),
        ("<think> m: - p i p=3 i=4 oops p: + q q q=1 q=1 p=2</think>", []),
        ("<think> m: - p i p=3 i=4 m=9<|im_end|>", ["m"]),
    ],
)
def test_by_hand(response, order):
    """Catches a repeated evaluation that counts twice, and reading on after what cannot be read."""
    assert evaluation_order(response) == order
