"""Catches: lax scorers that are not lax, so that the lesson on reward hacking teaches nothing."""

import pytest

from k2repro.lessons.lax import RESPONSES, SCORERS
from k2repro.mini.variables import TIERS, problems

PROBLEMS = [problem for tier in TIERS for problem in problems(tier, "validation", 10, seed=5)]


def mean(scorer: str, response: str) -> float:
    return sum(SCORERS[scorer](problem, RESPONSES[response](problem)) for problem in PROBLEMS) / len(PROBLEMS)


@pytest.mark.parametrize("response", [name for name in RESPONSES if name != "honest"])
def test_the_strict_scorer_pays_honesty_alone(response: str):
    """Catches a strict scorer with a gap: nothing but a right and only answer earns more than luck."""
    assert mean("strict", "honest") == 1.0
    assert mean("strict", response) <= 0.2


@pytest.mark.parametrize("scorer", ["anywhere", "partial credit"])
@pytest.mark.parametrize("response", ["lists every digit", "hides the list", "hedges"])
def test_each_lax_scorer_is_hacked_completely(scorer: str, response: str):
    """Catches a wrong twin that resists: each of the exploits earns the full reward."""
    assert mean(scorer, response) == 1.0


def test_partial_credit_pays_for_guessing_more_than_strictness_does():
    """Catches partial credit that is all or nothing."""
    assert mean("strict", "guesses") <= mean("anywhere", "guesses") < mean("partial credit", "guesses") < 1
