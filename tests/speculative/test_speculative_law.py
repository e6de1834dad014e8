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
from k2repro.lessons.draws import SIMULATED, chances, p_values
from k2repro.speculative import Draft, speculative_sample
from k2repro.speculative.exact import Law, alone, next_words
from k2repro.speculative.mutants import MUTANTS, short_ratio

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


@pytest.mark.parametrize("rule", ["coupled", "token", "block"])
def test_all_draws_together_have_the_targets_law(rule: str):
    """Catches an error too small for each of 200 tests: one test of forty thousand draws."""
    together = counts(rule).sum(0, keepdims=True)
    assert p_values(together, chances(alone(P, GAMMA + 1), TEXTS), np.random.default_rng(1))[0] > 0.01


def draws_needed(law: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Draws of `wanted` after which one test against `law` misses it once in a million times at most.

    Either a text has come that `law` never gives; or G, whose mean grows by 2 draws KL(wanted, law), is six
    of the standard deviations that it has under `law`, the root of 2 (V - 1), beyond its mean.
    """
    never = wanted[law == 0].sum()
    if never > 0:
        return float(np.log(1e-6) / np.log1p(-never))
    apart = float(np.sum(wanted * np.log(wanted / law)))
    return float(6 * np.sqrt(2 * (len(law) - 1)) / (2 * apart))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.cycle.__name__)
def test_the_draws_do_not_have_a_wrong_rules_law(mutant):
    """Catches a test without power: the same draws stand out against every law that so many can tell apart.

    One wrong rule rounds a ratio to eight bits, which would take millions of draws.
    `test_speculative_judging.py` reads that off the decisions.
    """
    law, right = next_words(mutant.cycle, P, Q, GAMMA, GAMMA + 1), alone(P, GAMMA + 1)
    assert {text: chance for text, chance in law.items() if chance} != right
    wrong, wanted = chances(law, TEXTS), chances(right, TEXTS)
    if draws_needed(wrong, wanted) <= RUNS * DRAWS:
        # None of the simulated runs is as far as the draws.
        together = counts("token").sum(0, keepdims=True)
        assert p_values(together, wrong, np.random.default_rng(0))[0] < 1 / SIMULATED
    else:
        assert mutant.cycle is short_ratio and draws_needed(wrong, wanted) > 1e7
    if draws_needed(wrong, wanted) <= DRAWS:
        # A rule that stands out in one run makes all p-values crowd near nothing.
        assert kstest(p_values(counts("token"), wrong, np.random.default_rng(0)), "uniform").pvalue < 1e-12
