r"""Numbers as people and models write them, read exactly: 12, -0.50, 1,000, 3/4, \frac{3}{4}, 50\%.

The path of nearly all rewards: no sympy, no process, microseconds. A number is a literal, never a
calculation: `5+7` and `24/2` are not ways to write 12, or else a model is paid for copying the question.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

_LONGEST = 400  # characters; below Python's own limit for reading integers

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_NUMBER = re.compile(
    rf"(?P<sign>[+-]?)(?P<value>{_DECIMAL})"
    r"(?:(?:[eE]|\\times10\^|\\cdot10\^)\{?(?P<power>[+-]?\d{1,2})\}?)?(?P<percent>%?)"
)
_SLASH = re.compile(rf"(?P<sign>[+-]?)\(?(?P<top>{_DIGITS})/(?P<bottom>{_DIGITS})\)?")
_FRAC = re.compile(
    rf"(?P<sign>[+-]?)\\frac(?:\{{(?P<inner>[+-]?)(?P<top>{_DIGITS})\}}\{{(?P<bottom>{_DIGITS})\}}"
    r"|(?P<top1>\d)(?P<bottom1>\d))"
)


@dataclass(frozen=True)
class Literal:
    """A rational number and how it was written."""

    value: Fraction
    is_fraction: bool = False  # written with a bar or a slash
    is_percent: bool = False

    def equals(self, answer: "Literal") -> bool:
        """Whether `answer` is this gold number.

        A whole number may not be answered by a fraction: that is an open division. A percent sign is
        read as a unit when both are whole: 50 and 50\\% are the same answer.
        """
        whole = self.value.denominator == 1 and not self.is_fraction
        if answer.is_fraction and whole and not self.is_percent:
            return False
        if self.value == answer.value:
            return True
        if self.is_percent != answer.is_percent and not (answer.is_fraction or self.is_fraction):
            scaled = answer.value * 100 if answer.is_percent else answer.value / 100
            return self.value == scaled and (scaled if self.is_percent is False else answer.value) % 1 == 0
        return False


def literal(text: str) -> Literal | None:
    """The number that `text` (cleaned of spaces and ornaments) is, or None for anything else."""
    if len(text) > _LONGEST:
        return None
    if found := _NUMBER.fullmatch(text):
        value = Fraction(found["value"].replace(",", "").rstrip("."))
        value *= Fraction(10) ** int(found["power"] or 0)
        value /= 100 if found["percent"] else 1
        return Literal(-value if found["sign"] == "-" else value, is_percent=bool(found["percent"]))
    if found := _SLASH.fullmatch(text):
        return _fraction(found["sign"], found["top"], found["bottom"])
    if found := _FRAC.fullmatch(text):
        sign = "-" if (found["sign"] == "-") != (found["inner"] == "-") else ""
        return _fraction(sign, found["top"] or found["top1"], found["bottom"] or found["bottom1"])
    return None


def _fraction(sign: str, top: str, bottom: str) -> Literal | None:
    denominator = int(bottom.replace(",", ""))
    if denominator == 0:
        return None
    value = Fraction(int(top.replace(",", "")), denominator)
    return Literal(-value if sign == "-" else value, is_fraction=True)
