"""Catches a compiled rule that bends the text a little: 200 random tests, whose p-values have to be uniform.

Models of three words, so that the joint law of a whole cycle, gamma + 1 words, is known from every text. The
enumeration tests the rules as they are written down; this is the loop that writes texts.
"""

from fractions import Fraction
from functools import cache
from itertools import product

import engine_tiny as tiny
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import kstest

from k2repro.architecture import Qwen2
from k2repro.lessons.draws import chances, p_values
from k2repro.speculative import Draft, speculative_sample
from k2repro.speculative.exact import Law, alone, next_words
from k2repro.speculative.mutants import MUTANTS

pytestmark = pytest.mark.slow

WORDS, GAMMA, RUNS, DRAWS = 3, 3, 200, 200
TEXTS = list(product(range(WORDS), repeat=GAMMA + 1))
PROMPT = [1, 0, 2]
TARGET = tiny.model(tiny.config(vocab_size=WORDS, hidden_size=16), scale=0.4)
DRAFT = tiny.model(tiny.config(vocab_size=WORDS, hidden_size=16, num_hidden_layers=1), seed=4, scale=0.4)


def law_of(model: Qwen2) -> Law:
    """From the words behind the prompt to probabilities, as fractions that add up to 1."""

    @cache
    def law(text: tuple[int, ...]) -> NDArray[np.object_]:
        with torch.no_grad():
            found = model(torch.tensor([[*PROMPT, *text]]))[0, -1].double().softmax(-1).tolist()
        first = [Fraction(round(chance * 2**40), 2**40) for chance in found[:-1]]
        return np.array([*first, 1 - sum(first)], object)

    return law


P, Q = law_of(TARGET), law_of(DRAFT)


@cache
def counts(rule: str) -> NDArray[np.int64]:
    """How often the loop wrote each text, [RUNS, TEXTS]."""
    found = speculative_sample(
        TARGET,
        Draft.of(DRAFT),
        [PROMPT],
        n=RUNS * DRAWS,
        max_new_tokens=GAMMA + 1,
        seeds=[7],
        rule=rule,
        gamma=GAMMA,
        batch=64,
    )
    places = np.array([row.tokens for row in found.responses[0]]) @ WORDS ** np.arange(GAMMA, -1, -1)
    return np.array([np.bincount(run, minlength=len(TEXTS)) for run in np.split(places, RUNS)])


@pytest.mark.parametrize("rule", ["coupled", "token", "block"])
def test_p_values_are_uniform_under_the_targets_law(rule: str):
    """Catches a law that is off by more than 200 tests can overlook, and draws that repeat."""
    found = p_values(counts(rule), chances(alone(P, GAMMA + 1), TEXTS), np.random.default_rng(0))
    assert kstest(found, "uniform").pvalue > 0.01


# Wrong rules whose texts 200 tests of 200 draws cannot tell from right ones, with these two models. That is
# why there is an enumeration.
OVERLOOKED = {"short_ratio", "lenient", "stale_bonus", "block_token_residual", "shared_number"}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.cycle.__name__)
def test_p_values_are_not_uniform_under_a_wrong_rules_law(mutant):
    """Catches a test without power: against the laws of most wrong rules the same draws stand out."""
    law = next_words(mutant.cycle, P, Q, GAMMA, GAMMA + 1)
    assert {text: chance for text, chance in law.items() if chance} != alone(P, GAMMA + 1)
    found = p_values(counts("token"), chances(law, TEXTS), np.random.default_rng(0))
    noticed = kstest(found, "uniform").pvalue < 1e-4
    assert noticed or mutant.cycle.__name__ in OVERLOOKED
