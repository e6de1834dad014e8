r"""Numbers as people and models write them, read exactly: 12, -0.50, 1,000, 3/4, \frac{3}{4}, 1\frac12, 50\%.

The path of nearly all rewards: microseconds. A number is a literal, never a calculation:
`5+7` and `24/2` are not ways to write 12, or else a model is paid for copying the question.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from k2repro.verify.clean import tight
from k2repro.verify.maths.tree import Node, Unreadable, is_plain_number

_LONGEST = 400  # characters; below Python's own limit for reading integers

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)(?P<value>{_DECIMAL})"
    r"(?:(?:[eE]|(?:\\times|\\cdot|\*|x)10\^)\{?(?P<power>[+-]?\d{1,2})\}?)?(?P<percent>(?:\\?%)?)",
    re.ASCII,
)
# What else may be a plain number, for the grammar to say: fractions, mixed numbers, repeating decimals.
_PERHAPS = re.compile(r"(?:[-+0-9.,/(){}% ]|\\[dtc]?frac|\\overline|\\over|\\dot|\\%)+", re.ASCII)


@dataclass(frozen=True)
class Literal:
    """A rational number and how it was written."""

    value: Fraction
    is_fraction: bool = False  # written with a bar or a slash
    is_percent: bool = False

    def equals(self, answer: "Literal") -> bool:
        """Whether `answer` is this gold number.

        A whole number may not be answered by a fraction: that is an open division. A percent sign is
        read as a unit, which may be missing: 50 and 50\\% are the same answer, and 12.5 is 12.5\\% where
        percents were asked for. Not so 1 and 1\\%, since 1 is also 100\\%.
        """
        whole = self.value.denominator == 1 and not self.is_fraction
        if answer.is_fraction and whole and not self.is_percent:
            return False
        if self.value == answer.value:
            return True
        if self.is_percent != answer.is_percent and not (answer.is_fraction or self.is_fraction):
            bare, percents = (answer.value, self.value) if self.is_percent else (self.value, answer.value)
            asked_in_percent = self.is_percent and abs(bare) > 1
            return bare == percents * 100 and abs(bare) != 1 and (bare.denominator == 1 or asked_in_percent)
        return False


def literal(text: str) -> Literal | None:
    """The number that `text` (cleaned of ornaments) is, or None for anything else."""
    if len(text) > _LONGEST or not text or re.search(r",\s|\s,", text):
        return None
    if found := _NUMBER.fullmatch(tight(text)):
        value = Fraction(found["value"].replace(",", "").rstrip("."))
        value *= Fraction(10) ** int(found["power"] or 0)
        value /= 100 if found["percent"] else 1
        return Literal(-value if found["sign"] == "-" else value, is_percent=bool(found["percent"]))
    return _read(text) if _PERHAPS.fullmatch(text) else None


def _read(text: str) -> Literal | None:
    from k2repro.verify.maths.statements import parse

    try:
        node = parse(text)
    except Unreadable:
        return None
    if not is_plain_number(node):
        return None
    inside, sign, percent = node, 1, False
    while inside.head in ("neg", "percent"):
        sign, percent = (-sign, percent) if inside.head == "neg" else (sign, True)
        inside = inside.args[0]
    value = _quotient(inside)
    if value is None:
        return None
    return Literal(sign * value / (100 if percent else 1), inside.head == "div", percent)


def _quotient(node: Node) -> Fraction | None:
    """A number, or one whole number over another."""
    if node.head == "num":
        return Fraction(node.value)
    if node.head == "neg":
        inside = _quotient(node.args[0])
        return None if inside is None else -inside
    above, below = (_quotient(part) for part in node.args)
    return above / below if above is not None and below else None
