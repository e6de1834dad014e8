"""Process check: who is confirmed is exactly who gets the same answer along its own way."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2repro.best_of_n import AGREEMENT, SELECTORS, Candidate, agreements, derivation_requests, distinct_ways
from k2repro.errors import K2ReproError
from k2repro.mini import traces, variables
from k2repro.mini.orders import evaluation_order
from k2repro.verify.extract import extract_answer

WAYS = st.lists(st.sampled_from([" plan a b", " plan b a", " plan c", "", None]), max_size=8)
ANSWERS = st.sampled_from(["1", "2", None])


@given(WAYS, st.data())
def test_each_candidate_is_held_against_its_own_way(ways, data):
    """Catches a derivation that is compared with its neighbour's candidate, and two Nones that agree."""
    answers = data.draw(st.lists(ANSWERS, min_size=len(ways), max_size=len(ways)))
    answer_along = {way: data.draw(ANSWERS) for way in ways if way}
    found = distinct_ways(ways)
    assert sorted(found.distinct) == sorted(answer_along)
    agree = agreements(answers, found, [answer_along[way] for way in found.distinct])
    for way, answer, agrees in zip(ways, answers, agree, strict=True):
        assert agrees == (bool(way) and answer is not None and answer_along[way] == answer)


def judged(read_way) -> list[bool]:
    """Right candidates and slips of the solver, checked by a solver that evaluates a plan without a slip."""
    found = []
    for index in range(60):
        rng = random.Random(index)
        system = variables.draw_system(rng, 3 + index % 8)
        texts = [traces.searching_response(system), traces.sloppy_response(system, rng, 0.3)]
        ways = distinct_ways([read_way(system, text) for text in texts])
        derived = [_follow(system, way.split()) for way in ways.distinct]
        right = [extract_answer(text) == extract_answer(texts[0]) for text in texts]
        agree = agreements([extract_answer(text) for text in texts], ways, derived)
        found.append(agree == right)
    return found


def _follow(system: variables.System, plan: list[str]) -> str | None:
    """The answer of a solver without slips that evaluates in this order; None when an operand is missing."""
    known = dict(system.values)
    for name in plan:
        operator, *operands = system.definitions[name]
        if not set(operands) <= set(known):
            return None
        known[name] = variables.apply(operator, *(known[operand] for operand in operands))
    if not set(system.asked) <= set(known):
        return None
    return extract_answer(
        traces.response_text("", "".join(f" {name}={known[name]}" for name in system.asked))
    )


def test_a_solver_without_slips_confirms_the_right_and_only_them():
    """Catches an order that cannot be followed: nobody would be confirmed."""
    assert all(judged(lambda system, text: " ".join(evaluation_order(text))))


@pytest.mark.parametrize(
    "twin",
    [
        lambda system, text: " ".join(reversed(evaluation_order(text))),
        lambda system, text: " ".join(evaluation_order(text)[:-1]),
        lambda system, text: " ".join(dict.fromkeys(w[0] for w in text.split() if w.endswith(":"))),
    ],
    ids=["backwards", "last step left out", "order of the notes"],
)
def test_another_way_than_the_candidate_s_own_is_caught(twin):
    """Wrong twins: along another way the right answer does not come out."""
    assert not all(judged(twin))


def test_requests_are_greedy_and_one_for_each_way():
    """Catches a check that is drawn at random: it would disagree with itself."""
    ways = distinct_ways([" plan a", None, " plan b", " plan a"])
    found = derivation_requests(ways, lambda way: f"question{way}", max_new_tokens=9)
    assert [each.prompt for each in found] == ["question plan a", "question plan b"]
    assert {(each.temperature, each.n, each.role, each.max_new_tokens) for each in found} == {
        (0.0, 1, "solver", 9)
    }


def test_equal_values_in_other_words_agree():
    """Catches a comparison of spellings where values are asked."""
    ways = distinct_ways(["p", "p"])
    assert agreements(["1/2", "3"], ways, ["0.5"], same=lambda a, b: {a, b} == {"1/2", "0.5"}) == [
        True,
        False,
    ]


@pytest.mark.parametrize(("answers", "derived"), [(["1"], ["1"]), (["1", "1"], ["1", "1"])])
def test_derivations_of_another_question_are_refused(answers, derived):
    with pytest.raises(K2ReproError, match="another question"):
        agreements(answers, distinct_ways(["p", "p"]), derived)


def test_agreement_decides_before_likelihood_and_likelihood_among_those_that_agree():
    """Catches an agreement that is lost in the scale of log-probabilities."""
    pool = [
        Candidate("", "1", logprob=-1.0, agrees=False),
        Candidate("", "2", logprob=-1.0 - AGREEMENT / 2, agrees=True),
        Candidate("", "2", logprob=-1.5 - AGREEMENT / 2, agrees=True),
    ]
    scores = SELECTORS["process"](pool)
    assert scores.index(max(scores)) == 1
    with pytest.raises(K2ReproError, match="no agrees.*process check"):
        SELECTORS["process"]([Candidate("", "1", logprob=-1.0)])
