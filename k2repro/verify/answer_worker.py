"""The process in which math-verify reads and compares formulas; started and killed by `answer_pool`."""

import json
import logging
import resource
import signal
import sys
from typing import Any

_MEMORY = 2 << 30  # bytes of address space


def equal(gold: str, answer: str) -> bool:
    """Whether math-verify, then an exact second look, find the two formulas equal."""
    from math_verify import verify

    wanted, given = _parsed(gold), _parsed(answer)
    if wanted is None or given is None:
        return False
    # No time limits of its own: they need signals, and the parent kills this process anyway.
    alike = verify(wanted, given, float_rounding=12, strict=True, timeout_seconds=None)
    return bool(alike) and _same_kind(wanted, given) and _close(wanted, given)


def _parsed(text: str) -> Any:
    """The whole of `text` as one sympy object; None when it is not one."""
    from math_verify import LatexExtractionConfig, parse

    config = [LatexExtractionConfig(boxed_match_priority=0)]
    boxed = f"\\boxed{{{text}}}"
    found = parse(boxed, config, fallback_mode="no_fallback", parsing_timeout=None)
    return found[0] if found else None


def _same_kind(wanted: Any, given: Any) -> bool:
    """A set is no tuple; a single number is neither."""
    from sympy import FiniteSet, Interval, Tuple

    return all(isinstance(wanted, kind) == isinstance(given, kind) for kind in (FiniteSet, Interval, Tuple))


def _close(wanted: Any, given: Any) -> bool:
    """Equal to 1 part in 10^30 (10^14 with decimals): math-verify rounds to decimal places.

    So it takes 10^-40 for 0, and 1.414213562373 for the root of two.
    """
    from sympy import Expr, Float

    if not (isinstance(wanted, Expr) and isinstance(given, Expr) and wanted.is_number and given.is_number):
        return True
    gap, size = abs((wanted - given).evalf(60)), max(abs(wanted.evalf(60)), abs(given.evalf(60)))
    return bool(gap <= size * (1e-14 if wanted.has(Float) or given.has(Float) else 1e-30))


def _restrict() -> None:
    for kind, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(kind, (most, most))


def main() -> None:
    """Answer lines of JSON until the parent closes the pipe."""
    logging.disable(logging.CRITICAL)
    sys.set_int_max_str_digits(4300)
    equal("\\frac{\\sqrt{2}}{2}", "\\frac{1}{\\sqrt{2}}")  # imports sympy and builds its tables
    _restrict()
    _say({"reason": "ready"})
    for line in sys.stdin:
        request = json.loads(line)
        # Processor time, so that a busy machine gives the same verdicts; the signal's default is to
        # end the process, also in the middle of a C routine.
        signal.setitimer(signal.ITIMER_PROF, request["seconds"])
        try:
            verdict = equal(request["gold"], request["answer"])
        except Exception:  # sympy raises almost anything on odd formulas: then they are not equal
            verdict = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        _say({"reason": "value", "value": json.dumps(verdict)})


def _say(reply: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
