"""Checks of the exercises of notebook 02."""

import math
from typing import Any

from k2repro.notebook.checks.outcome import AnswerOutcome, Slip, check_function

IGNORE = -100
TEXTS = [([5, 6, 7], [8, 9]), ([1], [2, 3, 4]), ([4, 4], [4])]


def targets_of(function: Any) -> AnswerOutcome:
    """make_targets(prompt, response): what each token of prompt + response has to predict, else -100."""

    def right(prompt: list[int], response: list[int]) -> list[int]:
        return [IGNORE] * (len(prompt) - 1) + [*response, IGNORE]

    slips = [
        Slip(
            lambda p, r: [IGNORE] * len(p) + list(r),
            "Each place holds its *own* token. Place i has to predict token i + 1: shift by one.",
        ),
        Slip(
            lambda p, r: [*p[1:], *r, IGNORE],
            "The question is learned too. Only the response is to be learned: -100 over the rest.",
        ),
        Slip(
            lambda p, r: [IGNORE] * len(p) + [*r[1:], IGNORE],
            "The last token of the prompt must predict the first of the response; here it does not.",
        ),
        Slip(
            lambda p, r: [IGNORE] * (len(p) - 1) + list(r),
            "One target is missing: the last token of the response predicts nothing, and is -100.",
        ),
    ]
    return check_function(
        function,
        right,
        TEXTS,
        slips,
        "The question is read and not learned; every answer token is learned once.",
    )


def response_loss(function: Any) -> AnswerOutcome:
    """mean_loss(logprobs, targets): mean negative log-likelihood over what is learned, in nats."""

    def right(logprobs: list[float], targets: list[int]) -> float:
        kept = [-value for value, target in zip(logprobs, targets, strict=True) if target != IGNORE]
        return sum(kept) / len(kept)

    def total(logprobs: list[float], targets: list[int]) -> float:
        return right(logprobs, targets) * sum(target != IGNORE for target in targets)

    slips = [
        Slip(
            lambda v, t: total(v, t) / len(t),
            "The sum is right, but the divisor counts ignored places too: long questions look easy.",
        ),
        Slip(
            lambda v, t: -sum(v) / len(v),
            "Ignored places are in the sum. Leave those whose target is -100 out.",
        ),
        Slip(total, "That is the sum. Its size hangs on the length of a response; a mean does not."),
        Slip(
            lambda v, t: -right(v, t),
            "The sign: a likelihood below one has a negative logarithm, a loss is positive.",
        ),
        Slip(lambda v, t: right(v, t) / math.log(2), "That is in bits; the natural logarithm gives nats."),
    ]
    cases = [
        ([-1.0, -0.5, -0.25, -4.0], [IGNORE, 8, 9, IGNORE]),
        ([-3.0, -2.0], [1, 2]),
        ([-9.0, -9.0, -0.1], [IGNORE, IGNORE, 3]),
    ]
    return check_function(
        function, right, cases, slips, "This is the number on the y-axis of every SFT curve."
    )


def pass_at_k(function: Any) -> AnswerOutcome:
    """pass_at_k(n, correct, k): chance that k of n samples, drawn without putting back, hold a right one."""

    def right(n: int, correct: int, k: int) -> float:
        return 1.0 if n - correct < k else 1 - math.comb(n - correct, k) / math.comb(n, k)

    slips = [
        Slip(
            lambda n, c, k: 1 - (1 - c / n) ** k,
            "That draws *with* putting back, and is too low: the same wrong sample may come twice.",
        ),
        Slip(lambda n, c, k: c / n, "That is pass@1 for every k."),
        Slip(lambda n, c, k: min(1.0, k * c / n), "Chances of overlapping events do not add up."),
        Slip(
            lambda n, c, k: 1 - right(n, c, k),
            "That is the chance that none is right; the question is for at least one.",
        ),
    ]
    cases = [(16, 4, 1), (16, 4, 4), (16, 0, 8), (16, 15, 2), (5, 5, 5), (100, 3, 50)]
    praise = "Unbiased (Chen et al. 2021, arXiv 2107.03374, section 2.1): no k needs more samples than n."
    return check_function(function, right, cases, slips, praise)
