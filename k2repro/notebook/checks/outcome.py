"""What a check says: right, or why not. It never stops a notebook, so Run All goes through."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class AnswerOutcome:
    """passed: whether the answer holds. why: what is right about it, or the likely slip, in sentences."""

    passed: bool
    why: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        text = f"**{'Right.' if self.passed else 'Not yet.'}** {self.why}"
        return {"text/markdown": text, "text/plain": text.replace("**", "")}


@dataclass(frozen=True)
class Slip:
    """A wrong answer that people give: `answers` computes what it would say, `why` explains it."""

    answers: Callable[..., Any]
    why: str


def check_function(
    function: Any,
    right: Callable[..., Any],
    cases: Iterable[tuple[Any, ...]],
    slips: Sequence[Slip],
    praise: str,
) -> AnswerOutcome:
    """Hold a student's function against the right one on `cases`, tuples of arguments.

    The first case that differs decides what is said. A slip explains it only if it gives the student's
    answer on every case, so that a coincidence is not taken for the cause.
    """
    if not callable(function):
        return AnswerOutcome(False, f"A function is expected here, not {function!r}.")
    chosen = list(cases)
    given = []
    for case in chosen:
        try:
            given.append(function(*case))
        except NotImplementedError:
            return AnswerOutcome(
                False, "Nothing there yet: replace the line that raises NotImplementedError."
            )
        except Exception as error:  # a student's code may fail in any way, and the reason is what helps
            called = ", ".join(map(_shown, case))
            return AnswerOutcome(False, f"Called with ({called}) it raised {type(error).__name__}: {error}")
    wrong = [
        (case, value) for case, value in zip(chosen, given, strict=True) if not same(value, right(*case))
    ]
    if not wrong:
        return AnswerOutcome(True, praise)
    case, value = wrong[0]
    said = f"With ({', '.join(map(_shown, case))}) it gives {_shown(value)}, not {_shown(right(*case))}."
    if value is None:
        return AnswerOutcome(False, f"{said} Does the function return something?")
    return AnswerOutcome(False, f"{said} {_cause(chosen, given, slips)}".strip())


def check_number(
    answer: Any, right: float, slips: dict[float, str], praise: str, unit: str = ""
) -> AnswerOutcome:
    """Hold a number against the right one; `slips` maps wrong numbers to what led to them."""
    if answer is ... or answer is None:
        return AnswerOutcome(False, "Nothing there yet: put a number in place of the dots.")
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return AnswerOutcome(False, f"A number is expected here, not {answer!r}.")
    if same(answer, right):
        return AnswerOutcome(True, praise)
    for wrong, why in slips.items():
        if same(answer, wrong):
            return AnswerOutcome(False, why)
    side = "too small" if answer < right else "too large"
    factor = f", by a factor of {max(answer / right, right / answer):.3g}" if answer * right > 0 else ""
    return AnswerOutcome(False, f"{_shown(answer)}{f' {unit}' if unit else ''} is {side}{factor}.")


def _cause(cases: Sequence[tuple[Any, ...]], given: Sequence[Any], slips: Sequence[Slip]) -> str:
    for slip in slips:
        if all(same(value, _answer(slip, case)) for case, value in zip(cases, given, strict=True)):
            return slip.why
    return ""


def _answer(slip: Slip, case: tuple[Any, ...]) -> Any:
    try:
        return slip.answers(*case)
    except ArithmeticError:
        return None


def same(one: Any, other: Any) -> bool:
    """Equal up to rounding; tensors and arrays are compared as lists, truth values only with each other."""
    one, other = (value.tolist() if hasattr(value, "tolist") else value for value in (one, other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return (
            bool(one) == bool(other)
            if isinstance(one, int | bool) and isinstance(other, int | bool)
            else False
        )
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-6)
    return bool(one == other)


def _shown(value: Any) -> str:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return repr(value)
