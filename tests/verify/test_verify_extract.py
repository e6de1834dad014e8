"""extract_answer: one answer, in the one place for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2repro.verify import extract_answer

RIGHT = {
    "<think>6*2</think><answer>12</answer>": "12",
    "<think>6*2</think><answer>12</answer><|im_end|>": "12",
    "<think>6*2</think><answer>12</answer>\n<|im_end|>\n<|endoftext|>": "12",
    "<think>6*2</think>\n\nSo it is:\n<answer> 12 </answer>\n": "12",
    "6*2</think><answer>12</answer>": "12",
    r"<think>6*2</think><answer>\boxed{12}</answer>": "12",
    r"<think>a</think><answer>$\boxed{\frac{1}{2}}$</answer>": r"\frac{1}{2}",
    r"<think>a</think><answer>\boxed{12} or \boxed{13}</answer>": r"\boxed{12} or \boxed{13}",
    r"<think>a</think><answer>\boxed{12</answer>": r"\boxed{12",
    r"<think>\boxed{13}</think><answer>12</answer>": "12",
}
WRONG = {
    "two answers": "<think>a</think><answer>12</answer><answer>13</answer>",
    "the same answer twice": "<think>a</think><answer>12</answer><answer>12</answer>",
    "in the thinking": "<think>a <answer>12</answer></think>",
    "also in the thinking": "<think>a <answer>12</answer></think><answer>12</answer>",
    "a tag in the thinking": "<think>write <answer> next</think><answer>12</answer>",
    "unclosed answer": "<think>a</think><answer>12",
    "unopened answer": "<think>a</think>12</answer>",
    "unclosed thinking": "<think>a<answer>12</answer>",
    "no thinking": "<answer>12</answer>",
    "two thoughts": "<think>a</think><think>b</think><answer>12</answer>",
    "thinking after the answer": "<answer>12</answer><think>a</think>",
    "thinking within the answer": "<think>a</think><answer><think>b</think>12</answer>",
    "nested": "<think>a</think><answer><answer>12</answer></answer>",
    "order": "<think>a</think></answer>12<answer>",
    "empty": "<think>a</think><answer></answer>",
    "blank": "<think>a</think><answer>  </answer>",
    "empty box": r"<think>a</think><answer>\boxed{}</answer>",
    "nothing": "",
    "no tags": "The answer is 12",
    "a second answer behind": "<think>a</think><answer>12</answer> or is it 13?",
    "a second answer before": "<think>a</think>It is 13 or <answer>12</answer>",
    "a box before": r"<think>a</think>\boxed{x}<answer>12</answer>",
    "shouted tags": "<think>a</think><ANSWER>13</ANSWER><answer>12</answer>",
    "spaced tags": "<think>a</think>< answer>x</answer ><answer>12</answer>",
    "a tag in the block": "<think>a</think><answer>12</ answer >13</answer>",
    "another turn": "<think>a</think><answer>12</answer><|im_end|><|im_start|>user no, 13<|im_end|>",
    "a turn before": "<think>a</think><|im_end|><answer>12</answer>",
}


@pytest.mark.parametrize("response", RIGHT)
def test_the_answer_is_what_stands_in_the_block(response):
    """Catches an answer cut or widened on its way out of the response."""
    assert extract_answer(response) == RIGHT[response]


@pytest.mark.parametrize("name", WRONG)
def test_anything_else_has_no_answer(name):
    """Catches a search for the last block: it pays for misplaced, repeated and unclosed answers."""
    assert extract_answer(WRONG[name]) is None


def test_the_wrong_twin_finds_answers_there():
    """Catches cases that no plausible extraction would get wrong."""

    def last_block(response: str) -> str | None:
        _, found, rest = response.rpartition("<answer>")
        return rest.split("</answer>")[0] if found else None

    assert sum(bool(last_block(response)) for response in WRONG.values()) >= 8


@given(st.lists(st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "12", " "]), max_size=8))
def test_only_one_order_of_tags_has_an_answer(parts):
    """Catches any other arrangement of the tags that still yields an answer."""
    tags = [part for part in parts if part.startswith("<")]
    full = ["<think>", "</think>", "<answer>", "</answer>"]
    if extract_answer("".join(parts)) is not None:
        assert tags in (full, full[1:])
