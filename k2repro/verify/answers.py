"""Is this the right answer? Strict: one value, in full, and nothing beside it.

Plain numbers and words are compared here, exactly. Only roots, sets, tuples, intervals and formulas go
to math-verify (https://github.com/huggingface/Math-Verify), which runs in a process that is killed at a
deadline: its own time limits use `signal.alarm`, which fails in every thread but the main one.
"""

import re

from k2repro.errors import K2ReproError
from k2repro.verify import answer_pool
from k2repro.verify.clean import assigned, clean
from k2repro.verify.rational import literal
from k2repro.verify.screen import is_formula, worth_asking

_LONGEST = 2000  # characters of an answer, beyond those of the gold one


def answers_equal(gold: str, answer: str) -> bool:
    r"""Whether `answer` is the value `gold`.

    Equal: other ways to write the same value (1/2, 0.5, \frac{1}{2}, 50\%), other orders of a set, other
    forms of a surd or formula, `\boxed{}`, dollar signs, a unit, `x =` before it. Not equal: two values
    (12 or 13), a calculation left open (5+7 for 12), an approximation (3.14 for pi, 0.333 for 1/3), text
    around the value, anything that takes more than `answer_pool.SECONDS` of processor time.
    Works in any thread. Raises K2ReproError for an empty gold answer or one that is not a text.

    >>> answers_equal("1/2", r"\boxed{\frac{2}{4}}"), answers_equal("12", "12 or 13")
    (True, False)
    """
    if not isinstance(gold, str) or not gold.strip():
        raise K2ReproError(
            f"the gold answer must be a text that is not empty, got {gold!r}; usual cause: a number where "
            "its text was meant, or a problem without its answer"
        )
    if not isinstance(answer, str) or not answer.strip() or len(answer) > _LONGEST + 2 * len(gold):
        return False
    if _spaced(answer) == _spaced(gold):
        return True
    wanted, given = clean(gold), clean(answer)
    (name, value), (other_name, other_value) = assigned(wanted), assigned(given)
    number = literal(_tight(value))
    if number is not None:
        found = literal(_tight(other_value))
        same_name = not (name and other_name) or name == other_name
        return same_name and found is not None and number.equals(found)
    if not is_formula(wanted):
        return _words(wanted) == _words(given)
    if _tight(wanted) == _tight(given):
        return True
    return worth_asking(wanted, given) and answer_pool.ask(wanted, given)


def lax_answers_equal(gold: str, text: str) -> bool:
    """The wrong twin, for lessons on reward hacking only: right when `gold` stands anywhere in `text`.

    It pays for an answer in the thinking, for "12 or 13", for counting from 1 to 100, and for 112
    where 12 was asked. Never use it as a reward.

    >>> lax_answers_equal("12", "it is 11 or 12 or 13"), answers_equal("12", "11 or 12 or 13")
    (True, False)
    """
    return bool(gold.strip()) and gold.strip() in text


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _tight(text: str) -> str:
    """Without spaces, except between digits: `12 13` is two numbers."""
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", text)


def _words(text: str) -> str:
    """Words without their case; a single letter keeps it, as x and X are two names."""
    text = _spaced(text)
    if len(text) == 3 and text[0] == "(" and text[2] == ")":
        text = text[1]  # (A) for A, in multiple choice
    return text.casefold() if len(text) > 1 else text
