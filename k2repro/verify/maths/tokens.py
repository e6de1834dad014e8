r"""An answer in tokens. Every character is in a token, or the text is unreadable: nothing is skipped."""

import re
from dataclasses import dataclass

from k2repro.verify.maths.tree import Unreadable
from k2repro.verify.spellings import spellings, vocabulary

FUNCTIONS = vocabulary("functions")
_NAMES = FUNCTIONS | {"sqrt", "pi", "infinity"}
_WORDS = {"or", "and", "infty", "inf", "mod"}
LOGIC = vocabulary("logic")  # no names of anything
GREEK = vocabulary("greek")
_SAME = spellings("commands")
_FONTS = vocabulary("fonts")
_PIECE = re.compile(
    r"(?P<space>\s+)|(?P<digit>[0-9])|(?P<dot>\.)|\\(?P<cmd>[a-zA-Z]+\*?|[{}|])|(?P<word>[a-zA-Z]+)"
    r"|(?P<sym>[-+*/^_(){}\[\]<>=,;:!|'%&])|(?P<row>\\\\)"
)
_MOST = 500  # tokens


@dataclass(frozen=True, slots=True)
class Token:
    """kind: digit, dot, letter, cmd, sym, text or row; spaced: white space stands before it."""

    kind: str
    text: str
    spaced: bool = False


def tokens(text: str) -> list[Token]:
    r"""The tokens of `text`; raises Unreadable for a character or a command that is not known.

    >>> [token.text for token in tokens(r"\dfrac{xy}2")]
    ['frac', '{', 'x', 'y', '}', '2']
    """
    found: list[Token] = []
    at, spaced = 0, False
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            raise Unreadable(text[at])
        at = piece.end()
        kind = str(piece.lastgroup)
        if kind == "space":
            spaced = True
            continue
        if kind == "cmd":
            new, at = _command(piece["cmd"], text, at, spaced)
        elif kind == "word":
            new = _letters(piece["word"], spaced)
        else:
            new = [Token("row", "row", spaced) if kind == "row" else Token(kind, piece[kind], spaced)]
        found += new
        spaced = False
        if len(found) > _MOST:
            raise Unreadable("too long")
    return found


def _command(name: str, text: str, at: int, spaced: bool) -> tuple[list[Token], int]:
    if name == "|":
        raise Unreadable("a norm")
    name = _SAME.get(name, name)
    if name in _FONTS:
        return _font(name, text, at, spaced)
    if name in ("{", "}"):
        return [Token("cmd", f"\\{name}", spaced)], at
    if len(name) == 1 and not name.isalpha():
        return [Token("sym", name, spaced)], at  # such as lvert, gt, cdot
    if name == "cr":
        return [Token("row", "row", spaced)], at
    return [Token("cmd", name, spaced)], at


def _font(name: str, text: str, at: int, spaced: bool) -> tuple[list[Token], int]:
    r"""\text{...}: a word; one letter, a function or digits are as without it."""
    group = re.compile(r"\s*\{([^{}\\]*)\}").match(text, at)
    if group is None:
        raise Unreadable(f"\\{name}")
    word = group[1].strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", word):
        return [Token("dot" if mark == "." else "digit", mark) for mark in word], group.end()
    if re.fullmatch(r"[a-zA-Z]", word) or word in _NAMES | _WORDS:
        return _letters(word, spaced), group.end()
    if name in ("mathbf", "mathit", "boldsymbol", "bm") and re.fullmatch(r"[-+*/^_()0-9a-zA-Z ]+", word):
        return tokens(word), group.end()
    return [Token("text", " ".join(word.split()), spaced)], group.end()


def _letters(word: str, spaced: bool) -> list[Token]:
    """A run of letters: a known name, at its end or all of it; else one variable each."""
    if word in _WORDS:
        return [Token("cmd", {"inf": "infty"}.get(word, word), spaced)]
    for start in range(len(word)):
        if word[start:] in _NAMES:
            rest = [Token("letter", mark, spaced and not at) for at, mark in enumerate(word[:start])]
            return [
                *rest,
                Token("cmd", {"infinity": "infty"}.get(word[start:], word[start:]), spaced and not start),
            ]
    return [Token("letter", mark, spaced and not at) for at, mark in enumerate(word)]
