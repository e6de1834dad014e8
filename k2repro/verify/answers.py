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
from k2repro.verify.rational import Literal, literal
from k2repro.verify.words import is_words, same_words

_LONGEST = 2000  # characters of an answer, beyond those of the gold one
_LONGEST_FORMULA = 600
_ASSIGNED = re.compile(
    r"(?P<name>[a-zA-Z](?:_\{?\w\}?)?'*(?:\((?:[a-zA-Z]|\d+)\))?|[A-Z]{2,3}|\\[a-z]+(?:_\{?\w\}?)?)\s*=(?P<rest>[^=<>]+)"
)
_THREES = re.compile(r"\d{3}(?:,\d{3})+")
_BASED = re.compile(
    r"(?:\((?P<inside>[0-9A-Za-z]+)\)|(?P<digits>[0-9A-Za-z]+))"
    r"_(?:(?P<base>\d+)|\{(?P<braced>\d+)\}|\{\((?P<bracketed>\d+)\)\})"
)
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
        return _verdict(units.agree(unit, other_unit) and number.equals(found))
    bare, unit = units.peeled(wanted)
    if is_words(bare):
        return _verdict(same_words(wanted, given))
    wanted, (given, other_unit) = bare, units.peeled(given)
    if not units.agree(unit, other_unit, has_pi="\\pi" in wanted):
        return _UNEQUAL
    if tight(wanted) == tight(given):
        return _EQUAL
    if len(given) > _LONGEST_FORMULA + len(wanted):
        return _UNEQUAL
    based = _same_based(wanted, given)
    return _formulas(wanted, given) if based is None else _verdict(based)


def _reals(text: str) -> str:
    return "\\mathbb{R}" if text in _ALL_REALS else text


def _verdict(equal: bool) -> Verdict:
    return _EQUAL if equal else _UNEQUAL


@functools.lru_cache(maxsize=20_000)
def _number(text: str) -> tuple[Literal | None, str, str]:
    """(number, name, unit) of a plain number such as `x = 12 cm`; None for anything else."""
    found = _ASSIGNED.fullmatch(text)
    name, rest = ("".join(found["name"].split()), found["rest"].strip()) if found else ("", text)
    if found and name.startswith("\\") and not _is_greek(name):
        return None, "", ""
    value, unit = units.peeled(rest)
    return literal(value), name.replace("{", "").replace("}", ""), unit


def _is_greek(name: str) -> bool:
    from k2repro.verify.maths.tokens import GREEK

    return re.split(r"_", name[1:])[0] in GREEK


def _same_based(gold: str, answer: str) -> bool | None:
    """204_5 against 204_{5}: digits, their case aside, and base; None when the gold one has no base."""
    one, other = _based(gold), _based(answer)
    return None if one is None else one == other


def _based(text: str) -> tuple[str, str] | None:
    """(digits, base) of a numeral with its base, or None."""
    found = _BASED.fullmatch(text)
    digits = (found["inside"] or found["digits"]) if found else ""
    if not found or not digits[0].isdigit():
        return None
    return digits.lower().lstrip("0"), found["base"] or found["braced"] or found["bracketed"]


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
