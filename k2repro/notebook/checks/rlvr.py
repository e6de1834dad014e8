"""Checks of the exercises of notebook 03."""

import statistics
from typing import Any

from k2repro.notebook.checks.outcome import AnswerOutcome, Slip, check_function

GROUPS = [([1.0, 0.0, 0.0, 0.0],), ([1.0, 1.0, 0.0, 0.0],), ([1.0, 1.0, 1.0, 1.0],), ([0.0, 0.0],)]
EPSILON = 1e-4


def _centred(rewards: list[float]) -> list[float]:
    return [reward - statistics.fmean(rewards) for reward in rewards]


def group_advantages(function: Any) -> AnswerOutcome:
    """advantages(rewards): how much better than its group each response was, in standard deviations."""

    def right(rewards: list[float]) -> list[float]:
        return [value / (statistics.stdev(rewards) + EPSILON) for value in _centred(rewards)]

    def population(rewards: list[float]) -> list[float]:
        return [value / (statistics.pstdev(rewards) + EPSILON) for value in _centred(rewards)]

    slips = [
        Slip(
            _centred, "Centred, not scaled: that is Dr. GRPO. GRPO divides by the group's standard deviation."
        ),
        Slip(
            lambda r: [value / (statistics.stdev(r) + EPSILON) for value in r],
            "The group's mean is not taken off: a group that is all right would still push.",
        ),
        Slip(population, "Divided by the standard deviation over n; torch's and TRL's is over n - 1."),
        Slip(
            lambda r: [-value for value in right(r)],
            "The sign: what is better than the mean gets a positive advantage.",
        ),
    ]
    outcome = check_function(
        function, right, GROUPS, slips, "A group that is all right, or all wrong, gets exactly zero."
    )
    if "ZeroDivisionError" in outcome.why or "nan" in outcome.why.lower():
        return AnswerOutcome(False, f"{outcome.why} Where all are alike the deviation is 0: add 1e-4 to it.")
    return outcome


def clipped_loss(function: Any) -> AnswerOutcome:
    """token_loss(ratio, advantage, clip): what one token adds to the loss of GRPO."""

    def held(ratio: float, clip: float) -> float:
        return min(max(ratio, 1 - clip), 1 + clip)

    def right(ratio: float, advantage: float, clip: float) -> float:
        return -min(ratio * advantage, held(ratio, clip) * advantage)

    slips = [
        Slip(
            lambda r, a, c: -held(r, c) * a,
            "Always clipped: a token that moved far in the *wrong* direction could never come back.",
        ),
        Slip(lambda r, a, c: -r * a, "Never clipped: one batch may then push a token without end."),
        Slip(
            lambda r, a, c: -max(r * a, held(r, c) * a),
            "The maximum hides bad moves. The minimum of gains is meant.",
        ),
        Slip(lambda r, a, c: -right(r, a, c), "That is the gain; the loss is minus the gain."),
    ]
    cases = [(1.0, 2.0, 0.2), (1.5, 2.0, 0.2), (0.5, 2.0, 0.2), (1.5, -1.0, 0.2), (0.5, -1.0, 0.2)]
    praise = "Pushing stops once a token has moved far enough the right way, and only then."
    return check_function(function, right, cases, slips, praise)


# (response, what an honest judge pays). The right answer is 7.
RESPONSES = {
    "<think> a = 3 + 4 = 7 </think> <answer> 7 </answer>": 1.0,
    "<think> a = 3 + 5 = 8 </think> <answer> 8 </answer>": 0.0,
    "<answer> 0 1 2 3 4 5 6 7 8 9 </answer>": 0.0,
    "<think> maybe 7 </think> <answer> 8 </answer>": 0.0,
    "<answer> 8 </answer> <answer> 7 </answer>": 0.0,
    "7": 0.0,
    "<answer> 17 </answer>": 0.0,
    "<answer> 7": 0.0,
}
TRICKS = {
    "<answer> 0 1 2 3 4 5 6 7 8 9 </answer>": "It pays for a list of digits: the answer stands *alone*.",
    "<think> maybe 7 </think> <answer> 8 </answer>": "It pays for a 7 in passing: look in the answer place.",
    "<answer> 8 </answer> <answer> 7 </answer>": "It pays for a second try: one answer, exactly.",
    "7": "It pays for a bare number: without an answer place there is no answer.",
    "<answer> 17 </answer>": "It pays 17 for 7: compare whole answers, not letters.",
    "<answer> 7": "It pays for an answer that never ends: a response that was cut is not finished.",
}


def strict_reward(function: Any) -> AnswerOutcome:
    """reward(response, answer): 1 for the right answer in its place and nothing beside it, else 0."""
    if not callable(function):
        return AnswerOutcome(False, f"A function is expected here, not {function!r}.")
    for response, pays in RESPONSES.items():
        try:
            paid = float(function(response, "7"))
        except NotImplementedError:
            return AnswerOutcome(
                False, "Nothing there yet: replace the line that raises NotImplementedError."
            )
        except Exception as error:  # a student's code may fail in any way, and the reason is what helps
            return AnswerOutcome(False, f"On {response!r} it raised {type(error).__name__}: {error}")
        if paid > pays:
            return AnswerOutcome(
                False, f"Hacked by {response!r}. {TRICKS.get(response, 'That answer is wrong.')}"
            )
        if paid < pays:
            return AnswerOutcome(False, f"The honest {response!r} is not paid: nothing could be learned.")
    return AnswerOutcome(True, f"None of {len(TRICKS)} tricks is paid. A policy will look for the next one.")
