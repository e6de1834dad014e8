r"""Units at the end of an answer, or a currency before it: taken off, and compared by name.

A unit may be missing, but not be another one: 5 is 5 cm, 5 km is not. No conversion: 1 m is not 100 cm.
"""

import re

from k2repro.verify.quantities import is_amount
from k2repro.verify.spellings import spellings

_CANONICAL = spellings("units")
_SCALES = {"square": "2", "sq": "2", "cubic": "3", "cu": "3"}
_ONLY_IN_TEXT = frozenset(
    {"in", "C", "F", "N", "J", "W", "l", "L", "s", "m", "g", "h", "mi", "min", "gal", "ton", "rad"}
)
_SPACED_LETTERS = frozenset({"m", "s", "g", "h", "L"})  # 10 m; but 6m is a product
_CURRENCIES = {"\\$": "dollar", "$": "dollar", "€": "euro", "\\euro": "euro", "\\text{\\$}": "dollar"}
_COMMANDS = r"\\(?:text|mathrm|textrm|mbox|operatorname|textbf|rm)"
_POWER = r"(?:\^\{?(?:[23]|-[12])\}?|[²³])"
_QUOTIENT = re.compile(
    r"\\frac\s*\{\s*\\(?:text|mathrm)\s*\{([^{}]*)\}\s*\}\s*\{\s*\\(?:text|mathrm)\s*\{([^{}]*)\}\s*(\^\{?[23]\}?)?\s*\}\s*$"
)
_IN_TEXT = re.compile(
    rf"(?P<value>.*?)\s*{_COMMANDS}\s*\{{(?P<unit>[^{{}}]*(?:\{{[^{{}}]*\}})?[^{{}}]*)\}}\s*(?P<power>{_POWER}?)\s*$",
    re.DOTALL,
)
_BARE = re.compile(
    rf"(?P<value>.*[\d)}}%])(?P<space>\s*)(?P<unit>[a-zA-Z]+\.?(?:\s+[a-zA-Z]+\.?|\s*/\s*[a-zA-Z]+)*)\s*(?P<power>{_POWER}?)$",
    re.DOTALL,
)
_DEGREE = re.compile(
    r"(?P<value>.*(?:[\d)i]|(?<!\\)\}))\s*(?:\^\s*\{?\s*\\circ\s*\}?|°|\\degree)$", re.DOTALL
)
_CIRCLE = re.compile(r"\s*\^\s*\{?\s*\\circ\s*\}?$")
_CURRENCY_AFTER = re.compile(r"(?P<value>-?[\d.,]+)\s*(?P<mark>\\\$|\$|€)")
_PLAIN = re.compile(r"[-+]?[\d.,]+")


def peeled(text: str) -> tuple[str, str]:
    r"""(value, unit) of an answer; the unit is empty where there is none.

    >>> peeled(r"5\text{ cm}^2"), peeled("10 meters"), peeled("2t")
    (('5', 'cm^2'), ('10', 'm'), ('2t', ''))
    """
    text = _QUOTIENT.sub(r"\\text{\1/\2}\3", text)
    sign = "-" if text.startswith("-") else ""
    for mark, name in _CURRENCIES.items():
        amount = text[len(sign) :].strip()
        value = amount.removeprefix(mark).strip()
        if amount.startswith(mark) and is_amount(value) and not (sign and value[0] in "+-"):
            return sign + value, name
    found = _CURRENCY_AFTER.fullmatch(text)
    if found and is_amount(found["value"]):
        return found["value"], _CURRENCIES[found["mark"]]
    found = _DEGREE.fullmatch(text)
    if found and not _has_letters(found["value"]):
        return found["value"], "degree"
    if found := _IN_TEXT.fullmatch(text):
        unit, value = unit_of(found["unit"], found["power"]), found["value"].strip()
        if unit in ("celsius", "fahrenheit"):
            value = _CIRCLE.sub("", value)
        if unit and value:
            return _percents(value, unit)
    if found := _BARE.fullmatch(text):
        unit = _bare(found)
        if unit:
            return _percents(found["value"].strip(), unit)
    return text, ""


def _percents(value: str, unit: str) -> tuple[str, str]:
    """The word percent as its sign, which is a number's and no unit."""
    return (value + "%", "") if unit == "percent" else (value, unit)


def _bare(found: re.Match[str]) -> str:
    """A unit without \\text: no letter that may be a variable."""
    words = found["unit"].replace(".", "").split()
    if len(words) == 1 and words[0] in _ONLY_IN_TEXT:
        plain = _PLAIN.fullmatch(found["value"].strip()) and found["space"]
        if not (plain and words[0] in _SPACED_LETTERS | {"min", "in", "rad", "ton", "mi", "gal"}):
            return ""
    if _has_letters(found["value"]):
        return ""
    return unit_of(found["unit"], found["power"])


def _has_letters(value: str) -> bool:
    """Whether variables or functions stand in a value, beside fractions, roots and pi."""
    return bool(re.search("[a-zA-Z]", re.sub(r"\\[dtc]?frac|\\sqrt|\\pi|\\cdot|\\times", "", value)))


def unit_of(text: str, power: str = "") -> str:
    """The one name of a unit, or nothing when it is none.

    >>> unit_of("square inches"), unit_of("km/h"), unit_of("apples")
    ('inch^2', 'km/hour', '')
    """
    text = text.replace("~", " ").replace(".", " ").strip()
    if "-" in power:  # m s^{-1}
        above, _, below = text.rpartition(" ")
        text, power = f"{above}/{below}", power.replace("-", "").replace("1", "")
    parts = re.split(r"\s*/\s*|\s+per\s+", text)
    names = [_one(part) for part in parts]
    if not all(names) or len(names) > 2:
        return ""
    exponent = re.sub(r"\D", "", power.replace("²", "2").replace("³", "3"))
    if exponent:
        if names[-1].endswith(("^2", "^3")):
            return ""
        names[-1] += f"^{exponent}"
    joined = "/".join(names)
    return "mile/hour" if joined == "mph" else joined


def _one(text: str) -> str:
    words = text.replace("²", "^2").replace("³", "^3").split()
    exponent = ""
    if words and words[0] in _SCALES:
        exponent = _SCALES[words.pop(0)]
    if len(words) != 1:
        return ""
    found = re.fullmatch(r"([a-zA-Z]+)(?:\^\{?([23])\}?)?", words[0])
    if not found or (exponent and found[2]):
        return ""
    name = _CANONICAL.get(found[1]) or _CANONICAL.get(found[1].lower() if len(found[1]) > 3 else "")
    exponent = exponent or found[2] or ""
    return f"{name}^{exponent}" if name and exponent else name or ""


def agree(gold: str, answer: str, has_pi: bool = False) -> bool:
    """Whether the units do not contradict one another.

    Radians may only be missing where the value holds pi, degrees only where it does not.
    """
    if gold == answer:
        return True
    if ("degree" if has_pi else "radian") in (gold, answer):
        return False
    return (
        not (gold and answer)
        or "unit" in (gold.split("^")[0], answer.split("^")[0])
        and _power(gold) == _power(answer)
    )


def _power(unit: str) -> str:
    return unit.rpartition("^")[2] if "^" in unit else ""
