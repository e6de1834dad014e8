"""The ornaments of an answer: dollar signs, spacing commands, units, a final full stop."""

import re

from k2repro.verify.extract import closing_brace, unboxed

_ORNAMENTS = re.compile(r"\\(?:left|right|displaystyle|textstyle|limits|,|;|:|!|quad|qquad)(?![a-zA-Z])|~")
_UNIT_WORDS = (
    "cm|mm|km|m|kg|g|mg|s|h|ft|inch|inches|feet|foot|miles|mile|meters|metres|meter|metre|seconds|second|"
    "minutes|minute|hours|hour|days|day|years|year|degrees|degree|units|unit|dollars|dollar|cents|points|"
    "percent|square|cubic|centimeters|kilometers|liters|litres"
)
_UNITS = re.compile(
    rf"(?<=[\d}}\s%])\s*(?:\\(?:text|mathrm|textrm|mbox)"
    rf"\{{\s*(?:(?:{_UNIT_WORDS})\b\.?\s*(?:\^?\{{?[23]\}}?)?\s*)+\}}"
    rf"|\s(?:(?:{_UNIT_WORDS})\b\s*)+|\^?\{{?\\circ\}}?|°)(?:\^\{{?[23]\}}?)?$"
)
_ASSIGNED = re.compile(
    r"(?P<name>(?:[a-zA-Z]|\\[a-z]+)\s*(?:_\{?\w\}?)?\s*(?:\([a-z]\))?)\s*=(?P<rest>[^=<>]+)"
)
_SYNONYMS = {
    "\\dfrac": "\\frac",
    "\\tfrac": "\\frac",
    "\\cfrac": "\\frac",
    "\\lvert": "|",
    "\\rvert": "|",
    "\\%": "%",
    "\\$": "",
    "{,}": ",",
    "\u2212": "-",
    "\u00d7": "\\times ",
    "\u03c0": "\\pi ",
    "\u221e": "\\infty ",
    "**": "^",
}


def clean(text: str) -> str:
    r"""`text` without the marks that carry no value.

    >>> clean(r"$\dfrac{1}{2}\,\text{cm}$.")
    '\\frac{1}{2}'
    """
    text = _open(text.strip())
    for old, new in _SYNONYMS.items():
        text = text.replace(old, new)
    text = _root_words(_ORNAMENTS.sub(" ", text))
    text = _UNITS.sub("", " ".join(text.split()))
    return _untexted(text.strip())


def _open(text: str) -> str:
    """Take off what encloses the whole: a full stop, dollar signs, brackets for maths, one box."""
    for _ in range(4):
        before = text
        text = text.removesuffix(".").strip() if not text.endswith("..") else text
        for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
            inside = text[len(left) : len(text) - len(right)]
            if len(text) > len(left) and left + inside + right == text and left not in inside:
                text = inside.strip()
        if re.fullmatch(r"\$[\d.,]+", text):  # an amount of money
            text = text[1:]
        text = unboxed(text)
        if text == before:
            break
    return text


def _untexted(text: str) -> str:
    r"""The words of a `\text{...}` that is all of the answer."""
    for command in ("\\text", "\\mathrm", "\\textbf", "\\mathbf"):
        inside = text.removeprefix(command)
        if inside != text and inside.startswith("{") and closing_brace(inside) == len(inside) - 1:
            return inside[1:-1].strip()
    return text


def _root_words(text: str) -> str:
    """Roots, pi and infinity as they are typed without LaTeX."""
    text = re.sub(r"(?<![\\a-zA-Z])sqrt\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"\u221a\(([^()]*)\)|\u221a(\w+)", lambda m: f"\\sqrt{{{m[1] or m[2]}}}", text)
    text = re.sub(r"(?<![\\a-zA-Z])pi(?![a-zA-Z])", r"\\pi ", text)
    text = re.sub(r"(?<![\\a-zA-Z])infinity(?![a-zA-Z])", r"\\infty ", text)
    return re.sub(r"(?<=[\w)}])\s*\*\s*(?=[\w({\\])", r"\\cdot ", text)


def assigned(text: str) -> tuple[str, str]:
    """(x, 12) of `x = 12`, where the left is a bare name and there is one sign; else ("", text)."""
    found = _ASSIGNED.fullmatch(text)
    return ("".join(found["name"].split()), found["rest"].strip()) if found else ("", text)
