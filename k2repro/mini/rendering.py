"""Problems and responses as ordinary sentences, for people; models never see this text.

What a model wrote may be of any form. From the first place that cannot be read on, it is shown as it is.
"""

import re
from collections.abc import Sequence

from k2repro.errors import unknown
from k2repro.mini import programs
from k2repro.mini.grading import ANSWER_NEXT, CLOSE_ANSWER, OPEN_TRACE
from k2repro.mini.problem import Problem
from k2repro.mini.program_rendering import BEGIN, program_steps
from k2repro.mini.tokenizer import TURN_END
from k2repro.mini.trace_grammar import ASIDES, MARK, PLACE, TracePiece, Word, read_trace
from k2repro.mini.traces import EVALUATE, NOTE, QUESTION, RECALL
from k2repro.mini.variables import FAMILY, MODULUS, system_of

WORDS = {"+": "plus", "-": "minus", "*": "times"}
SIGNS = {"+": "+", "-": "-", "*": "×"}

PROGRAM = re.compile(re.escape(ANSWER_NEXT) + r"(def .*)" + re.escape(CLOSE_ANSWER), re.DOTALL)
ANSWER = re.compile(re.escape(ANSWER_NEXT) + r"((?:\s*[a-z]=\d)+)\s*" + re.escape(CLOSE_ANSWER))


def render_problem(problem: Problem, *, plan: bool = False) -> str:
    """The question in sentences; with `plan`, the plan as one more.

    Raises K2ReproError for an unknown family.
    """
    if problem.family == programs.FAMILY:
        return programs.render_program_problem(problem, plan=plan)
    if problem.family != FAMILY:
        raise unknown("family", problem.family, [FAMILY, programs.FAMILY])
    system = system_of(problem)
    sentences = [
        f"{name} is {system.values[name]}."
        if name in system.values
        else f"{name} is {_in_words(*system.definitions[name])}."
        for name in system.listed
    ]
    verb = "is" if len(system.asked) == 1 else "are"
    sentences.append(f"What {verb} {listing(system.asked)}?")
    if plan:
        sentences.append(f"Plan: work out {', then '.join(system.needed)}.")
    return " ".join(sentences)


def render_response(text: str) -> str:
    """A response with one numbered line for each step of its trace, then the answer."""
    return "\n".join(response_lines(text))


def response_lines(text: str) -> list[str]:
    """The lines of `render_response`; a slider shows the first few of them.

    A response that is not of a form that was taught, or stops being so, ends in lines of its own text.
    """
    rest = text.removesuffix(TURN_END)
    lines: list[str] = []
    if rest.startswith(OPEN_TRACE):
        trace = rest[len(OPEN_TRACE) :]
        rest, steps = program_steps(trace) if BEGIN.match(trace) else _steps(trace)
        lines = [f"{number}. {step}" for number, step in enumerate(steps, 1)]
    answer = ANSWER.match(rest)
    program = PROGRAM.match(rest)
    if answer is not None:
        lines.append(_answer_line(answer[1]))
        rest = rest[answer.end() :]
    elif program is not None:
        lines.append(f"Answer: {program[1]}")
        rest = rest[program.end() :]
    return lines + rest.strip("\n").splitlines()


def listing(names: Sequence[str]) -> str:
    """Names as in a sentence: "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _steps(text: str) -> tuple[str, list[str]]:
    """What cannot be read of a trace on, and a sentence for each step before it.

    A definition that is evaluated at once is one step with its evaluation. Marks and places that agree with
    the words around them say nothing more.
    """
    pieces = [piece for piece in read_trace(text).pieces if piece.is_whole]
    kinds = [piece.kind for piece in pieces]
    sentences: list[str] = []
    noted: set[str] = set()
    note = done = None
    for at, piece in enumerate(pieces):
        name = piece.words[0].name
        if piece.kind == RECALL:
            sentences.append(f"{name} is known: {piece.words[0].digit}{_stray(piece.words[:1])}.")
        elif piece.kind == EVALUATE and note is not None:
            sentences.append(_equation(note, piece))
            done = note.words[0].name
        elif piece.kind == NOTE:
            note = piece
            if next((kind for kind in kinds[at + 1 :] if kind not in ASIDES), None) != EVALUATE:
                sentences.append(_note(piece, again=name in noted))
                noted.add(name)
        elif piece.kind == PLACE and piece.words[1].name != done:
            sentences.append(f"{piece.words[1].name} is said to be done.")
        elif piece.kind == MARK:
            sentences.append(f"{name} is to be looked up, and is not.")
    return text[pieces[-1].end if pieces else 0 :], sentences


def _note(note: TracePiece, *, again: bool) -> str:
    name, operator, first, second = note.words[0].name, *(word.text for word in note.words[1:])
    meaning = f"{_in_words(operator, first, second)}{_purpose(note)}{_stray(note.words[:1])}"
    if again:
        return f"Back to {name}, which is {meaning}."
    return f"To know {name} I need {first} and {second}: {name} is {meaning}."


def _stray(words: Sequence[Word]) -> str:
    """Marks that name another variable than the word behind them."""
    marks = [word.mark.name for word in words if word.mark is not None and word.mark.name != word.name]
    return f", looked up as {listing(marks)}" if marks else ""


def _equation(note: TracePiece, evaluation: TracePiece) -> str:
    """One evaluation as an equation; names that disagree, as a model may write them, are kept."""
    name, operator, first, second = note.words[0].name, *(word.text for word in note.words[1:])
    left, right, result = (word.digit for word in evaluation.words)
    sign = SIGNS[operator]
    equation = f"{name} = {first} {sign} {second} = {left} {sign} {right} = {result} (mod {MODULUS})"
    equation += _purpose(note) + _stray([note.words[0], *evaluation.words])
    if [word.name for word in evaluation.words] == [first, second, name]:
        return equation
    return f"{equation}, written as {', '.join(word.text for word in evaluation.words)}"


def _purpose(note: TracePiece) -> str:
    """What a note says that its value is for; a planned one says nothing."""
    if note.back is None:
        return ""
    return ", as asked" if note.back.text == QUESTION else f", for {note.back.text}"


def _answer_line(answer: str) -> str:
    values = [word.split("=") for word in answer.split()]
    return f"Answer: {listing([f'{name} is {value}' for name, value in values])}."


def _in_words(operator: str, first: str, second: str) -> str:
    return f"{first} {WORDS[operator]} {second}"
