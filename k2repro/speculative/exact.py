"""Is the text really that of the target alone? Every branch of the procedure, in fractions, added up.

On a vocabulary of a few words all that can happen in a cycle can be written down: what the draft guesses,
what stays, what takes the place of the rest. Probabilities are fractions, so nothing is rounded: the law of
the next words is equal to the target's, or it is not. A random test would need millions of draws to see what
a wrong rule does to a rare word.

A `Law` gives the distribution after a text; here it is a table drawn from a seed, zeros included.
Source: nobody's; the rules are those of `plain.py` and `fast/kernels/judging.py`.
"""

import hashlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from itertools import accumulate, product
from typing import Any

import numpy as np

from k2repro.speculative.plain import acceptance, residual

Text = tuple[int, ...]
Law = Callable[[Text], Any]  # from a text to Fractions [V]
Outcomes = Iterator[tuple[Fraction, Text]]  # probability, words written in a cycle
Cycle = Callable[[Law, Law, Text, int], Outcomes]


def drawn_law(seed: str, words: int, *, zeros: bool = True) -> Law:
    """A table of fractions that anyone can draw again; with `zeros`, some words never follow some texts."""

    @cache
    def law(text: Text) -> Any:
        digest = hashlib.sha256(f"{seed} {text}".encode()).digest()
        weights = [1 + digest[word] % 9 for word in range(words)]
        if zeros and digest[-1] % 3 == 0:
            weights[digest[-2] % words] = 0
        return np.array([Fraction(weight, sum(weights)) for weight in weights], object)

    return law


def paths(q: Law, text: Text, gamma: int) -> Iterator[tuple[Fraction, Text]]:
    """Every guess of `gamma` words, with its probability."""
    words = len(q(text))
    for guess in product(range(words), repeat=gamma):
        chance = Fraction(1)
        for at, word in enumerate(guess):
            chance *= q((*text, *guess[:at]))[word]
        if chance:
            yield chance, guess


def token_cycle(
    p: Law,
    q: Law,
    text: Text,
    gamma: int,
    *,
    draws: Law | None = None,
    stays: Any = acceptance,
    instead: Any = residual,
    added: Law | None = None,
) -> Outcomes:
    """One cycle of the plain page: guesses one by one, the first that goes is replaced.

    Wrong twins exchange a part: what guesses are drawn from (else q), which stay, what replaces one, what
    the word behind all of them is drawn from (else p).
    """
    for chance, guess in paths(draws or q, text, gamma):
        for at in range(gamma):
            here = (*text, *guess[:at])
            keep = stays(p(here), q(here), guess[at])
            if keep < 1:
                for word, share in enumerate(instead(p(here), q(here))):
                    yield chance * (1 - keep) * share, (*guess[:at], word)
            chance *= keep
            if not chance:
                break
        else:
            for word, share in enumerate((added or p)((*text, *guess))):
                yield chance * share, (*guess, word)


def block_chances(p: Law, q: Law, text: Text, guess: Text) -> list[tuple[Fraction, Fraction]]:
    """For 1, 2 ... guesses: the probability that a draw lets so many stay, and how much of p they carry."""
    kept, found = Fraction(1), []
    for at, word in enumerate(guess):
        here, there = (*text, *guess[:at]), (*text, *guess[: at + 1])
        kept = min(Fraction(1), kept * p(here)[word] / q(here)[word])
        stays = kept
        if at + 1 < len(guess):
            missing = kept * p(there) - q(there)
            rest = (missing * (missing > 0)).sum()
            stays = Fraction(1) if kept == 1 else rest / (rest + 1 - kept)
        found.append((stays, kept))
    return found


def block_cycle(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    """One cycle of block verification: the longest stretch whose own draw lets it stay."""
    for chance, guess in paths(q, text, gamma):
        chances = [(Fraction(1), Fraction(1)), *block_chances(p, q, text, guess)]
        for many in range(gamma, -1, -1):
            stays, kept = chances[many]
            share = chance * stays
            if share:
                there = (*text, *guess[:many])
                after = p(there) if many == gamma else residual(kept * p(there), q(there))
                for word, part in enumerate(after):
                    yield share * part, (*guess[:many], word)
            chance *= 1 - stays


def coupled_pairs(p: Any, q: Any) -> Iterator[tuple[Fraction, int, int]]:
    """(length, word of q, word of p) of the stretches of [0, 1) whose numbers give both the same pair."""
    ends_p, ends_q = list(accumulate(p)), list(accumulate(q))
    edges = sorted({Fraction(0), *ends_p, *ends_q})
    for low, high in zip(edges, edges[1:], strict=False):
        yield high - low, sum(end <= low for end in ends_q), sum(end <= low for end in ends_p)


def coupled_cycle(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    """One cycle of the coupled rule: both draw with the same number, guesses stay while both agree."""

    def go_on(chance: Fraction, written: Text) -> Outcomes:
        here = (*text, *written)
        if len(written) == gamma:
            for word, share in enumerate(p(here)):
                yield chance * share, (*written, word)
            return
        for length, guess, word in coupled_pairs(p(here), q(here)):
            if guess == word:
                yield from go_on(chance * length, (*written, word))
            else:
                yield chance * length, (*written, word)

    yield from go_on(Fraction(1), ())


RULES: dict[str, Cycle] = {"coupled": coupled_cycle, "token": token_cycle, "block": block_cycle}


def next_words(cycle: Cycle, p: Law, q: Law, gamma: int, count: int) -> dict[Text, Fraction]:
    """The law of the next `count` words, cycle after cycle, each as the procedure would run it."""

    @cache
    def outcomes(text: Text) -> dict[Text, Fraction]:
        found: dict[Text, Fraction] = {}
        for chance, written in cycle(p, q, text, gamma):
            if chance:
                found[written] = found.get(written, Fraction(0)) + chance
        return found

    found: dict[Text, Fraction] = {}
    waiting: dict[Text, Fraction] = {(): Fraction(1)}
    while waiting:
        text = min(waiting, key=len)
        chance = waiting.pop(text)
        for written, share in outcomes(text).items():
            whole = (*text, *written)
            home = found if len(whole) >= count else waiting
            home[whole[:count]] = home.get(whole[:count], Fraction(0)) + chance * share
    return found


def alone(p: Law, count: int) -> dict[Text, Fraction]:
    """The law of the next `count` words of the target alone."""
    return {text: chance for chance, text in paths(p, (), count)}


def largest_error(cycle: Cycle, p: Law, q: Law, gamma: int) -> Fraction:
    """The largest difference of any probability of the next gamma + 1 words; 0 means equal, not nearly so."""
    found, wanted = next_words(cycle, p, q, gamma, gamma + 1), alone(p, gamma + 1)
    return max(
        abs(found.get(text, Fraction(0)) - wanted.get(text, Fraction(0))) for text in found.keys() | wanted
    )


def words_per_cycle(cycle: Cycle, p: Law, q: Law, gamma: int) -> Fraction:
    """Expected words of one cycle from the empty text."""
    return sum((chance * len(written) for chance, written in cycle(p, q, (), gamma)), Fraction(0))
