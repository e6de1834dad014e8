"""What went wrong first in a response of the family `variables`: one word for each kind of mistake.

    right              the grader says so
    wrong look-up      a definition, a name or a known value was copied wrongly, the word that says where to
                       go back to names somebody who does not need it, or a mark names what there is not or
                       what nobody looks up behind it
    wrong arithmetic   operands right, result wrong
    wrong order        a value was needed, in a step or in the answer, before it was worked out, a place in
                       the plan was claimed before, or the search goes round in circles until the text ends
    wrong answer line  every step right, the answer says something else
    unfinished         no mistake, and the text ends before the answer does
    unreadable         no step, or no answer, of the form that was taught

The first mistake that nothing makes good decides: what follows from a wrong value is not wrong again. Any
order of steps will do that needs no value too early, so a detour (a definition that nobody needs, one noted
twice) is a mistake only if no new value comes of it and the text ends there. An answer may be right in
spite of a wrong step (a zero times anything); then the response is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from k2repro.errors import unknown
from k2repro.mini.grading import ANSWER_NEXT, CLOSE_ANSWER, CLOSE_TRACE, OPEN_TRACE, is_correct
from k2repro.mini.problem import Problem
from k2repro.mini.tokenizer import TURN_END
from k2repro.mini.trace_grammar import (
    HALF_VALUE,
    HALF_WORD,
    MARK,
    PLACE,
    VALUE,
    TracePiece,
    Word,
    read_trace,
    words_of,
)
from k2repro.mini.traces import EVALUATE, NOTE, QUESTION
from k2repro.mini.variables import FAMILY, System, apply, system_of

RIGHT, LOOK_UP, ARITHMETIC, ORDER = "right", "wrong look-up", "wrong arithmetic", "wrong order"
ANSWER_LINE, UNFINISHED, UNREADABLE = "wrong answer line", "unfinished", "unreadable"
KINDS = (RIGHT, LOOK_UP, ARITHMETIC, ORDER, ANSWER_LINE, UNFINISHED, UNREADABLE)


class Diagnosis(NamedTuple):
    """The first mistake of a response.

    kind      one of KINDS
    at        where in the response it stands, a character position; its length where nothing is wrong
    expected  what should stand there; "" where that is not one word
    """

    kind: str
    at: int
    expected: str = ""


def classify(problem: Problem, response: str) -> str:
    """The kind of the first mistake, "right" exactly where `is_correct` says so.

    Raises K2ReproError for a problem of another family.
    """
    return diagnose(problem, response).kind


def diagnose(problem: Problem, response: str) -> Diagnosis:
    """The first mistake of a response, and where it stands."""
    if problem.family != FAMILY:
        raise unknown("family with a taxonomy of mistakes", problem.family, [FAMILY])
    if is_correct(problem, response):
        return Diagnosis(RIGHT, len(response))
    text = response.removesuffix(TURN_END)
    if not text.startswith(OPEN_TRACE):
        return _cut_or_unreadable(text, 0, OPEN_TRACE)
    reading = read_trace(text, len(OPEN_TRACE))
    walk = _Walk(system_of(problem))
    for piece in reading.pieces:
        mistake = walk.check(piece, ends=HALF_VALUE.fullmatch(text[piece.end :].strip()) is not None)
        if mistake is not None:
            return mistake
    whole = not reading.pieces or reading.pieces[-1].is_whole
    if text.startswith(CLOSE_TRACE, reading.stop):
        if not whole:
            return Diagnosis(UNREADABLE, reading.stop)
        return _check_answer(text, reading.stop, walk)
    ending = _cut_or_unreadable(text, reading.stop, CLOSE_TRACE if whole else "")
    return walk.circle if ending.kind == UNFINISHED and walk.circle is not None else ending


@dataclass
class _Walk:
    """A trace judged piece by piece.

    known   the values worked out so far, given ones included
    open    the variable that was noted last
    noted   pieces since the last new value that bring none, as (kind, variable, definition noted last)
    circle  the first of them that says nothing new: noted before, or worked out before
    """

    system: System
    known: dict[str, int] = field(init=False)
    open: str = ""
    noted: set[tuple[str, str, str]] = field(default_factory=set)
    circle: Diagnosis | None = None

    def __post_init__(self) -> None:
        self.known = dict(self.system.values)

    def check(self, piece: TracePiece, *, ends: bool) -> Diagnosis | None:
        """The mistake of a piece, which may be incomplete; what a right one establishes becomes known.

        ends: the text ends with it, or with half a word behind it
        """
        if piece.kind == EVALUATE:
            return self._check_evaluation(piece.words)
        name = piece.words[0].name
        mistake = self._check_short(piece, name)
        if mistake is None and piece.kind == MARK and not ends:
            mistake = Diagnosis(LOOK_UP, piece.at)
        # One value may be looked up for several definitions; twice for one of them says nothing new.
        key = (piece.kind, name, self.open)
        if self.circle is None and (key in self.noted or (piece.kind == NOTE and name in self.known)):
            self.circle = Diagnosis(ORDER, piece.at)
        self.noted.add(key)
        return mistake

    def _check_short(self, piece: TracePiece, name: str) -> Diagnosis | None:
        if piece.kind == PLACE:
            return self._check_place(piece.words)
        word = piece.words[0]
        mark = word if piece.kind == MARK else word.mark
        if mark is not None and mark.name not in self.system.listed:
            return Diagnosis(LOOK_UP, mark.at)
        if mark is not None and word.name != mark.name:
            return Diagnosis(LOOK_UP, word.at, self._looked_up(mark.name))
        if piece.kind == MARK:
            return None
        return self._check_note(piece) if piece.kind == NOTE else self._check_value(word, name)

    def _looked_up(self, name: str) -> str:
        """The word that is found for a listed name."""
        return f"{name}={self.known[name]}" if name in self.known else f"{name}:"

    def _check_place(self, words: Sequence[Word]) -> Diagnosis | None:
        """How far the plan was followed: to what was noted last, and worked out."""
        if self.open not in self.known:
            return Diagnosis(ORDER if self.open else LOOK_UP, words[0].at)
        if len(words) > 1 and words[1].name != self.open:
            return Diagnosis(LOOK_UP, words[1].at, f"{self.open}?")
        return None

    def _check_note(self, piece: TracePiece) -> Diagnosis | None:
        """A definition as in the question."""
        head, *words = piece.words
        if head.name not in self.system.definitions:
            return Diagnosis(LOOK_UP, head.at)
        for word, expected in zip(words, self.system.definitions[head.name], strict=False):
            if word.text != expected:
                return Diagnosis(LOOK_UP, word.at, expected)
        self.open = head.name
        if piece.back is not None and not self._is_needed(head.name, piece.back.text):
            return Diagnosis(LOOK_UP, piece.back.at)
        return None

    def _is_needed(self, name: str, by: str) -> bool:
        """Whether `by`, a variable or the question, needs the value of `name`."""
        if by == QUESTION:
            return name in self.system.asked
        return by in self.system.definitions and name in self.system.definitions[by][1:]

    def _check_value(self, word: Word, name: str) -> Diagnosis | None:
        """A known value, copied."""
        if name not in self.known:
            return Diagnosis(ORDER if name in self.system.definitions else LOOK_UP, word.at)
        expected = f"{name}={self.known[name]}"
        return None if word.text == expected else Diagnosis(LOOK_UP, word.at, expected)

    def _check_evaluation(self, words: Sequence[Word]) -> Diagnosis | None:
        """Both operands with their known values, then the result of the definition noted last."""
        operator, *operands = self.system.definitions[self.open]
        for word, operand in zip(words, operands, strict=False):
            if word.mark is not None and word.mark.name != operand:
                return Diagnosis(LOOK_UP, word.mark.at, f"{operand}?")
            if operand not in self.known:
                return Diagnosis(ORDER, word.at, f"{operand}:")
            mistake = self._check_value(word, operand)
            if mistake is not None:
                return mistake
        if len(words) < 3:
            return None
        result = apply(operator, self.known[operands[0]], self.known[operands[1]])
        expected = f"{self.open}={result}"
        if words[2].text != expected:
            return Diagnosis(ARITHMETIC if words[2].name == self.open else LOOK_UP, words[2].at, expected)
        if self.open not in self.known:
            self.known[self.open] = result
            self.noted.clear()
            self.circle = None
        return None


def _check_answer(text: str, at: int, walk: _Walk) -> Diagnosis:
    """What follows right steps: the closing tags and the answer line."""
    if not text.startswith(ANSWER_NEXT, at):
        return _cut_or_unreadable(text, at, ANSWER_NEXT)
    start = at + len(ANSWER_NEXT)
    answer, closed, tail = text[start:].partition(CLOSE_ANSWER)
    words, asked = words_of(text[: start + len(answer)], start), walk.system.asked
    for word, name in zip(words, asked, strict=False):
        if VALUE.fullmatch(word.text) is None:
            return _cut_or_unreadable(text, word.at, "")
        if name not in walk.known:
            return Diagnosis(ORDER, word.at)
        if word.text != f"{name}={walk.known[name]}":
            return Diagnosis(ANSWER_LINE, word.at, f"{name}={walk.known[name]}")
    if not closed:
        further = words[len(asked) :]
        return _cut_or_unreadable(text, further[0].at if further else len(text), CLOSE_ANSWER)
    if tail:
        return Diagnosis(UNREADABLE, len(text) - len(tail), TURN_END)
    if len(words) != len(asked):
        return Diagnosis(ANSWER_LINE, start + len(answer))
    return Diagnosis(UNREADABLE, start)  # the right words, spaced in another way


def _cut_or_unreadable(text: str, at: int, expected: str) -> Diagnosis:
    """A text that ends inside what is expected, or inside a word, was cut; others are not of the form."""
    rest = text[at:]
    cut = expected.startswith(rest) or HALF_WORD.fullmatch(rest) is not None
    return Diagnosis(UNFINISHED if cut else UNREADABLE, at, expected)
