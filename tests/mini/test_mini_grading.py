"""The grader accepts one form and one answer; lenient graders that look plausible are shown to be wrong."""

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.mini import programs, traces
from k2repro.mini.grading import grade, is_correct, split_response
from k2repro.mini.variables import TIERS, problems, system_of

PROBLEM = problems("tier-2", "test", 1)[0]
GOLD = PROBLEM.gold
TRACE = traces.searching_trace(system_of(PROBLEM))
RIGHT = f"<think>{TRACE}</think><answer>{GOLD}</answer>"
NAMES = GOLD.split()
WRONG = GOLD[:-1] + str((int(GOLD[-1]) + 1) % 10)

# Every text here is wrong; the note says what a lenient grader would have rewarded.
WRONG_RESPONSES = {
    "empty": "",
    "the answer alone": f"<answer>{GOLD}</answer>",
    "no tags": f"{TRACE}{GOLD}",
    "two answers, the last one right": f"<think></think><answer>{WRONG}</answer><answer>{GOLD}</answer>",
    "two answers, the first one right": f"<think></think><answer>{GOLD}</answer><answer>{WRONG}</answer>",
    "two whole responses": RIGHT + RIGHT,
    "an answer inside the thinking": f"<think><answer>{GOLD}</answer></think><answer>{GOLD}</answer>",
    "text in front": "Surely " + RIGHT,
    "text behind": RIGHT + " I hope",
    "text behind the end of the turn": RIGHT + "<|im_end|> more",
    "two ends of the turn": RIGHT + "<|im_end|><|im_end|>",
    "an end of the turn inside": f"<think>{TRACE}<|im_end|></think><answer>{GOLD}</answer>",
    "text between": f"<think>{TRACE}</think> so <answer>{GOLD}</answer>",
    "answer not closed": f"<think>{TRACE}</think><answer>{GOLD}",
    "thinking not closed": f"<think>{TRACE}<answer>{GOLD}</answer>",
    "tags in another order": f"<answer>{GOLD}</answer><think>{TRACE}</think>",
    "two thinkings": f"<think></think><think></think><answer>{GOLD}</answer>",
    "wrong value": f"<think>{TRACE}</think><answer>{WRONG}</answer>",
    "names in another order": f"<think></think><answer> {' '.join(reversed(NAMES))}</answer>",
    "a name missing": f"<think></think><answer> {' '.join(NAMES[:-1])}</answer>",
    "a name twice": f"<think></think><answer> {' '.join([*NAMES, NAMES[0]])}</answer>",
    "values without names": f"<think></think><answer> {' '.join(n[2:] for n in NAMES)}</answer>",
    "all digits for one name": f"<think></think><answer>{WRONG}{GOLD[-1]}</answer>",
    "capital tags": RIGHT.replace("answer>", "ANSWER>"),
}


def found_anywhere(gold: str, response: str) -> bool:
    """Wrong twin: the right answer somewhere in the text."""
    return gold.strip() in response


def last_block(gold: str, response: str) -> bool:
    """Wrong twin: the last <answer> block, whatever stands around it."""
    blocks = re.findall(r"<answer>(.*?)</answer>", response, re.DOTALL)
    return bool(blocks) and blocks[-1].strip() == gold.strip()


@pytest.mark.parametrize("end", ["", "<|im_end|>"])
@pytest.mark.parametrize("tier", TIERS)
def test_reference_responses_are_right(tier: str, end: str) -> None:
    """Catches a grader that refuses what is taught: all three forms, with and without the stop token."""
    for problem in problems(tier, "validation", 20):
        system = system_of(problem)
        for make in (traces.searching_response, traces.planned_response, traces.direct_response):
            assert is_correct(problem, make(system) + end)


@pytest.mark.parametrize("response", WRONG_RESPONSES.values(), ids=WRONG_RESPONSES)
def test_only_the_strict_form_is_right(response: str) -> None:
    """Catches a reward that can be hacked: hedging, second tries, missing or reordered names."""
    assert not is_correct(PROBLEM, response)


