"""Is this the right answer? Strict: one value, in full, and nothing beside it.

Plain numbers and words are compared here, exactly. All else is read by a grammar of its own (`maths`),
which uses every token or refuses, and is decided by proof: unequal when the numbers differ, equal when the
difference is exactly zero, and where neither can be had within a fixed budget of precision, undecided, which
is not paid. The budget is counted in bits, not in seconds, so that a busy machine gives the verdicts of an
idle one.
"""

import functools
import re
import threading
from collections import Counter
from dataclasses import dataclass

from k2repro.errors import K2ReproError
from k2repro.verify import units
from k2repro.verify.clean import clean, tight
from k2repro.verify.quantities import may_have_unit
from k2repro.verify.rational import Literal, literal
from k2repro.verify.spellings import spellings, vocabulary
from k2repro.verify.words import is_words, same_words

_LONGEST = 2000  # characters of an answer, beyond those of the gold one
_LONGEST_FORMULA = 600
_ASSIGNED = re.compile(
    r"(?P<name>[a-zA-Z](?:_\{?(?:\w|\\max|\\min)\}?)?'*(?:\((?:[a-zA-Z]|\d+)\))?|[A-Z]{2,3}|\|[A-Z]{2}\|"
    r"|\\overline\s*\{\s*[A-Z]{2}\s*\}|\\[a-zA-Z]+(?:_\{?\w\}?)?"
    r"|\\text\s*\{\s*(?P<said>[a-zA-Z]+)\s*\}|(?P<quantity>[a-zA-Z]+))"
    r"\s*=(?P<rest>[^=<>]+)"
)
_QUANTITIES = vocabulary("quantities")
_THREES = re.compile(r"\d{3}(?:,\d{3})+")
_BASED = re.compile(
    r"(?:\((?P<inside>[0-9A-Za-z]+)\)|(?P<digits>[0-9A-Za-z]+))"
    r"_(?:(?P<base>\d+)|\{(?P<braced>\d+)\}|\{\((?P<bracketed>\d+)\)\}|\{\s*\\text\s*\{\s*(?P<word>[a-z]+)\s*\}\s*\})"
)
_SWAPPED = re.compile(r"(-?[\d.,/]+)\s*=\s*([a-zA-Z])")
_LETTER = re.compile(r"(?:\((?=.\)))?(?P<letter>[A-Z])\)?")
_OPTION = re.compile(
    r"(?:\\(?:text|textbf|mathrm|mathbf)\s*\{\s*)?\((?P<letter>[A-Z])\)\s*\}?\s*(?P<value>\S.*)"
)
_HALF_LINES, _BASE_WORDS = spellings("half lines"), spellings("bases")
_ALL_REALS = frozenset({"all real numbers", "all reals", "all real x", "\\R", "\\mathbb R"})


@dataclass(frozen=True)
class Verdict:
    """equal: whether the answer is paid. decided: False where the budget ran out before a proof."""

    equal: bool
    decided: bool = True


_EQUAL, _UNEQUAL, _UNDECIDED = Verdict(True), Verdict(False), Verdict(False, decided=False)
_counts: Counter[str] = Counter()
_lock = threading.Lock()


def answers_equal(gold: str, answer: str) -> bool:
    r"""Whether `answer` is the value `gold`.

    Equal: other ways to write the same value (1/2, 0.5, \frac{1}{2}, 50\%), other orders of a set, other
    forms of a surd, a formula, an equation, `\boxed{}`, dollar signs, a unit, `x =` before it. Not equal: two
    values (12 or 13), a calculation left open (5+7 for 12), an approximation (3.14 for pi, 0.333 for 1/3),
    text around the value, another unit, letters of another case, what cannot be decided.
    Works in any thread. Raises K2ReproError for an empty gold answer or one that is not a text.

    >>> answers_equal("1/2", r"\boxed{\frac{2}{4}}"), answers_equal("12", "12 or 13")
    (True, False)
    """
    return compare_answers(gold, answer).equal


def compare_answers(gold: str, answer: str) -> Verdict:
    """As `answers_equal`, and whether the question was decided.

    Raises K2ReproError for an empty gold answer or one that is not a text.
    """
    if not isinstance(gold, str) or not gold.strip():
        raise K2ReproError(
            f"the gold answer must be a text that is not empty, got {gold!r}; usual cause: a number where "
            "its text was meant, or a problem without its answer"
        )
    verdict = _UNEQUAL
    if isinstance(answer, str) and answer.strip() and len(answer) <= _LONGEST + 2 * len(gold):
        verdict = _EQUAL if answer.split() == gold.split() else _compared(gold, answer)
    with _lock:
        _counts["compared"] += 1
        _counts["undecided"] += not verdict.decided
    return verdict


def comparison_counts() -> dict[str, int]:
    """How many answers this process has compared, and how many of them were left undecided."""
    with _lock:
        return {name: _counts[name] for name in ("compared", "undecided")}


