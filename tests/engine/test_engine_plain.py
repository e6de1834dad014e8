"""The plain page of sampling is the oracle of the sampler: the same numbers must give the same tokens."""

import engine_tiny as tiny
import numpy as np
import pytest
import torch

from k2repro.engine import Sampler, plain
from k2repro.engine.plain import draw, sample_plainly
from k2repro.engine.streams import uniforms

MODEL = tiny.model(tiny.config())
PROMPTS = tiny.prompts([3, 9, 5, 14])
STOP = (7, 21)
SAMPLES, LONGEST = 8, 30


def numbers(seed: int) -> torch.Tensor:
    """The sampler's own random numbers, float64 [SAMPLES, LONGEST]."""
    return torch.from_numpy(np.stack([uniforms(seed, j, LONGEST) for j in range(SAMPLES)]))


def page(temperature: float, top_p: float) -> list[list[list[int]]]:
    found = []
    for seed, prompt in enumerate(PROMPTS):
        group = sample_plainly(MODEL, prompt, numbers(seed), stop=STOP, temperature=temperature, top_p=top_p)
        found.append([row[real].tolist() for row, real in zip(group.tokens, group.mask, strict=True)])
    return found


def fast(temperature: float, top_p: float, compiled: bool) -> list[list[list[int]]]:
    sampled = Sampler(MODEL, compiled=compiled).sample(
        PROMPTS,
        n=SAMPLES,
        max_new_tokens=LONGEST,
        temperature=temperature,
        top_p=top_p,
        seeds=range(len(PROMPTS)),
        stop=STOP,
    )
    return [[list(each.tokens) for each in samples] for samples in sampled]


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.0, 0.8), (0.0, 1.0)])
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "module"])
def test_the_sampler_draws_the_tokens_of_the_page(temperature, top_p, compiled):
    """Catches a fast path that samples from another distribution, or stops at another token."""
    assert fast(temperature, top_p, compiled) == page(temperature, top_p)


def test_the_page_reports_the_log_probabilities_of_the_sampler():
    """Catches log-probabilities taken one token too early or too late: shapes would still fit."""
    group = sample_plainly(MODEL, PROMPTS[1], numbers(1), stop=STOP)
    theirs = Sampler(MODEL).sample(
        [PROMPTS[1]], n=SAMPLES, max_new_tokens=LONGEST, seeds=[1], stop=STOP, logprobs=True
    )[0]
    for row, real, completion in zip(group.logprobs, group.mask, theirs, strict=True):
        np.testing.assert_allclose(row[real].numpy(), completion.logprobs, atol=1e-4)


def test_a_nucleus_that_forgets_its_last_token_is_noticed(monkeypatch):
    """Catches the classic off-by-one of top-p: the token that crosses the mass is dropped."""

    def drawn_short(logits, numbers, temperature=1.0, top_p=1.0):
        weights = logits.softmax(-1)
        falling = weights.sort(-1, descending=True).values
        kept = (falling.cumsum(-1) <= top_p).sum(-1, keepdim=True).clamp(min=1)
        weights = weights.where(weights >= falling.gather(-1, kept - 1), 0.0)
        cumulative = weights.cumsum(-1, dtype=torch.float64)
        return torch.searchsorted(cumulative, numbers[:, None] * cumulative[:, -1:], right=True)[:, 0]

    right = page(1.0, 0.8)
    monkeypatch.setattr(plain, "draw", drawn_short)
    assert page(1.0, 0.8) != right


def test_a_number_next_to_one_still_finds_a_token_of_the_nucleus():
    """Catches a product that rounds up to the total mass and picks a token outside of everything."""
    logits = torch.tensor([[4.0, 1.0, -50.0, -200.0]])
    almost_one = torch.tensor([1 - 2**-53], dtype=torch.float64)
    assert draw(logits, almost_one, top_p=0.9).item() == 0
    assert draw(logits, almost_one).item() in (1, 2)
