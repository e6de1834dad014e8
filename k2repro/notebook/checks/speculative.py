"""Checks of the exercises of notebook 06."""

from itertools import accumulate
from operator import mul
from typing import Any

from k2repro.notebook.checks.outcome import AnswerOutcome, Slip, check_function

# Distributions of the target and of the draft over a few words.
PAIRS = [
    ([0.5, 0.3, 0.2], [0.25, 0.25, 0.5]),
    ([0.1, 0.9], [0.6, 0.4]),
    ([0.0, 0.4, 0.6], [0.5, 0.5, 0.0]),
    ([0.7, 0.1, 0.1, 0.1], [0.4, 0.2, 0.2, 0.2]),
]


def chance_to_stay(function: Any) -> AnswerOutcome:
    """stays(p, q): with which probability a guess is kept that the target gives p and the draft gave q."""

    def right(p: float, q: float) -> float:
        return min(1.0, p / q)

    slips = [
        Slip(lambda p, q: p / q, "A probability is at most 1: what the target likes better always stays."),
        Slip(
            lambda p, q: min(1.0, q / p), "Upside down: a guess that the *target* finds unlikely should go."
        ),
        Slip(
            lambda p, q: p,
            "The draft has drawn it with q already: kept with p, it would come with q times p.",
        ),
        Slip(
            lambda p, q: float(p >= q),
            "All or nothing bends the text: words that the draft prefers would never come from a guess.",
        ),
        Slip(min, "min(p, q) is how often it is guessed *and* stays. It was guessed: divide by q."),
    ]
    cases = [(0.2, 0.5), (0.5, 0.25), (0.3, 0.3), (0.0, 0.4), (0.9, 0.95)]
    praise = "Guessed with q and kept with min(1, p / q), a word comes with min(p, q): never too often."
    return check_function(function, right, cases, slips, praise)


def replacement(function: Any) -> AnswerOutcome:
    """instead(p, q): the distribution of the word that takes the place of a refused guess."""

    def shared(parts: list[float]) -> list[float]:
        return [part / sum(parts) for part in parts]

    def missing(p: list[float], q: list[float]) -> list[float]:
        return [max(0.0, here - there) for here, there in zip(p, q, strict=True)]

    def right(p: list[float], q: list[float]) -> list[float]:
        return shared(missing(p, q))

    slips = [
        Slip(missing, "Right shape, but it does not add up to 1: divide by the sum."),
        Slip(
            lambda p, q: p,
            "From p itself the guessed words come twice: once as guesses, once again as replacements.",
        ),
        Slip(
            lambda p, q: shared([abs(a - b) for a, b in zip(p, q, strict=True)]),
            "Where q exceeds p nothing is missing: the draft has given too much already.",
        ),
        Slip(
            lambda p, q: right(q, p), "The other way round: what p has and q lacks is still to be given out."
        ),
        Slip(
            lambda p, q: [a - b for a, b in zip(p, q, strict=True)],
            "Differences can be negative. Keep the positive ones and divide by their sum.",
        ),
    ]
    praise = "min(p, q) from the guesses and the rest of p from here: together exactly p."
    return check_function(function, right, PAIRS, slips, praise)


def speed_with_draft(function: Any) -> AnswerOutcome:
    """speed(stays, pass_cost, guess_cost): tokens for the time of one, with a draft.

    stays: acceptance of the first, second ... guess of those that were judged. Costs in target steps.
    """

    def tokens(stays: list[float]) -> float:
        return 1 + sum(accumulate(stays, mul))

    def right(stays: list[float], pass_cost: float, guess_cost: float) -> float:
        return tokens(stays) / (pass_cost + len(stays) * guess_cost)

    slips = [
        Slip(
            lambda s, p, g: (tokens(s) - 1) / (p + len(s) * g),
            "The pass gives one token of the target's own, whatever becomes of the guesses.",
        ),
        Slip(
            lambda s, p, g: (1 + sum(s)) / (p + len(s) * g),
            "A guess counts only if all before it stayed: chances multiply along the cycle.",
        ),
        Slip(
            lambda s, p, g: tokens(s) / (1 + len(s) * g),
            "That is Leviathan's form: it takes a pass over many tokens to cost what one over a token does.",
        ),
        Slip(lambda s, p, g: tokens(s) / (p + g), "The draft runs once for every guess, not once a cycle."),
        Slip(lambda s, p, g: tokens(s), "Those are tokens a pass; what the pass and the guesses cost?"),
    ]
    cases = [
        ([0.9, 0.9, 0.9], 1.3, 0.1),
        ([0.6, 0.2], 1.1, 0.0),
        ([0.9, 0.8, 0.7, 0.6], 2.5, 0.5),
        ([0.0], 1.0, 0.2),
    ]
    praise = "Below 1 the draft makes it slower, and that happens with good drafts too: look at the costs."
    return check_function(function, right, cases, slips, praise)
