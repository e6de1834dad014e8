"""Rules that are wrong in ways in which public code has been wrong, for a table that says what notices each.

Each is a cycle as in `exact.py` with one thing changed. Where it was seen stands beside it; the threads are
public. All of them write fluent text.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from k2repro.speculative.exact import (
    Cycle,
    Law,
    Outcomes,
    Text,
    block_chances,
    coupled_pairs,
    paths,
    token_cycle,
)
from k2repro.speculative.plain import acceptance, residual


def _point(law: Any) -> Any:
    """All mass on the likeliest word."""
    found = np.array([Fraction(0)] * len(law), object)
    found[int(np.argmax(law))] = Fraction(1)
    return found


def _sharp(law: Any) -> Any:
    """The law at temperature 1/2: squared, and divided by the sum."""
    return law * law / (law * law).sum()


def argmax_draft(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    return token_cycle(p, q, text, gamma, draws=lambda here: _point(q(here)))


def target_untempered(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    # p is what was asked for; the check sees the target's own, flatter law.
    return token_cycle(lambda here: _flat(p(here)), q, text, gamma)


def _flat(law: Any) -> Any:
    """Half of the law, half spread evenly."""
    return law / 2 + Fraction(1, 2 * len(law))


def likeliest_accepted(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    def stays(p_here: Any, q_here: Any, guess: int) -> Fraction:
        return Fraction(int(guess == int(np.argmax(p_here))))

    return token_cycle(p, q, text, gamma, stays=stays, instead=lambda p_here, q_here: p_here)


def short_ratio(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    def stays(p_here: Any, q_here: Any, guess: int) -> Fraction:
        # Eight significant bits, as bfloat16 keeps them.
        mantissa, exponent = np.frexp(float(p_here[guess] / q_here[guess]))
        return min(Fraction(1), Fraction(float(np.ldexp(np.round(mantissa * 256) / 256, exponent))))

    return token_cycle(p, q, text, gamma, stays=stays)


def replaced_from_p(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    return token_cycle(p, q, text, gamma, instead=lambda p_here, q_here: p_here)


def lenient(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    def stays(p_here: Any, q_here: Any, guess: int) -> Fraction:
        return min(Fraction(1), p_here[guess] / (Fraction(9, 10) * q_here[guess]))

    return token_cycle(p, q, text, gamma, stays=stays)


def other_q(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    return token_cycle(p, q, text, gamma, draws=lambda here: _sharp(q(here)))


def stale_bonus(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    return token_cycle(p, q, text, gamma, added=lambda here: p(here[:-1]))


def bonus_filtered(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    def cut(here: Text) -> Any:
        law = p(here)
        kept = law * (law >= max(law) / 3)
        return kept / kept.sum()

    return token_cycle(p, q, text, gamma, added=cut)


def soft_lookup(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    # The guess is certain, as that of a look-up, and judged as if it had been drawn from q.
    return token_cycle(p, lambda here: _flat(q(here)), text, gamma, draws=lambda here: _point(q(here)))


def block_token_residual(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    for chance, guess in paths(q, text, gamma):
        chances = [(Fraction(1), Fraction(1)), *block_chances(p, q, text, guess)]
        for many in range(gamma, -1, -1):
            there, share = (*text, *guess[:many]), chance * chances[many][0]
            if share:
                missing = p(there) if many == gamma else p(there) - q(there)
                missing = missing * (missing > 0)
                after = missing / missing.sum() if missing.sum() else p(there)
                for word, part in enumerate(after):
                    yield share * part, (*guess[:many], word)
            chance *= 1 - chances[many][0]


def thrown_away(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    # The draft stops at a word that it gave less than 2/5, and does not hand that word in.
    for chance, guess in paths(q, text, gamma):
        sure = 0
        while sure < gamma and q((*text, *guess[:sure]))[guess[sure]] >= Fraction(2, 5):
            sure += 1
        yield from _judged(p, q, text, guess[:sure], chance)


def _judged(p: Law, q: Law, text: Text, guess: Text, chance: Fraction) -> Outcomes:
    for at, word in enumerate(guess):
        here = (*text, *guess[:at])
        keep = acceptance(p(here), q(here), word)
        if keep < 1:
            for other, share in enumerate(residual(p(here), q(here))):
                yield chance * (1 - keep) * share, (*guess[:at], other)
        chance *= keep
    for word, share in enumerate(p((*text, *guess))):
        yield chance * share, (*guess, word)


def shared_number(p: Law, q: Law, text: Text, gamma: int) -> Outcomes:
    # The number that drew the guess draws its replacement too.
    def go_on(chance: Fraction, written: Text) -> Outcomes:
        here = (*text, *written)
        if len(written) == gamma:
            for word, share in enumerate(p(here)):
                yield chance * share, (*written, word)
            return
        missing = p(here) - q(here)
        missing = missing * (missing > 0)
        after = missing / missing.sum() if missing.sum() else p(here)
        for length, guess, instead in coupled_pairs(after, q(here)):
            keep = acceptance(p(here), q(here), guess)
            yield from go_on(chance * length * keep, (*written, guess))
            if keep < 1:
                yield chance * length * (1 - keep), (*written, instead)

    yield from go_on(Fraction(1), ())


@dataclass(frozen=True)
class Mutant:
    """defect: in words. seen: a public thread. cycle: the wrong rule."""

    defect: str
    seen: str
    cycle: Cycle


MUTANTS = (
    Mutant(
        "the draft takes its likeliest word, q stays soft", "jaymody/speculative-sampling #3", argmax_draft
    ),
    Mutant("sampling settings do not reach the target", "vLLM PR #10198", target_untempered),
    Mutant("a guess stays if it is the target's likeliest", "mlx-swift-lm #459", likeliest_accepted),
    Mutant("the ratio p / q has eight bits", "DeepSpec #31", short_ratio),
    Mutant(
        "a refused guess is replaced from p",
        "Leviathan et al., algorithm 1, last step left out",
        replaced_from_p,
    ),
    Mutant("lenient acceptance, p / 0.9 q", "Leviathan et al., appendix A.5", lenient),
    Mutant("q is not what was drawn from", "transformers #47932", other_q),
    Mutant("the added word comes from the place before", "vllm-ascend #2881", stale_bonus),
    Mutant("a filter on the added word only", "vLLM #42802", bonus_filtered),
    Mutant("a look-up judged as if drawn from q", "openvino.genai #2331", soft_lookup),
    Mutant("block rule with the token rule's replacement", "vllm-ascend #7807", block_token_residual),
    Mutant("an unsure guess is thrown away after it was drawn", "found while building", thrown_away),
    Mutant("one number for guess and replacement", "vLLM #54282", shared_number),
)
