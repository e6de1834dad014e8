"""Answers that are no mathematics: names, options, dates; compared as they stand."""

import re

from k2repro.verify.maths.tokens import FUNCTIONS, GREEK
from k2repro.verify.spellings import vocabulary

_RUN = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}")
_KNOWN = (
    FUNCTIONS
    | GREEK
    | {"sqrt", "pi", "infinity", "infty", "or", "and", "mod", "pmatrix", "bmatrix", "vmatrix"}
)
_SHORT_WORDS = vocabulary("short")
_JOINTS = frozenset(["or", "and", "if", "not", "yes", "for"])
_LOUD = vocabulary("loud")
_DATE = re.compile(r"\d+(?:-\d+)+|\d+/\d+/\d+|\d{1,2}:0\d|\d{1,2}:\d\d\s*[ap]\.?m\.?", re.IGNORECASE)
_HALF_OF_DAY = re.compile(r"(?<=\d)\s*([ap])\.?\s?m\.?$", re.IGNORECASE)
_IN_TEXT = re.compile(r"\\(?:text|mathrm|textbf|textrm|mbox)\s*\{([^{}]*)\}")


def is_words(gold: str) -> bool:
    """Whether a gold answer is to be compared as text.

    >>> is_words("Tuesday"), is_words("2xy+1"), is_words("mn"), is_words("10-12"), is_words("no")
    (True, False, False, True, True)
    """
    if _DATE.fullmatch(re.sub(r"\s*([-:])\s*", r"\1", _IN_TEXT.sub(r"\1", gold).strip())):
        return True
    if (
        gold.count("=") > 1
        and "," not in gold
        and not re.search(r"\\|\bor\b|\band\b", gold)
        and re.search(r"\d\s+[a-zA-Z]", gold)
    ):
        return True  # m= 9 p= 3
    bare = re.sub(r"_\{[^{}]*\}|\\(?:begin|end)\{[^{}]*\}(?:\{[lcr|]*\})?", "", gold)
    among_signs = bool(re.search(r"[0-9\\+*/^_=<>|-]", bare))
    return any(not _is_product(run, among_signs) for run in _RUN.findall(bare))


def _is_product(run: str, among_signs: bool) -> bool:
    """Whether letters side by side are factors (mn, xy, abc) or a word (no, cat, BDC)."""
    if run in _KNOWN or any(
        run.endswith(name) and len(run) - len(name) < 3 for name in FUNCTIONS | {"sqrt", "pi"}
    ):
        return True
    if among_signs and len(run) <= 3:
        return run.lower() not in _JOINTS
    if run.lower() in _SHORT_WORDS:
        return False
    if len(run) > 5 or re.search("[eiouEIOU]", run):
        return False
    if not run.islower() and not among_signs:
        return False  # BDC may be an order
    return not re.search("[aA]", run) or list(run) == sorted(set(run))


def same_words(gold: str, answer: str) -> bool:
    r"""Whether two texts are the same words.

    >>> same_words("Paris", "paris"), same_words("CO", "Co"), same_words("(A)", "A")
    (True, False, True)
    """
    one, other = _plain(gold), _plain(answer)
    if one == other:
        return True
    left, right = one.split(" "), other.split(" ")
    return len(left) == len(right) and all(map(_same_word, left, right))


def _plain(text: str) -> str:
    text = " ".join(_IN_TEXT.sub(r" \1 ", text).split())
    text = _HALF_OF_DAY.sub(r" \1m", text)
    text = re.sub(r"(?<=\d)\s*-\s*(?=\d)", "-", text)
    text = re.sub(r"\s*([=,;:])\s*", r"\1 ", text).strip().replace("= ", "=")
    option = re.fullmatch(r"\(?([A-Za-z])\)", text)
    return option[1] if option else text


def _same_word(one: str, other: str) -> bool:
    """Case counts, but not that of a first letter or of a word that is shouted."""
    if one == other:
        return True
    if one.lower() != other.lower() or not one.strip(".,;:!?").isalpha():
        return False
    word = one.lower().strip(".,;:!?")
    if word in _LOUD:
        return True
    if len(word) < 3 or re.fullmatch(r"(?:([a-z])\1)+", word):  # CO and Co, AaBb and AABB
        return False
    return all(_is_ordinary(each.strip(".,;:!?")) for each in (one, other))


def _is_ordinary(word: str) -> bool:
    """Paris, paris, PARIS; not NaCl, nor ABC."""
    return word[1:].islower() or (word.isupper() and len(word) > 3 and bool(re.search("[AEIOU]", word)))
