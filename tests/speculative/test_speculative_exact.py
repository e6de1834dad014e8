"""The three rules leave the target's law as it is: exactly, by enumeration; and what breaks it is noticed."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from k2repro.speculative.exact import (
    RULES,
    alone,
    coupled_pairs,
    drawn_law,
    largest_error,
    next_words,
    words_per_cycle,
)
from k2repro.speculative.mutants import MUTANTS

CASES = [(gamma, words) for gamma, words in product((1, 2, 3, 4), (2, 3)) if (gamma, words) != (4, 3)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("gamma", "words"), CASES)
@pytest.mark.parametrize("seed", ["a", "b"])
def test_the_next_words_have_exactly_the_law_of_the_target(rule: str, gamma: int, words: int, seed: str):
    """Catches any rule that bends the text, however little: the joint law of gamma + 1 words, error 0."""
    p, q = drawn_law(f"p{seed}", words), drawn_law(f"q{seed}", words)
    assert largest_error(RULES[rule], p, q, gamma) == Fraction(0)


def test_it_is_the_law_of_a_whole_text_too():
    """Catches a rule that is right within a cycle and wrong across two."""
    p, q = drawn_law("p", 2), drawn_law("q", 2)
    for rule in RULES.values():
        found = next_words(rule, p, q, 2, 6)
        assert {text: chance for text, chance in found.items() if chance} == alone(p, 6)
        assert sum(found.values()) == 1


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.cycle.__name__)
def test_what_public_code_got_wrong_is_noticed(mutant):
    """Catches an enumeration that cannot fail: each known defect gives an error that is not 0."""
    errors = [
        largest_error(mutant.cycle, drawn_law(f"p{seed}", 3), drawn_law(f"q{seed}", 3), 2) for seed in "abc"
    ]
    assert max(errors) > 0


def test_block_keeps_most_and_coupled_least():
    """Catches two rules that are one and the same under two names, and an order that theory forbids."""
    for seed in "abcd":
        p, q = drawn_law(f"p{seed}", 3), drawn_law(f"q{seed}", 3)
        coupled, token, block = (
            words_per_cycle(RULES[rule], p, q, 3) for rule in ("coupled", "token", "block")
        )
        assert coupled <= token <= block
        assert coupled < block


def test_a_perfect_draft_is_always_kept():
    """Catches a division of nothing by nothing where draft and target agree."""
    p = drawn_law("p", 3)
    for rule in RULES.values():
        assert words_per_cycle(rule, p, p, 3) == 4 and largest_error(rule, p, p, 3) == 0


def test_coupled_pairs_have_both_laws():
    """Catches stretches of the number line that are left out, or given to the neighbour."""
    p, q = drawn_law("p", 4)(()), drawn_law("q", 4)(())
    found = np.array([[Fraction(0)] * 4] * 4, object)
    for length, guess, word in coupled_pairs(p, q):
        found[guess, word] += length
    assert (found.sum(0) == p).all() and (found.sum(1) == q).all()