def test_lenient_graders_accept_what_is_wrong() -> None:
    """Catches a list above that proves nothing: each wrong twin is fooled by several of its texts."""
    for twin in (found_anywhere, last_block):
        fooled = [name for name, response in WRONG_RESPONSES.items() if twin(GOLD, response)]
        assert len(fooled) >= 6
        assert twin(GOLD, RIGHT)


def test_white_space_around_the_answer_does_not_count_and_inside_does() -> None:
    """Catches trimming that is too eager: `m=9` and ` m=9` are one answer, `m= 9` is another."""
    assert is_correct(PROBLEM, f"<think></think><answer>\n{GOLD} \n</answer>")
    assert not is_correct(PROBLEM, f"<think></think><answer>{GOLD.replace('=', '= ')}</answer>")
    assert not is_correct(PROBLEM, f"<think></think><answer>{GOLD.replace(' ', '')}</answer>")


@settings(derandomize=True, max_examples=200)
@given(st.text(alphabet="ab <>/", max_size=20), st.text(alphabet="ab <>/", max_size=20))
def test_splitting_undoes_putting_together(trace: str, answer: str) -> None:
    """Catches parts that bleed into each other: any trace and answer without tags come back."""
    assert split_response(traces.response_text(trace, answer)) == (trace, answer)


@settings(derandomize=True, max_examples=300)
@given(st.data())
def test_a_response_with_one_character_more_or_less_is_another(data: st.DataObject) -> None:
    """Catches a form that is nearly checked: one character of a tag or value removed is never right."""
    answer_at = RIGHT.index("</think>")
    places = [*range(7), *(at for at in range(answer_at, len(RIGHT)) if not RIGHT[at].isspace())]
    at = data.draw(st.sampled_from(places))
    assert not is_correct(PROBLEM, RIGHT[:at] + RIGHT[at + 1 :])


def test_many_at_once_are_graded_as_one_by_one() -> None:
    """Catches verdicts in another order: a batch of right and wrong ones keeps its places."""
    two = problems("tier-1", "test", 2)
    responses = [traces.direct_response(system_of(problem)) for problem in two]
    assert grade([two[0], two[0], two[1]], [responses[0], responses[1], responses[1]]) == [True, False, True]
    assert grade([], []) == []


def programs_response(source: str) -> str:
    return f"<think></think><answer>{source}</answer>"


def test_programs_are_judged_by_hidden_tests_and_not_by_their_text() -> None:
    """Catches two shortcuts: comparing source with the gold text, and testing the shown examples only."""
    problem = programs.problems("code", "test", 1)[0]
    shown = dict(problem.facts["examples"])
    other_text = problem.gold.replace("(x)", "(y)").replace("*x", "*y")
    by_heart = f"def f(x): return {shown}.get(x, 0)"
    sources = [problem.gold, f" {problem.gold}\n", other_text, by_heart, "def g(x): return x", "", "(", "f"]
    responses = [programs_response(source) for source in sources] + [problem.gold]
    assert grade([problem] * len(responses), responses) == [True] * 3 + [False] * 6


def test_both_families_in_one_list_keep_their_places() -> None:
    """Catches verdicts of the sandbox handed to the wrong response: families alternate, some malformed."""
    codes = programs.problems("code", "test", 2)
    items = [
        (codes[0], programs_response(codes[0].gold), True),
        (PROBLEM, RIGHT, True),
        (codes[1], "", False),
        (codes[1], programs_response(codes[0].gold), False),
        (PROBLEM, "", False),
        (codes[1], programs_response(codes[1].gold), True),
    ]
    assert grade([item[0] for item in items], [item[1] for item in items]) == [item[2] for item in items]


def test_lists_that_do_not_fit_and_unknown_families_are_refused() -> None:
    """Catches a zip that drops the tail: unequal lengths and families without a judge are errors."""
    with pytest.raises(K2ReproError, match="1 problems and 2 responses"):
        grade([PROBLEM], [RIGHT, RIGHT])
    with pytest.raises(K2ReproError, match="unknown family 'variable'; did you mean 'variables'"):
        is_correct(dataclasses.replace(PROBLEM, family="variable"), RIGHT)
