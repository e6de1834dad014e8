"""Catches: a student's page that teaches another sampler than the one that is used."""

import engine_tiny as tiny
import pytest
import torch

from k2repro.engine import Sampler, plain
from k2repro.engine.plain import choose_token, plain_sample
from k2repro.engine.streams import uniforms

MODEL = tiny.model(tiny.config(), scale=0.25)
PROMPTS = tiny.prompts([3, 17, 9, 1, 30, 12, 6, 22])
BUDGET, STOP = 40, (5,)


def fast(temperature: float, top_p: float) -> list[tuple[int, ...]]:
    found = Sampler(MODEL, compiled=True).sample(
        PROMPTS,
        n=4,
        max_new_tokens=BUDGET,
        temperature=temperature,
        top_p=top_p,
        seeds=range(len(PROMPTS)),
        stop=STOP,
    )
    return [completion.tokens for row in found for completion in row]


def page(temperature: float, top_p: float) -> list[tuple[int, ...]]:
    return [
        tuple(
            plain_sample(
                MODEL, prompt, uniforms(seed, j, BUDGET), temperature=temperature, top_p=top_p, stop=STOP
            )
        )
        for seed, prompt in enumerate(PROMPTS)
        for j in range(4)
    ]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9), (0.0, 1.0)])
def test_thirty_two_responses_are_those_of_the_sampler(temperature: float, top_p: float):
    """Catches a cache, a stop, a temperature or a nucleus that means something else on the page."""
    found = page(temperature, top_p)
    assert len(found) == 32 and found == fast(temperature, top_p)
    # Some stop and some use up their budget, or neither rule would be looked at.
    if temperature:
        assert {row[-1] in STOP for row in found} == {True, False}


def test_a_page_that_forgets_its_cache_is_noticed(monkeypatch: pytest.MonkeyPatch):
    """Catches a comparison that cannot fail: tokens drawn with another number for each are others."""
    monkeypatch.setattr(
        plain, "choose_token", lambda logits, number, *how: choose_token(logits, 1 - number, *how)
    )
    assert page(1.0, 1.0) != fast(1.0, 1.0)


def test_the_dart_meets_every_token_as_often_as_it_should():
    """Catches an end of a stretch that is counted to the wrong side."""
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    numbers = (torch.arange(8) / 8).tolist()
    assert [choose_token(logits, number, 1.0, 1.0) for number in numbers] == [0, 0, 0, 0, 1, 1, 2, 3]
    assert [choose_token(logits, number, 1.0, 0.7) for number in numbers] == [0, 0, 0, 0, 0, 0, 1, 1]
