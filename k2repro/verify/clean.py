"""The ornaments of an answer: dollar signs, boxes, spacing commands, a final full stop."""

import re

from k2repro.verify.extract import closing_brace, unboxed
from k2repro.verify.maths.typography import plain

_SPACES = re.compile(r"(?<!\\)\\(?:[,;:> ]|quad(?![a-zA-Z])|qquad(?![a-zA-Z]))|(?<=.)~", re.DOTALL)
_SIZES = re.compile(
    r"\\(?:(?:left|right|bigl|bigr|Bigl|Bigr|big|Big)(?![a-zA-Z])\.?"
    r"|(?:displaystyle|textstyle|limits|nolimits|tiny|small|normalsize|large|Large|LARGE|huge|Huge)(?![a-zA-Z]))"
)
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|,\\!\s*|\\,)(?=\d{3}(?!\d))")


def clean(text: str) -> str:
    r"""`text` without the marks that carry no value.

    >>> clean(r"$\left(\dfrac{1}{2}\,, 3\right)$.")
    '(\\dfrac{1}{2} , 3)'
    """
    text = plain(_opened(re.sub(r"(?<!\\)\\\s+$", "", text).strip()))
    if len(re.findall(r"(?<!\\)\$", text)) % 2 == 0:
        text = re.sub(r"(?<!\\)\$", " ", text)  # $x=1$ and $y=2$
    text = _THOUSANDS.sub(",", text)
    text = re.sub(r"(?<=\d)\\!(?=\d)", " ", _SIZES.sub("", text)).replace("\\!", "")
    text = _SPACES.sub(" ", text)
    return _opened(_untexted(" ".join(text.split())))


def _opened(text: str) -> str:
    """Take off what encloses the whole: a full stop, dollar signs, brackets for maths, one box."""
    for _ in range(4):
        before = text
        text = text.removesuffix(".").strip() if not text.endswith("..") else text
        for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
            inside = text[len(left) : len(text) - len(right)]
            escaped = right == "$" and text.endswith("\\$")
            if (
                len(text) > len(left)
                and left + inside + right == text
                and not _holds(inside, left)
                and not escaped
            ):
                text = inside.strip()
        text = unboxed(text)
        if len(text) > 4 and text.startswith("**") and text.endswith("**") and "**" not in text[2:-2]:
            text = text[2:-2].strip()
        if text == before:
            break
    return text


def _holds(inside: str, mark: str) -> bool:
    """Whether a mark stands in a text, not counting an amount of money."""
    return mark in (inside.replace("\\$", "") if mark == "$" else inside)


def _untexted(text: str) -> str:
    r"""The words of a `\text{...}` that is all of the answer."""
    for command in ("\\text", "\\mathrm", "\\textbf", "\\mathbf", "\\textrm", "\\mbox", "\\boldsymbol"):
        inside = text.removeprefix(command)
        if inside != text and inside.startswith("{") and closing_brace(inside) == len(inside) - 1:
            return inside[1:-1].strip()
    return text


def tight(text: str) -> str:
    """Without spaces that mean nothing, and without braces around one character of an exponent.

    Spaces between two digits or two letters stay.
    """
    text = " ".join(re.sub(r"([_^])\{(\w)\}", r"\1\2 ", text).split())
    return re.sub(r" (?!(?<=[0-9] )[0-9]|(?<=[a-zA-Z] )[a-zA-Z])", "", text)
