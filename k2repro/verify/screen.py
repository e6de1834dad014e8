"""What is refused before sympy sees it: hedges, open calculations, towers that would burn seconds."""

import re

_WORD = re.compile(r"(?<!\\)(?<![a-zA-Z])[a-zA-Z]{2,}")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_FUNCTIONS = {"sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "arcsin", "arccos", "arctan"}
# Commands that an answer may use whether or not the gold answer does; others must stand in the gold.
_PLAIN = {f"\\{name}" for name in _FUNCTIONS} | {
    "\\frac",
    "\\sqrt",
    "\\pi",
    "\\infty",
    "\\cdot",
    "\\times",
    "\\cup",
    "\\pm",
    "\\emptyset",
    "\\varnothing",
    "\\le",
    "\\leq",
    "\\ge",
    "\\geq",
    "\\lt",
    "\\gt",
    "\\text",
    "\\mathbb",
    "\\in",
    "\\setminus",
    "\\begin",
    "\\end",
    "\\pmatrix",
    "\\theta",
    "\\alpha",
    "\\beta",
    "\\lambda",
    "\\phi",
}
_ONLY_AS_IN_GOLD = ("!", "?", "#", "&", ";", "\\pm", "~", "\\text", "%")
_MATRIX_WORDS = {"pmatrix", "bmatrix", "matrix", "vmatrix"}
_LONGEST = 300  # characters
_LONGEST_NUMBER = 40  # digits
_LARGEST_EXPONENT = 100
_MOST_BRACKETS = 30


def is_formula(gold: str) -> bool:
    """Whether a gold answer, not a plain number, is mathematics rather than words.

    `m= 9 p= 3`, several assignments in a row, are words: they are compared as they stand.
    """
    if set(_WORD.findall(gold)) - _FUNCTIONS - _MATRIX_WORDS and "\\" not in gold:
        return False
    if gold.count("=") > 1 and "," not in gold:
        return False
    return bool(re.search(r"[\\^(){}\[\]+*/=<>|,]|\d[a-zA-Z]|(?<=\w)\s*-\s*(?=\w)|-[a-zA-Z]", gold))


def worth_asking(gold: str, answer: str) -> bool:
    """Whether `answer` could be an acceptable form of the formula `gold`, and is cheap to compare."""
    return (
        len(answer) <= _LONGEST
        and _balanced(answer)
        and not _new_words(gold, answer)
        and not _new_signs(gold, answer)
        and not re.search(r"\d\s+\d", answer)
        and not _burns(answer)
    )


def _balanced(text: str) -> bool:
    """Braces that close, since an answer must not reach out of the box it is put into; and brackets,
    where `[1,2)` is one pair."""
    opened, closed = len(re.findall(r"[(\[]", text)), len(re.findall(r"[)\]]", text))
    if opened != closed or opened > _MOST_BRACKETS:
        return False
    depth = 0
    for at, mark in enumerate(text):
        if mark in "{}" and not (at and text[at - 1] == "\\"):
            depth += 1 if mark == "{" else -1
            if depth < 0:
                return False
    return depth == 0


def _new_words(gold: str, answer: str) -> bool:
    """Words beside the value: "12 or 13", "about 3", "not 5"."""
    known = set(_WORD.findall(gold)) | _FUNCTIONS | _MATRIX_WORDS
    return bool(set(_WORD.findall(answer)) - known)


def _new_signs(gold: str, answer: str) -> bool:
    """Operators that the gold answer does not have: open sums and integrals, factorials, other relations."""
    if set(_COMMAND.findall(answer)) - set(_COMMAND.findall(gold)) - _PLAIN:
        return True
    if any(sign in answer and sign not in gold for sign in _ONLY_AS_IN_GOLD):
        return True
    relations = r"=|<|>|\\(?:leq?|geq?|lt|gt|in)(?![a-z])"
    given, wanted = len(re.findall(relations, answer)), len(re.findall(relations, gold))
    named = given == 1 and bool(re.match(r"(?:[a-zA-Z]|\\[a-z]+)(?:\([a-z]\))?\s*(?:=|\\in)", answer))
    return given > wanted and not (named and wanted == 0)


def _burns(text: str) -> bool:
    """Powers of powers, huge exponents, long numbers: minutes of sympy, or all of its memory."""
    powers = re.findall(r"\^\s*\{?\s*[-+(]*\s*(\d+)", text)
    return (
        text.count("^") > 12
        or bool(re.search(r"\^\s*(?:\{[^{}]*|\([^()]*|\w*)\^", text))
        or bool(re.search(rf"\d{{{_LONGEST_NUMBER + 1},}}", text))
        or any(len(power) > 6 or int(power) > _LARGEST_EXPONENT for power in powers)
        or bool(re.search(r"\d{3,}\s*\}?\)?\s*!|!\s*!", text))
    )
