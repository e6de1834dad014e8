"""How a trace of the family `variables` is read: four forms of pieces, whoever wrote them.

    note        ` m: - p i`        a definition; a search adds where to go back to, ` m: - p i ?`
    evaluate    ` p=3 i=4 m=9`     operands and result, right after a note
    recall      ` m=9`             a value on its own: anywhere else, or between two notes
    asked       ` m?`              the next asked variable, named before anything is said about it

What a word says may be wrong; here only its form counts. `mistakes` judges the pieces, `rendering` puts them
into sentences.
"""

import re
from typing import NamedTuple

from k2repro.mini.traces import ASKED, EVALUATE, NOTE, QUESTION, RECALL

# A tag that follows without a space is a word of its own.
WORD = re.compile(r"<\S*|[^\s<]+")
NAME, SIGN = re.compile(r"[a-z]"), re.compile(r"[-+*]")
HEAD, VALUE, MARK = re.compile(r"[a-z]:"), re.compile(r"[a-z]=[0-9]"), re.compile(r"[a-z]\?")
# What a cut may leave of a word.
HALF_WORD = re.compile(r"[a-z]=?|")
BACK = re.compile(rf"[a-z]|{re.escape(QUESTION)}")
FORMS = {NOTE: (HEAD, SIGN, NAME, NAME), EVALUATE: (VALUE, VALUE, VALUE), RECALL: (VALUE,), ASKED: (MARK,)}


class Word(NamedTuple):
    """A word and the character position where it stands."""

    text: str
    at: int

    @property
    def name(self) -> str:
        """The variable that it speaks of."""
        return self.text[0]

    @property
    def digit(self) -> str:
        """What a value says."""
        return self.text[-1]


class TracePiece(NamedTuple):
    """One of FORMS, as far as it was written; `back` is what a note of a search ends in."""

    kind: str
    words: tuple[Word, ...]
    back: Word | None = None

    @property
    def is_whole(self) -> bool:
        return len(self.words) == len(FORMS[self.kind])

    @property
    def at(self) -> int:
        return self.words[0].at

    @property
    def end(self) -> int:
        last = self.back or self.words[-1]
        return last.at + len(last.text)


class TraceReading(NamedTuple):
    """What was read of a trace.

    pieces  in their order; the last one may be incomplete
    stop    where the first word stands that belongs to no piece; the length of the text if there is none
    """

    pieces: tuple[TracePiece, ...]
    stop: int


def read_trace(text: str, start: int = 0) -> TraceReading:
    """Read pieces from `start` on, up to the first word that does not fit; white space may be any."""
    words = words_of(text, start)
    pieces: list[TracePiece] = []
    at = 0
    while at < len(words):
        kind = _kind(words[at : at + 2], pieces)
        if kind is None:
            break
        piece = TracePiece(kind, _fitting(kind, words[at : at + len(FORMS[kind])]))
        at += len(piece.words)
        if piece.kind == NOTE and piece.is_whole and at < len(words) and BACK.fullmatch(words[at].text):
            piece = piece._replace(back=words[at])
            at += 1
        pieces.append(piece)
        if not piece.is_whole:
            break
    return TraceReading(tuple(pieces), words[at].at if at < len(words) else len(text))


def words_of(text: str, start: int = 0) -> list[Word]:
    """The words of `text` from `start` on."""
    return [Word(found[0], found.start()) for found in WORD.finditer(text, start)]


def _kind(words: list[Word], before: list[TracePiece]) -> str | None:
    """The kind of piece that begins with the first of `words`; None if there is none."""
    if HEAD.fullmatch(words[0].text):
        return NOTE
    if MARK.fullmatch(words[0].text):
        return ASKED
    if VALUE.fullmatch(words[0].text):
        alone = len(words) > 1 and HEAD.fullmatch(words[1].text)
        return EVALUATE if before and before[-1].kind == NOTE and not alone else RECALL
    return None


def _fitting(kind: str, words: list[Word]) -> tuple[Word, ...]:
    """The words up to the first that has another form than its place asks for."""
    fitting = []
    for word, form in zip(words, FORMS[kind], strict=False):
        if form.fullmatch(word.text) is None:
            break
        fitting.append(word)
    return tuple(fitting)
