"""The compiled rules have the law of the enumerated ones: read off their decisions, not drawn from them.

A rule decides by comparing numbers with thresholds. Each threshold is found by halving, so a law comes out
with no noise, to the rounding of 32-bit weights. That shows what forty thousand draws cannot.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pytest

from k2repro.fast.kernels.choosing import dart
from k2repro.fast.kernels.judging import BLOCK, RUNNING, TOKEN, judge
from k2repro.fast.kernels.panels import PANEL
from k2repro.fast.kernels.speculating import MODEL, Rules, Scratch, SpeculativeRows
from k2repro.speculative.exact import Law, Outcomes, Text, alone, drawn_law, next_words, paths
from k2repro.speculative.mutants import MUTANTS

WORDS, GAMMA, WIDE = 3, 2, 2 * PANEL
RULES = {"token": TOKEN, "block": BLOCK}
P, Q = drawn_law("pa", WORDS, zeros=False), drawn_law("qa", WORDS)
# 32-bit weights round at 6e-8 of their size.
ROUNDING = 1e-6
ZERO, ALMOST_ONE = 0.0, 1 - 1e-12


@dataclass
class Judge:
    """One cycle's judgement of a guess, as a function of its numbers."""

    rule: int
    p: Law
    q: Law
    text: Text
    guess: Text

    def __post_init__(self) -> None:
        heres = [(*self.text, *self.guess[:at]) for at in range(GAMMA + 1)]
        self.logits, self.drawn_from = np.zeros((GAMMA + 1, WIDE), np.float32), np.zeros((GAMMA, WIDE))
        for at, here in enumerate(heres):
            self.logits[at, :WORDS] = np.log(self.p(here).astype(np.float64))
        for at, here in enumerate(heres[:-1]):
            self.drawn_from[at, :WORDS] = self.q(here).astype(np.float64)

    def __call__(self, numbers: Sequence[float]) -> tuple[int, int]:
        """(guesses that stay, the word behind them)."""
        rows = SpeculativeRows(
            tokens=np.zeros((1, 9), np.int64),
            counts=np.array([1]),
            prompts=np.array([1]),
            limits=np.array([9]),
            state=np.array([RUNNING]),
            numbers=np.array([numbers], np.float64),
            used=np.zeros(1, np.int64),
            stops=np.zeros(WORDS, np.bool_),
            origin=np.zeros((1, 9), np.int8),
            cycles=np.zeros((1, GAMMA + 1, GAMMA + 1), np.int64),
        )
        scratch = Scratch(
            drafts=np.array([self.guess]),
            many=np.array([GAMMA]),
            q=self.drawn_from.astype(np.float32),
            q_sums=self.drawn_from.sum(1),
            p=np.zeros((GAMMA + 1, WIDE), np.float32),
            p_sums=np.zeros(GAMMA + 1),
            batch=np.zeros((4, 1), np.int64),
            table=np.zeros((1, 1), np.float32),
        )
        rules = Rules(self.rule, MODEL, GAMMA, 0.0, np.float32(1.0), 1.0, WORDS)
        judge(self.logits, 0, rows, scratch, rules, 0)
        kept = int(rows.counts[0]) - 2
        return kept, int(rows.tokens[0, 1 + kept])

    def numbers(self, kept: int, at: int | None = None, number: float = ZERO) -> list[float]:
        """Those that let `kept` guesses stay and no more; `number` in the place of guess `at`, or last."""
        if self.rule == TOKEN:
            found = [ZERO] * kept + [ALMOST_ONE] * (kept < GAMMA)
        else:
            found = [ALMOST_ONE] * GAMMA
            if kept:
                found[kept - 1] = ZERO
        if at is not None:
            found[at] = number
            return [*found, *[ALMOST_ONE] * (GAMMA + 1)]
        return [*found, number]

    def stays(self, at: int) -> float:
        """The number below which guess `at` stays, those before (token) or none of the others (block) do."""
        before = at if self.rule == TOKEN else 0
        return edge(lambda number: self(self.numbers(before, at, number))[0] > at)

    def kept(self) -> list[float]:
        """The probability that 0, 1, .. GAMMA guesses stay."""
        stays = [self.stays(at) for at in range(GAMMA)]
        if self.rule == TOKEN:
            return [
                float(np.prod(stays[:many])) * (1 - (stays[many] if many < GAMMA else 0.0))
                for many in range(GAMMA + 1)
            ]
        none = [float(np.prod(1 - np.array(stays[many:]))) for many in range(GAMMA + 1)]
        return [none[0]] + [stays[many - 1] * none[many] for many in range(1, GAMMA + 1)]

    def behind(self, kept: int) -> list[float]:
        """The law of the word behind `kept` guesses."""
        return lengths(lambda number: self(self.numbers(kept, None, number))[1])


