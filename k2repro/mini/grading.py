"""Right or wrong, decided by a program: one strict form of response, one right answer.

    <think> ... </think><answer> m=9 p=3 k=7</answer><|im_end|>

The form counts. A grader that searches for the right answer anywhere in the text rewards a model that lists
several; one that takes the last of two answer blocks rewards a second try. Both raise a score without a word.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from k2repro.errors import K2ReproError, unknown
from k2repro.mini.problem import Problem
from k2repro.mini.tokenizer import TURN_END

if TYPE_CHECKING:
    from k2repro.verify import TestRun

OPEN_TRACE, CLOSE_TRACE, OPEN_ANSWER, CLOSE_ANSWER = TAGS = ("<think>", "</think>", "<answer>", "</answer>")
ANSWER_NEXT = CLOSE_TRACE + OPEN_ANSWER
FAMILIES = ("variables", "programs")


class Parts(NamedTuple):
    """The two halves of a well-formed response, without their tags."""

    trace: str
    answer: str


def split_response(response: str) -> Parts | None:
    """Trace and answer of a response in the strict form; None for every other text.

    The response is one block `<think>...</think><answer>...</answer>`, each tag once, with nothing before it
    and nothing but one <|im_end|> after it.
    """
    text = response.removesuffix(TURN_END)
    if any(text.count(tag) != 1 for tag in TAGS) or TURN_END in text:
        return None
    if not (text.startswith(OPEN_TRACE) and text.endswith(CLOSE_ANSWER)):
        return None
    trace, middle, answer = text[len(OPEN_TRACE) : -len(CLOSE_ANSWER)].partition(ANSWER_NEXT)
    return Parts(trace, answer) if middle else None


def is_correct(problem: Problem, response: str) -> bool:
    """Whether one response is right; see `grade`."""
    return grade([problem], [response])[0]


def grade(problems: Sequence[Problem], responses: Sequence[str]) -> list[bool]:
    """One verdict for each pair of problem and response, in their order.

    variables   the answer is the gold text, up to white space around it: every asked name once, in the
                asked order
    programs    the answer is Python that passes all hidden tests, run in the sandbox of `k2repro.verify`;
                the whole list goes there in one call

    Raises K2ReproError for lists of different length, for an unknown family, and where a program is to be
    run and no sandbox is available.
    """
    if len(problems) != len(responses):
        raise K2ReproError(
            f"{len(problems)} problems and {len(responses)} responses: must be equally many; usual cause: "
            "several samples of a problem, for which the problem is to be repeated"
        )
    for problem in problems:
        if problem.family not in FAMILIES:
            raise unknown("family", problem.family, FAMILIES)
    parts = [split_response(response) for response in responses]
    runs = iter(
        run_programs(
            [
                (problem, part.answer.strip())
                for problem, part in zip(problems, parts, strict=True)
                if part is not None and problem.family == "programs"
            ]
        )
    )
    return [
        part is not None
        and (
            next(runs).passed if problem.family == "programs" else part.answer.strip() == problem.gold.strip()
        )
        for problem, part in zip(problems, parts, strict=True)
    ]


def run_programs(programs: Sequence[tuple[Problem, str]]) -> list["TestRun"]:
    """What each source does on the hidden tests of its problem, in the sandbox; one call for all of them."""
    if not programs:
        return []
    from k2repro.mini.programs import hidden_tests
    from k2repro.verify import FunctionTest, run_many

    # One list for each problem: the verifier runs equal sources with the same list once.
    tests = {problem.id: [FunctionTest(**test) for test in hidden_tests(problem)] for problem, _ in programs}
    return run_many([(source, tests[problem.id]) for problem, source in programs])
