"""What went wrong first in a response of the family `variables`: one word for each kind of mistake.

    right              the grader says so
    wrong look-up      a definition, a name or a known value was copied wrongly
    wrong arithmetic   operands right, result wrong
    wrong order        a value was used, in a step or in the answer, before it was worked out
    wrong answer line  every step right, the answer says something else
    unfinished         no mistake, and the text ends before the answer does
    unreadable         no step, or no answer, of the form that was taught

The first mistake decides: what follows from a wrong value is not wrong again. An answer may be right in
spite of a wrong step (a zero times anything); then the response is right.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from k2repro.errors import K2ReproError, unknown
from k2repro.mini.grading import ANSWER_NEXT, CLOSE_ANSWER, CLOSE_TRACE, OPEN_TRACE, is_correct
from k2repro.mini.problem import Problem
from k2repro.mini.tokenizer import TURN_END
from k2repro.mini.variables import FAMILY, System, apply, system_of

RIGHT, LOOK_UP, ARITHMETIC, ORDER = "right", "wrong look-up", "wrong arithmetic", "wrong order"
ANSWER_LINE, UNFINISHED, UNREADABLE = "wrong answer line", "unfinished", "unreadable"
KINDS = (RIGHT, LOOK_UP, ARITHMETIC, ORDER, ANSWER_LINE, UNFINISHED, UNREADABLE)

WORD = re.compile(r"\S+")
VALUE = re.compile(r"([a-z])=([0-9])")
HEAD = re.compile(r"([a-z]):")
PART = re.compile(r"[a-z]|[-+*]")


class Diagnosis(NamedTuple):
    """The first mistake of a response.

    kind      one of KINDS
    at        where in the response it stands, a character position; its length where nothing is wrong
    expected  what should stand there; "" where that is not one word
    """

    kind: str
    at: int
    expected: str = ""


class _Word(NamedTuple):
    text: str
    at: int


def classify(problem: Problem, response: str) -> str:
    """The kind of the first mistake, "right" exactly where `is_correct` says so.

    Raises K2ReproError for a problem of another family.
    """
    return diagnose(problem, response).kind


def count_kinds(problems: Sequence[Problem], responses: Sequence[str]) -> dict[str, int]:
    """How often each kind occurs, in the order of KINDS; kinds that never occur are 0."""
    if len(problems) != len(responses):
        raise K2ReproError(f"{len(problems)} problems and {len(responses)} responses: must be equally many")
    found = Counter(map(classify, problems, responses))
    return {kind: found[kind] for kind in KINDS}


def diagnose(problem: Problem, response: str) -> Diagnosis:
    """The first mistake of a response, and where it stands."""
    if problem.family != FAMILY:
        raise unknown("family with a taxonomy of mistakes", problem.family, [FAMILY])
    if is_correct(problem, response):
        return Diagnosis(RIGHT, len(response))
    text = response.removesuffix(TURN_END)
    if not text.startswith(OPEN_TRACE):
        return _cut_or_unreadable(text, 0, OPEN_TRACE)
    system = system_of(problem)
    known = dict(system.values)
    trace, closed, _ = text[len(OPEN_TRACE):].partition(CLOSE_TRACE)
    if not closed:
        trace = _without_started(trace, CLOSE_TRACE)
    mistake = _check_trace(_words(trace, len(OPEN_TRACE)), system, known)
    if mistake is None:
        return _check_answer(text, len(OPEN_TRACE) + len(trace), system, known)
    if mistake.kind == UNFINISHED and closed:
        return mistake._replace(kind=UNREADABLE)
    # A text that was cut may end in half a word.
    if mistake.kind == UNREADABLE and mistake.expected and not closed:
        return _cut_or_unreadable(text, mistake.at, mistake.expected)
    return mistake


def _check_trace(words: list[_Word], system: System, known: dict[str, int]) -> Diagnosis | None:
    """The first mistake of the steps; None if all are right. Adds what they establish to `known`.

    Any order of steps will do that uses no value before it is known. A definition without values behind it
    is a note, and a value that belongs to no definition repeats one that is known.
    """
    end = words[-1].at + len(words[-1].text) if words else 0
    at = 0
    while at < len(words):
        head = HEAD.fullmatch(words[at].text)
        if head is None:
            mistake, length = _check_recall(words[at], known), 1
        else:
            evaluates = at + 4 < len(words) and HEAD.fullmatch(words[at + 4].text) is None
            length = 7 if evaluates else 4
            mistake = _check_step(head[1], words[at: at + length], system, known)
        if mistake is not None:
            return mistake
        if len(words) < at + length:
            return Diagnosis(UNFINISHED, end)
        at += length
    return None


def _check_recall(word: _Word, known: dict[str, int]) -> Diagnosis | None:
    """A value on its own is one that is known already."""
    name = word.text[0]
    expected = f"{name}={known[name]}" if name in known else ""
    if VALUE.fullmatch(word.text) is None:
        return Diagnosis(UNREADABLE, word.at, expected)
    if not expected:
        return Diagnosis(ORDER, word.at)
    return None if word.text == expected else Diagnosis(LOOK_UP, word.at, expected)


def _check_step(name: str, step: list[_Word], system: System, known: dict[str, int]) -> Diagnosis | None:
    """A definition as in the question and, if there is more, its evaluation."""
    if name not in system.definitions:
        return Diagnosis(LOOK_UP, step[0].at)
    mistake = _check_definition(step[1:4], system.definitions[name])
    return mistake or _check_values(step[4:], name, system, known)


def _check_definition(words: list[_Word], definition: tuple[str, str, str]) -> Diagnosis | None:
    """Operator and operands as in the question."""
    for word, expected in zip(words, definition, strict=False):
        if word.text != expected:
            kind = LOOK_UP if PART.fullmatch(word.text) else UNREADABLE
            return Diagnosis(kind, word.at, expected)
    return None


def _check_values(words: list[_Word], name: str, system: System, known: dict[str, int]) -> Diagnosis | None:
    """Both operands with their known values, then the result; a complete step becomes known."""
    operator, *operands = system.definitions[name]
    for word, operand in zip(words, operands, strict=False):
        value = VALUE.fullmatch(word.text)
        if value is not None and value[1] == operand and operand not in known:
            return Diagnosis(ORDER, word.at)
        expected = f"{operand}={known[operand]}" if operand in known else ""
        if word.text != expected:
            return Diagnosis(LOOK_UP if value else UNREADABLE, word.at, expected)
    if len(words) == 3:
        result = apply(operator, known[operands[0]], known[operands[1]])
        expected, value = f"{name}={result}", VALUE.fullmatch(words[2].text)
        if value is None or words[2].text != expected:
            kind = UNREADABLE if value is None else ARITHMETIC if value[1] == name else LOOK_UP
            return Diagnosis(kind, words[2].at, expected)
        known[name] = result
    return None


def _check_answer(text: str, at: int, system: System, known: dict[str, int]) -> Diagnosis:
    """What follows right steps: the closing tags and the answer line."""
    opening = ANSWER_NEXT
    if not text.startswith(opening, at):
        return _cut_or_unreadable(text, at, opening)
    start = at + len(opening)
    answer, closed, tail = text[start:].partition(CLOSE_ANSWER)
    if not closed:
        return Diagnosis(UNFINISHED, len(text), CLOSE_ANSWER)
    if tail:
        return Diagnosis(UNREADABLE, len(text) - len(tail), TURN_END)
    words = _words(answer, start)
    for word, name in zip(words, system.asked, strict=False):
        value = VALUE.fullmatch(word.text)
        if value is None:
            return Diagnosis(UNREADABLE, word.at)
        if value[1] == name and name not in known:
            return Diagnosis(ORDER, word.at)
        if word.text != f"{name}={known.get(name, '')}":
            return Diagnosis(ANSWER_LINE, word.at, f"{name}={known.get(name, '')}")
    if len(words) != len(system.asked):
        return Diagnosis(ANSWER_LINE, start + len(answer))
    return Diagnosis(UNREADABLE, start)  # the right words, spaced in another way


def _cut_or_unreadable(text: str, at: int, expected: str) -> Diagnosis:
    """A text that stops inside what is expected was cut; any other text is not of the form."""
    kind = UNFINISHED if expected.startswith(text[at:]) else UNREADABLE
    return Diagnosis(kind, at, expected)


def _without_started(text: str, tag: str) -> str:
    """`text` without a beginning of `tag` at its end, as a budget leaves it."""
    for length in range(len(tag) - 1, 0, -1):
        if text.endswith(tag[:length]):
            return text[:-length]
    return text


def _words(text: str, start: int) -> list[_Word]:
    return [_Word(found[0], start + found.start()) for found in WORD.finditer(text)]