def edge(below: Callable[[float], bool]) -> float:
    """Where in [0, 1] `below` turns from true to false."""
    low, high = 0.0, 1.0
    if not below(ZERO):
        return 0.0
    if below(ALMOST_ONE):
        return 1.0
    for _ in range(32):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return high


def lengths(word_of: Callable[[float], int]) -> list[float]:
    """How much of [0, 1] gives each word; words grow with the number."""
    ends = [edge(lambda number, word=word: word_of(number) <= word) for word in range(WORDS - 1)]
    return np.diff([0.0, *ends, 1.0]).tolist()


def drawn(q: Law, here: Text) -> list[float]:
    """The law of a word that the compiled draw takes from q."""
    weights = np.zeros((1, WIDE), np.float32)
    weights[0, :WORDS] = q(here).astype(np.float64)
    total = float(weights[0, :WORDS].sum(dtype=np.float64))
    return lengths(lambda number: dart(weights, 0, WORDS, total, number)[0])


def compiled_cycle(
    rule: int, p: Law, q: Law, text: Text, gamma: int, *, judged_as: Law | None = None
) -> Outcomes:
    """A cycle as in `exact.py`, of the compiled rule. judged_as: what it is told that guesses come from."""
    assert gamma == GAMMA
    for _, guess in paths(q, text, gamma):
        judged = Judge(rule, p, judged_as or q, text, guess)
        chance = float(np.prod([drawn(q, (*text, *guess[:at]))[word] for at, word in enumerate(guess)]))
        for many, share in enumerate(judged.kept()):
            if share > 0:
                for word, part in enumerate(judged.behind(many)):
                    yield chance * share * part, (*guess[:many], word)


def distance(found: dict[Text, float], wanted: dict[Text, float]) -> float:
    return max(abs(float(found.get(text, 0)) - float(wanted.get(text, 0))) for text in found | wanted)


@cache
def compiled_law(rule: str) -> dict[Text, float]:
    """Of the next GAMMA + 1 words."""
    return next_words(partial(compiled_cycle, RULES[rule]), P, Q, GAMMA, GAMMA + 1)


@pytest.mark.parametrize("rule", RULES)
def test_the_compiled_rules_have_the_targets_law(rule: str):
    """Catches a comparison, a leftover or an added word that is off by more than rounding."""
    assert distance(compiled_law(rule), alone(P, GAMMA + 1)) < ROUNDING


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.cycle.__name__)
def test_no_wrong_rule_has_the_law_of_the_compiled_ones(mutant):
    """Catches what random tests overlook: each known defect is far from rounding."""
    wrong = next_words(mutant.cycle, P, Q, GAMMA, GAMMA + 1)
    assert min(distance(compiled_law(rule), wrong) for rule in RULES) > 100 * ROUNDING


@pytest.mark.parametrize("rule", RULES)
def test_a_compiled_rule_that_is_told_another_q_is_noticed(rule: str):
    """Catches a reading of decisions that cannot fail: q as the rule sees it is a tenth of a per cent off."""

    def nearly(here: Text):
        bent = Q(here) * np.array([1000, 1001, 1000])
        return bent / bent.sum()

    cycle = partial(compiled_cycle, RULES[rule], judged_as=nearly)
    assert distance(next_words(cycle, P, Q, GAMMA, GAMMA + 1), alone(P, GAMMA + 1)) > 20 * ROUNDING
