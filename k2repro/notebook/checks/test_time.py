"""Checks of the exercises of notebooks 04 and 05."""

from collections import Counter
from math import comb
from typing import Any

from k2repro.notebook.checks.outcome import AnswerOutcome, Slip, check_function

_OPERANDS = {"m": ("p", "q"), "r": ("m", "p"), "s": ("r", "t"), "t": ("p", "p")}
_PLANS = [
    (["m", "r"], {"p", "q"}, _OPERANDS),
    (["r", "m"], {"p", "q"}, _OPERANDS),
    (["m", "r", "s"], {"p", "q"}, _OPERANDS),
    (["t", "m", "r", "s"], {"p", "q"}, _OPERANDS),
    ([], {"p"}, _OPERANDS),
]


def plan_works(function: Any) -> AnswerOutcome:
    """works(plan, given, operands): whether every name is worked out after its operands."""

    def right(plan: list[str], given: set[str], operands: dict[str, tuple[str, str]]) -> bool:
        known = set(given)
        for name in plan:
            if not set(operands[name]) <= known:
                return False
            known.add(name)
        return True

    slips = [
        Slip(
            lambda plan, given, operands: all(set(operands[n]) <= given | set(plan) for n in plan),
            "All names are there, but in which order? An operand has to come *before* its use.",
        ),
        Slip(
            lambda plan, given, operands: all(set(operands[n]) <= given for n in plan),
            "What the plan has worked out by then is known too, not only the given values.",
        ),
        Slip(
            lambda plan, given, operands: not right(plan, given, operands),
            "The other way round: true means that it works.",
        ),
    ]
    return check_function(function, right, _PLANS, slips, "A plan with one name missing fails too: see `s`.")


def two_ways(function: Any) -> AnswerOutcome:
    """chance_of_two(p, q, independent): at least one of two ways is right."""

    def right(p: float, q: float, independent: bool) -> float:
        return 1 - (1 - p) * (1 - q) if independent else max(p, q)

    slips = [
        Slip(lambda p, q, _: p + q, "Problems that both solve were counted twice."),
        Slip(lambda p, q, _: p * q, "That is the chance that *both* are right."),
        Slip(lambda p, q, _: max(p, q), "Right when they fail together. Independent mistakes leave more."),
        Slip(
            lambda p, q, _: 1 - (1 - p) * (1 - q),
            "Right when they are independent. If they fail together, the second adds nothing.",
        ),
    ]
    cases = [(0.5, 0.5, True), (0.5, 0.5, False), (0.9, 0.6, True), (0.9, 0.9, False), (0.0, 0.0, True)]
    praise = "That is why a planned pass can help although it is no better than a search."
    return check_function(function, right, cases, slips, praise)


def majority_answer(function: Any) -> AnswerOutcome:
    """most_common(answers): the answer stated most often; None is no answer; first seen of equals."""

    def right(answers: list[str | None]) -> str | None:
        stated = [answer for answer in answers if answer is not None]
        return Counter(stated).most_common(1)[0][0] if stated else None

    slips = [
        Slip(
            lambda answers: Counter(answers).most_common(1)[0][0] if answers else None,
            "Unreadable answers voted. Two that cannot be read do not agree with each other.",
        ),
        Slip(
            lambda answers: next((a for a in answers if a is not None), None),
            "The first answer, not the commonest.",
        ),
    ]
    cases = [
        (["7", "8", "8"],),
        (["7", None, None],),
        ([None, None],),
        (["3", "4"],),
        (["1", "2", "2", "1", "1"],),
    ]
    return check_function(function, right, cases, slips, "Self-consistency, in one line.")


def best_of_curve(function: Any) -> AnswerOutcome:
    """oracle(right, total, n): chance that n drawn from `total` samples hold one of `right` right ones."""

    def exact(right: int, total: int, n: int) -> float:
        return 1 - comb(total - right, n) / comb(total, n)

    slips = [
        Slip(
            lambda right, total, n: 1 - (1 - right / total) ** n,
            "That draws with replacement: a sample would compete with its own copy.",
        ),
        Slip(
            lambda right, total, n: comb(total - right, n) / comb(total, n), "That is the chance of *none*."
        ),
        Slip(
            lambda right, total, n: min(1.0, n * right / total),
            "Draws with two right ones were counted twice.",
        ),
    ]
    cases = [(1, 4, 2), (2, 4, 2), (0, 4, 3), (4, 4, 1), (3, 16, 3)]
    return check_function(function, exact, cases, slips, "The oracle's curve; no selector can be above it.")


def order_of_trace(function: Any) -> AnswerOutcome:
    """order_of(moves): names evaluated, each once, in the order of their first evaluation."""

    def right(moves: list[tuple[str, str]]) -> list[str]:
        return list(dict.fromkeys(name for action, name in moves if action == "evaluate"))

    slips = [
        Slip(
            lambda moves: list(dict.fromkeys(name for _, name in moves)),
            "Notes and recalls are in it: a name would come before its operands are known.",
        ),
        Slip(
            lambda moves: [name for action, name in moves if action == "evaluate"],
            "A name that was evaluated twice stands there twice.",
        ),
        Slip(lambda moves: sorted(set(right(moves))), "Sorted by letter; the order of work is wanted."),
    ]
    cases = [
        ([("note", "m"), ("recall", "p"), ("note", "i"), ("evaluate", "i"), ("evaluate", "m")],),
        ([("evaluate", "z"), ("evaluate", "a"), ("evaluate", "z")],),
        ([("note", "q")],),
        ([],),
    ]
    return check_function(function, right, cases, slips, "The solver's own search, turned into a plan.")


def stop_early(function: Any) -> AnswerOutcome:
    """stop_early(scores, threshold): (place taken, answers drawn)."""

    def right(scores: list[float], threshold: float) -> tuple[int, int]:
        for at, score in enumerate(scores):
            if score >= threshold:
                return at, at + 1
        return scores.index(max(scores)), len(scores)

    slips = [
        Slip(
            lambda scores, threshold: (scores.index(max(scores)), len(scores)),
            "That always draws them all: fixed N.",
        ),
        Slip(
            lambda scores, threshold: next(
                ((at, at + 1) for at, score in enumerate(scores) if score > threshold),
                (scores.index(max(scores)), len(scores)),
            ),
            "A score that *reaches* the threshold is good enough: at least, not above.",
        ),
        Slip(
            lambda scores, threshold: next(
                ((at, at + 1) for at, score in enumerate(scores) if score >= threshold),
                (len(scores) - 1, len(scores)),
            ),
            "When none passes, the best of all is wanted, not the last.",
        ),
    ]
    cases = [([-9.0, -1.0, -0.5], -2.0), ([-9.0, -3.0, -5.0], -2.0), ([-2.0, -1.0], -2.0), ([-4.0], -9.0)]
    return check_function(
        function, right, cases, slips, "Easy problems now cost one answer, hard ones several."
    )
