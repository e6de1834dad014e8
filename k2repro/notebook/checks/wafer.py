"""Checks of the exercises of notebook 07."""

from typing import Any

from k2repro.notebook.checks.outcome import AnswerOutcome, Slip, check_function


def tokens_per_second(function: Any) -> AnswerOutcome:
    """bandwidth_bound(parameters, bytes_per_value, bytes_per_second): tokens a second, at most."""

    def right(parameters: float, size: float, bandwidth: float) -> float:
        return bandwidth / (parameters * size)

    slips = [
        Slip(lambda n, s, b: n * s / b, "That is seconds a token; the question is for tokens a second."),
        Slip(lambda n, s, b: b / n, "A weight takes `bytes_per_value` bytes."),
        Slip(
            lambda n, s, b: b / (2 * n * s), "Each weight is read once a token. The 2 belongs to arithmetic."
        ),
        Slip(lambda n, s, b: 8 * b / (n * s), "Bandwidth is in bytes already, not in bits."),
    ]
    cases = [(32.8e9, 2, 3.35e12), (7.6e9, 1, 2.0e12), (0.5e9, 0.5, 1e11)]
    praise = (
        "An H100 could give about 51 tokens a second, and measured rates stay below: something else waits."
    )
    return check_function(function, right, cases, slips, praise)


def roofline(function: Any) -> AnswerOutcome:
    """attainable(intensity, bandwidth, peak): FLOP/s at an intensity of FLOP per byte."""

    def right(intensity: float, bandwidth: float, peak: float) -> float:
        return min(intensity * bandwidth, peak)

    slips = [
        Slip(lambda i, b, p: max(i * b, p), "A wall cannot be passed: the *lower* of the two decides."),
        Slip(lambda i, b, p: i * b, "Without the roof: arithmetic has its own limit."),
        Slip(lambda i, b, p: p, "Without the slope: few operations a byte leave the arithmetic waiting."),
        Slip(lambda i, b, p: min(b / i, p), "Operations per byte times bytes per second: multiply."),
        Slip(lambda i, b, p: 1 / (1 / (i * b) + 1 / p), "That adds the times. On the roofline they overlap."),
    ]
    cases = [
        (1.0, 3.35e12, 9.9e14),
        (295.5, 3.35e12, 9.9e14),
        (1000.0, 3.35e12, 9.9e14),
        (1.0, 2.1e16, 1.6e16),
    ]
    praise = (
        "One sequence has an intensity near 1: a GPU stands far down the slope, a wafer touches its roof."
    )
    return check_function(function, right, cases, slips, praise)


def expected_tokens(function: Any) -> AnswerOutcome:
    """tokens_per_round(acceptance, drafted): mean tokens of one draft-and-verify round.

    Leviathan et al. 2023, arXiv 2211.17192, equation 1: (1 - a^(k+1)) / (1 - a), and k + 1 at a = 1.
    """

    def right(acceptance: float, drafted: int) -> float:
        return sum(acceptance**i for i in range(drafted + 1))

    slips = [
        Slip(
            lambda a, k: sum(a**i for i in range(1, k + 1)),
            "The verifier always gives one token of its own, even when nothing was accepted.",
        ),
        Slip(
            lambda a, k: 1 + a * k,
            "After the first refusal the rest of the draft is lost: chances multiply along the draft.",
        ),
        Slip(
            lambda a, k: (1 - a**k) / (1 - a), "One short: after k accepted tokens the verifier adds another."
        ),
        Slip(lambda a, k: 1 / (1 - a), "That is an endless draft; here it ends after `drafted` tokens."),
    ]
    cases = [(0.8, 4), (0.5, 1), (0.0, 8), (0.95, 16), (1.0, 3)]
    outcome = check_function(
        function, right, cases, slips, "More drafting pays less and less, unless nearly all is accepted."
    )
    if "ZeroDivisionError" in outcome.why:
        return AnswerOutcome(
            False, "At an acceptance of 1 the closed formula divides by zero: add the powers up instead."
        )
    return outcome
