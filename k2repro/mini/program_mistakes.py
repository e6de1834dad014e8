"""What went wrong first in a response of the family `programs`: one word for each kind of mistake.

    right              every step is right, and the program is the one that they lead to
    wrong look-up      a digit of an example, or b, was copied wrongly
    wrong arithmetic   operands right, result wrong
    wrong verdict      " ok" for different digits, or " no" for equal ones
    wrong order        something else was written than the next step of the search
    wrong answer line  every step right, the program says something else
    unfinished         no mistake, and the text ends before the program does
    unreadable         no step, or no program, of the form that was taught

The first mistake decides. No program is run: what counts as solved is for `grading`, which can find a program
right after a faulty search, by luck. A response without any trace is judged by its program's text alone.
"""

import re
from typing import NamedTuple

from k2repro.mini.grading import ANSWER_NEXT, CLOSE_ANSWER, CLOSE_TRACE, OPEN_TRACE
from k2repro.mini.mistakes import (
    ANSWER_LINE,
    ARITHMETIC,
    LOOK_UP,
    ORDER,
    RIGHT,
    UNFINISHED,
    UNREADABLE,
    Diagnosis,
)
from k2repro.mini.problem import Problem
from k2repro.mini.program_traces import ARITHMETIC as ARITHMETIC_STEP
from k2repro.mini.program_traces import LOOK_UP as LOOK_UP_STEP
from k2repro.mini.program_traces import NO, OK, SearchOutcome, TraceStep, search
from k2repro.mini.program_traces import ORDER as ORDER_STEP
from k2repro.mini.program_traces import VERDICT as VERDICT_STEP
from k2repro.mini.programs import FORMS, LABELS, Form, Task, program_text, task_of
from k2repro.mini.tokenizer import TURN_END

VERDICT = "wrong verdict"
KINDS = (RIGHT, LOOK_UP, ARITHMETIC, VERDICT, ORDER, ANSWER_LINE, UNFINISHED, UNREADABLE)

_KIND_OF_STEP = {LOOK_UP_STEP: LOOK_UP, ARITHMETIC_STEP: ARITHMETIC, VERDICT_STEP: VERDICT, ORDER_STEP: ORDER}
_NAMES = [f" {form.name}" for form in FORMS]
_WORD = re.compile("|".join([*_NAMES, OK, NO, " b=", f" [{LABELS}]", "[0-9]"]))


class Replay(NamedTuple):
    """How far a trace goes along the search.

    at       where it ends or first goes wrong, a character position
    step     the step that should stand there; None where the search is over
    outcome  what the search came to, if it is over
    """

    at: int
    step: TraceStep | None
    outcome: SearchOutcome | None


def classify(problem: Problem, response: str) -> str:
    """The kind of the first mistake, one of KINDS.

    Raises K2ReproError for a problem of another family.
    """
    return diagnose(problem, response).kind


def diagnose(problem: Problem, response: str) -> Diagnosis:
    """The first mistake of a response, where it stands, and what should stand there."""
    task = task_of(problem)
    text = response.removesuffix(TURN_END)
    start = len(OPEN_TRACE)
    if not text.startswith(OPEN_TRACE):
        return Diagnosis(UNFINISHED if OPEN_TRACE.startswith(text) else UNREADABLE, 0, OPEN_TRACE)
    if text.startswith(CLOSE_TRACE, start):
        return _check_ending(text, start, SearchOutcome(task.function, agrees=True))
    replay = replay_trace(task, text, start)
    if replay.step is not None:
        return Diagnosis(_kind(replay.step, text[replay.at :]), replay.at, replay.step.text)
    assert replay.outcome is not None
    return _check_ending(text, replay.at, replay.outcome)


def replay_trace(task: Task, text: str, start: int = 0) -> Replay:
    """Follow the trace that begins at `start` until the search is over or the text differs from it.

    A trace may begin with any form, as a plan says; the forms after it follow in their order.
    """
    steps = search(task.examples, _forms_from(text, start))
    at = start
    step = next(steps)
    while text.startswith(step.text, at):
        at += len(step.text)
        try:
            step = steps.send(step.text)
        except StopIteration as end:
            return Replay(at, None, end.value)
    return Replay(at, step, None)


def trace_is_consistent(problem: Problem, trace: str) -> bool:
    """Whether a trace is a whole search, without any mistake, that ends at a function that agrees."""
    replay = replay_trace(task_of(problem), trace)
    return replay.at == len(trace) and replay.outcome is not None and replay.outcome.agrees


def _forms_from(text: str, start: int) -> tuple[Form, ...]:
    for at, form in enumerate(FORMS):
        if text.startswith(f" {form.name}", start):
            return FORMS[at:]
    return FORMS


def _kind(step: TraceStep, rest: str) -> str:
    """The mistake of writing `rest` where `step` comes next."""
    if step.text.startswith(rest) or CLOSE_TRACE.startswith(rest):
        return UNFINISHED
    word = _WORD.match(rest)
    if word is None:
        return ORDER if rest.startswith(CLOSE_TRACE) else UNREADABLE
    same_sort = word[0].isdigit() == step.text.isdigit() and (word[0] in (OK, NO)) == (step.text in (OK, NO))
    return _KIND_OF_STEP[step.kind] if same_sort else ORDER


def _check_ending(text: str, at: int, outcome: SearchOutcome) -> Diagnosis:
    """What follows right steps: the closing tags and the program."""
    program = program_text(outcome.function)
    expected, rest = ANSWER_NEXT + program + CLOSE_ANSWER, text[at:]
    if not outcome.agrees:  # possible only where the search began after the right form
        return Diagnosis(ORDER, at)
    if rest == expected:
        return Diagnosis(RIGHT, len(text))
    if expected.startswith(rest):
        return Diagnosis(UNFINISHED, len(text), expected[len(rest) :])
    if rest.startswith(ANSWER_NEXT):
        return _check_program(text, at + len(ANSWER_NEXT), program)
    return Diagnosis(ORDER if _WORD.match(rest) else UNREADABLE, at, ANSWER_NEXT)


def _check_program(text: str, start: int, program: str) -> Diagnosis:
    """Another program than the one that was found, or one that is cut or followed by more."""
    answer, closed, tail = text[start:].partition(CLOSE_ANSWER)
    if not closed:
        return Diagnosis(UNFINISHED, len(text), CLOSE_ANSWER)
    if tail:
        return Diagnosis(UNREADABLE, len(text) - len(tail), TURN_END)
    return Diagnosis(ANSWER_LINE if answer.startswith("def ") else UNREADABLE, start, program)
