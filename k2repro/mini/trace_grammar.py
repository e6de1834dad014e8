"""How a trace of the family `variables` is read: four forms of pieces, whoever wrote them.

    note        ` m: - p i`        a definition; a search adds where to go back to, ` m: - p i ?`
    evaluate    ` p=3 i=4 m=9`     operands and result, right after a note
    recall      ` m=9`             a value on its own: anywhere else, or between two notes
    place       ` ok m?`           how far a plan was followed

A marked search names the variable of a look-up first: ` m? m: - p i`, ` m? m=9`. Such a mark belongs to the
word behind it. One that is left alone, as a cut leaves it, is a piece of its own. Such marks and places are
asides: what stands before and after them is read as if they were not there.

What a word says may be wrong; here only its form counts. `mistakes` judges the pieces, `rendering` puts them
into sentences.
"""

import re
from typing import NamedTuple

from k2repro.mini.traces import EVALUATE, NOTE, QUESTION, RECALL

MARK, PLACE = "mark", "place"

# A tag that follows without a space is a word of its own.
WORD = re.compile(r"<\S*|[^\s<]+")
NAME, SIGN = re.compile(r"[a-z]"), re.compile(r"[-+*]")
HEAD, VALUE, MARKED = re.compile(r"[a-z]:"), re.compile(r"[a-z]=[0-9]"), re.compile(r"[a-z]\?")
DONE = re.compile("ok")
# What a cut may leave of a look-up, and of one behind its mark.
HALF_WORD = re.compile(r"([a-z]\? ?)?([a-z]=?)?")
HALF_VALUE = re.compile(r"([a-z]=?)?")
BACK = re.compile(rf"[a-z]|{re.escape(QUESTION)}")
FORMS = {
    NOTE: (HEAD, SIGN, NAME, NAME),
    EVALUATE: (VALUE, VALUE, VALUE),
    RECALL: (VALUE,),
    MARK: (MARKED,),
    PLACE: (DONE, MARKED),
}
# Pieces that say nothing of a value or a definition.
ASIDES = (MARK, PLACE)
# The place of the result among the words of an evaluation; nobody looks it up.
RESULT = 2


class Word(NamedTuple):
    """A word and the character position where it stands; mark: the one that belongs to it."""

    text: str
    at: int
    mark: "Word | None" = None

    @property
    def name(self) -> str:
        """The variable that it speaks of."""
        return self.text[0]

    @property
    def begin(self) -> int:
        """Where it stands, its mark included."""
        return self.at if self.mark is None else self.mark.at

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
        return self.words[0].begin

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
    words = _with_marks(words_of(text, start))
    pieces: list[TracePiece] = []
    at = 0
    while at < len(words):
        kind = _kind(words[at:], pieces)
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
    return TraceReading(tuple(pieces), words[at].begin if at < len(words) else len(text))


def words_of(text: str, start: int = 0) -> list[Word]:
    """The words of `text` from `start` on."""
    return [Word(found[0], found.start()) for found in WORD.finditer(text, start)]


def _with_marks(words: list[Word]) -> list[Word]:
    """The words, marks taken into the heads and values behind them."""
    found: list[Word] = []
    for word in words:
        looks_up = HEAD.fullmatch(word.text) or VALUE.fullmatch(word.text)
        is_place = len(found) > 1 and DONE.fullmatch(found[-2].text)
        if looks_up and found and MARKED.fullmatch(found[-1].text) and not is_place:
            word = word._replace(mark=found.pop())
        found.append(word)
    return found


def _kind(words: list[Word], before: list[TracePiece]) -> str | None:
    """The kind of piece that begins with the first of `words`; None if there is none."""
    if HEAD.fullmatch(words[0].text):
        return NOTE
    if MARKED.fullmatch(words[0].text):
        return MARK
    if DONE.fullmatch(words[0].text):
        return PLACE
    if VALUE.fullmatch(words[0].text):
        return EVALUATE if _last_said(before) == NOTE and not _is_alone(words) else RECALL
    return None


def _last_said(pieces: list[TracePiece]) -> str | None:
    """The kind of the last piece that is no aside."""
    return next((piece.kind for piece in reversed(pieces) if piece.kind not in ASIDES), None)


def _is_alone(words: list[Word]) -> bool:
    """Whether a definition follows the first of `words`, a value, asides apart."""
    aside = (word for word in words[1:] if not (MARKED.fullmatch(word.text) or DONE.fullmatch(word.text)))
    after = next(aside, None)
    return after is not None and HEAD.fullmatch(after.text) is not None


def _fitting(kind: str, words: list[Word]) -> tuple[Word, ...]:
    """The words up to the first that has another form than its place asks for; a result has no mark."""
    fitting = []
    for place, (word, form) in enumerate(zip(words, FORMS[kind], strict=False)):
        if form.fullmatch(word.text) is None or (place == RESULT and word.mark is not None):
            break
        fitting.append(word)
    return tuple(fitting)
