"""Catches: training texts whose answers are wrong, and streams that do not resume to the same batches."""

import re

import pytest
import torch

from k2repro.errors import K2ReproError
from k2repro.mini import tokenizer
from k2repro.mini.mixtures import KINDS, Ingredient, MixtureStream, draw_example
from k2repro.sft.recipe import BASE, DIRECT, SFT

KNOWN = (Ingredient("known", 1.0),)
LINE = re.compile(r" [a-z]: [-+*] [a-z] [a-z]| [a-z]=\d")


def known_answers(question: str) -> str:
    """What the task asks for, found anew from its text: the value if there is one, else the definition."""
    listed, _, asked = question.partition(" ?")
    lines = LINE.findall(listed)
    assert "".join(lines) == listed
    found = []
    for name in asked.split():
        values = [line for line in lines if line.startswith(f" {name}=")]
        definitions = [line for line in lines if line.startswith(f" {name}:")]
        found += (values or definitions)[:1]
    return "".join(found)


def test_a_known_operand_is_answered_with_its_value():
    """Catches a definition that is given although the value stands there too, the whole point of the task."""
    both = 0
    for index in range(300):
        example = draw_example(KNOWN, "test", index)
        prompt, response = tokenizer.decode(example.prompt), tokenizer.decode(example.response)
        question = prompt.split("user\n")[1].split("<|im_end|>")[0]
        wanted = known_answers(question)
        assert response == f"<think>{wanted}</think><answer></answer>{tokenizer.TURN_END}"
        both += any(
            f" {name}:" in question and f" {name}=" in question for name in question.split(" ?")[1].split()
        )
    assert both > 30


@pytest.mark.parametrize("stage", [*BASE, *SFT, *DIRECT], ids=lambda stage: stage.name)
def test_every_text_fits_the_rows_of_its_stage(stage):
    """Catches a mixture that stops its training in the middle, at the first text that is too long."""
    assert max(len(draw_example(stage.mixture, "fits", index)) for index in range(400)) <= stage.length


def test_a_stream_goes_on_where_it_was():
    """Catches a resumed run that sees other texts than an undisturbed one."""
    first, second = (MixtureStream(SFT[0].mixture, "resume", rows=2, length=288) for _ in range(2))
    for _ in range(3):
        first.next_batch()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.next_batch().tokens, second.next_batch().tokens)


def test_an_unknown_kind_is_named():
    """Catches a misspelt ingredient that is found after minutes, or never."""
    with pytest.raises(K2ReproError, match=r"serching.*searching"):
        MixtureStream((Ingredient("serching", 1.0),), "x", rows=1, length=64)
    assert "known" in KINDS