def lax_answers_equal(gold: str, text: str) -> bool:
    """The wrong twin, for lessons on reward hacking only: right when `gold` stands anywhere in `text`.

    It pays for an answer in the thinking, for "12 or 13", for counting from 1 to 100, and for 112
    where 12 was asked. Never use it as a reward.

    >>> lax_answers_equal("12", "it is 11 or 12 or 13"), answers_equal("12", "11 or 12 or 13")
    (True, False)
    """
    return bool(gold.strip()) and gold.strip() in text


def _compared(gold: str, answer: str) -> Verdict:
    wanted, given = (_reals(clean(text)) for text in (gold, answer))
    if not wanted or not given:
        return _UNEQUAL
    number, name, unit = _number(wanted)
    if number is not None:
        found, other_name, other_unit = _number(given)
        if found is None and _THREES.fullmatch(wanted):
            return _formulas(wanted, given)  # 100,200 may be two numbers
        if found is None or (name and other_name and name != other_name):
            return _UNEQUAL
        agreed = units.agree(unit, other_unit) and not _percent_of_another(number, unit, found, other_unit)
        return _verdict(agreed and number.equals(found))
    if (based := _based(wanted)) is not None:
        return _verdict(based == _based(given))
    if (chosen := _same_option(wanted, given)) is not None:
        return chosen
    bare, unit = units.peeled(wanted)
    if is_words(bare):
        return _verdict(same_words(wanted, given))
    wanted, (given, other_unit) = bare, units.peeled(given)
    if not units.agree(unit, other_unit, has_pi="\\pi" in wanted):
        return _UNEQUAL
    if other_unit and not unit and not may_have_unit(given):
        return _UNEQUAL
    if tight(wanted) == tight(given):
        return _EQUAL
    if len(given) > _LONGEST_FORMULA + len(wanted):
        return _UNEQUAL
    return _formulas(wanted, given)


def _same_option(gold: str, answer: str) -> Verdict | None:
    """(C) and C); (C) 1/2 and (C) 0.5; None where either is no option."""
    for pattern in (_LETTER, _OPTION):
        one, other = pattern.fullmatch(gold), pattern.fullmatch(answer)
        if one and other:
            if one["letter"] != other["letter"]:
                return _UNEQUAL
            return _EQUAL if pattern is _LETTER else _compared(one["value"], other["value"])
    return None


def _percent_of_another(number: Literal, unit: str, answer: Literal, other_unit: str) -> bool:
    r"""$5 and 5\% are not one amount."""
    return bool((number.is_percent and other_unit) or (answer.is_percent and unit))


def _reals(text: str) -> str:
    if text in _ALL_REALS:
        return "\\mathbb{R}"
    return _HALF_LINES.get("".join(text.replace("\\mathbb R", "\\mathbb{R}").split()), text)


def _verdict(equal: bool) -> Verdict:
    return _EQUAL if equal else _UNEQUAL


@functools.lru_cache(maxsize=20_000)
def _number(text: str) -> tuple[Literal | None, str, str]:
    """(number, name, unit) of a plain number such as `x = 12 cm`; None for anything else."""
    text = _SWAPPED.sub(r"\2=\1", text) if _SWAPPED.fullmatch(text) else text
    found = _ASSIGNED.fullmatch(text)
    name, rest = ("".join(found["name"].split()), found["rest"].strip()) if found else ("", text)
    quantity = (found["said"] or found["quantity"]) if found else None
    if found and not _is_name(name, quantity):
        return None, "", ""
    name = quantity.lower() if quantity else name
    value, unit = units.peeled(rest)
    number = literal(value)
    if number is not None and number.is_percent and unit:
        return None, "", ""  # 5% cm
    return number, name.replace("{", "").replace("}", ""), unit


def _is_name(name: str, quantity: str | None) -> bool:
    """Whether a number may be called so: not `NOT`, not `\\neq`."""
    from k2repro.verify.maths.tokens import GREEK, LOGIC

    if quantity:
        return quantity.lower() in _QUANTITIES
    if name.startswith("\\") and not name.startswith("\\overline"):
        return name[1:].split("_")[0] in GREEK
    return name not in LOGIC


def _based(text: str) -> tuple[str, str] | None:
    """(digits, their case aside, and base) of a numeral such as 204_5 or 204_{5}, or None."""
    found = _BASED.fullmatch(text)
    if not found:
        return None
    digits = found["inside"] or found["digits"]
    base = found["base"] or found["braced"] or found["bracketed"] or _BASE_WORDS.get(found["word"] or "")
    hexadecimal = base == "16" and bool(re.fullmatch("[0-9A-F]{2,}|[0-9a-f]{2,}", digits))
    if base is None or not (digits[0].isdigit() or hexadecimal):
        return None
    return digits.lower().lstrip("0"), base


@functools.lru_cache(maxsize=20_000)
def _formulas(gold: str, answer: str) -> Verdict:
    """Remembered: the samples of one group give the same answers again."""
    try:
        from k2repro.verify.maths.question import decided_equal
    except ImportError as error:
        raise K2ReproError(
            "comparing formulas needs the package python-flint, which is not installed; plain numbers and "
            "words are compared without it"
        ) from error
    verdict = decided_equal(gold, answer)
    return _UNDECIDED if verdict is None else _verdict(verdict)
