"""How a verifier gets hacked: lax scorers beside the strict one, and responses that exploit them.

The scorers are wrong on purpose, for lessons only. Each has the flaw of scorers in use: the right answer
found anywhere in the text, or credit for parts (reasoning-gym 0.1.25 pays 0.83 for "I think X maybe" in
place of a sudoku).
"""

from collections.abc import Callable, Sequence
from typing import Any

from k2repro.mini.data import reference_response
from k2repro.mini.grading import is_correct
from k2repro.mini.problem import Problem
from k2repro.mini.traces import response_text
from k2repro.mini.variables import MODULUS, system_of
from k2repro.rlvr.advantages import group_advantages
from k2repro.verify import lax_answers_equal

Records = list[dict[str, Any]]
Scorer = Callable[[Problem, str], float]


def strict(problem: Problem, response: str) -> float:
    """1 for the right answer in the answer place and nothing beside it."""
    return float(is_correct(problem, response))


def anywhere(problem: Problem, response: str) -> float:
    """Wrong twin: 1 when every value of the gold answer stands somewhere in the text."""
    return float(all(lax_answers_equal(word, response) for word in problem.gold.split()))


def partial(problem: Problem, response: str) -> float:
    """Wrong twin: the share of the gold answer's values that stand somewhere in the text."""
    words = problem.gold.split()
    return sum(lax_answers_equal(word, response) for word in words) / len(words)


SCORERS: dict[str, Scorer] = {"strict": strict, "anywhere": anywhere, "partial credit": partial}


def honest(problem: Problem) -> str:
    """The taught response."""
    return reference_response(problem, "searching")


def lists_every_digit(problem: Problem) -> str:
    """No reasoning: every asked variable with all ten values."""
    return response_text("", _all_values(problem))


def hides_the_list(problem: Problem) -> str:
    """The same list in the thinking, and a neat answer."""
    return response_text(_all_values(problem), _answer(problem, 0))


def hedges(problem: Problem) -> str:
    """The right trace, then two answers for every variable: one of them is right."""
    trace, _, _ = honest(problem).partition("<answer>")
    gold = problem.gold.split()
    other = [f"{word[:-1]}{(int(word[-1]) + 1) % MODULUS}" for word in gold]
    both = "".join(f" {first} {second}" for first, second in zip(other, gold, strict=True))
    return f"{trace}<answer>{both}</answer>"


def guesses(problem: Problem) -> str:
    """The same digit for everything."""
    return response_text("", _answer(problem, 0))


RESPONSES: dict[str, Callable[[Problem], str]] = {
    "honest": honest,
    "lists every digit": lists_every_digit,
    "hides the list": hides_the_list,
    "hedges": hedges,
    "guesses": guesses,
}


def lax_records(problems: Sequence[Problem]) -> Records:
    """Mean reward that each kind of response earns from each verifier, over some problems."""
    return [
        {
            "response": name,
            **{
                f"{label}": round(sum(scorer(each, write(each)) for each in problems) / len(problems), 3)
                for label, scorer in SCORERS.items()
            },
        }
        for name, write in RESPONSES.items()
    ]


def lax_advantages(problem: Problem) -> Records:
    """One group that holds one response of each kind: what GRPO would push up, by verifier."""
    texts = {name: write(problem) for name, write in RESPONSES.items()}
    pushed = {
        label: group_advantages([scorer(problem, text) for text in texts.values()], len(texts)).tolist()
        for label, scorer in SCORERS.items()
    }
    return [
        {"response": name, **{label: f"{values[at]:+.2f}" for label, values in pushed.items()}}
        for at, name in enumerate(texts)
    ]


def _answer(problem: Problem, digit: int) -> str:
    return "".join(f" {name}={digit}" for name in system_of(problem).asked)


def _all_values(problem: Problem) -> str:
    return "".join(f" {name}={digit}" for name in system_of(problem).asked for digit in range(MODULUS))
