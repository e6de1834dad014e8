"""Engines for comparing answers, side by side on the tables: `python tests/verify/verify_answer_engines.py`.

Writes answer_engines.csv: false accepts, false rejects, milliseconds by the clock, which on a busy machine
are good for ratios only. Run by hand (minutes, most of them sympy's); a test holds our own row to it.
"""

import csv
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from verify_answer_tables import HERE, TABLES, pairs

# Without what was written with our own verifier at hand: its slips, and the second attack on it.
_OWN = {"answer_pairs_regressions.csv", "answer_pairs_second_attack.csv"}
COMPARED = [table for table in TABLES if table not in _OWN]
RESULT = HERE / "answer_engines.csv"
SECONDS = 2  # for engines without a budget of their own


def ours(gold: str, answer: str) -> bool:
    """The grammar and the proofs of this repository."""
    from k2repro.verify import answers_equal

    return answers_equal(gold, answer)


def math_verify_default(gold: str, answer: str) -> bool:
    """math-verify as its README calls it, each text in a box."""
    from math_verify import parse, verify

    return bool(verify(parse(f"\\boxed{{{gold}}}"), parse(f"\\boxed{{{answer}}}")))


def math_verify_strict(gold: str, answer: str) -> bool:
    """math-verify without units, without a fallback to plain text, to 12 digits."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    rules = NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=False, nits=True, boxed="all"
    )
    config = [LatexExtractionConfig(boxed_match_priority=0, normalization_config=rules)]
    one, other = (parse(f"\\boxed{{{text}}}", config, fallback_mode="no_fallback") for text in (gold, answer))
    return bool(verify(one, other, float_rounding=12, strict=True))


def latex2sympy_and_simplify(gold: str, answer: str) -> bool:
    """latex2sympy2 with the case of letters kept, then sympy's simplify of the difference."""
    from latex2sympy2_extended import latex2sympy
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig
    from sympy import simplify

    one, other = (
        latex2sympy(text, conversion_config=ConversionConfig(lowercase_symbols=False))
        for text in (gold, answer)
    )
    try:
        return bool(one == other or simplify(one - other) == 0)
    except TypeError:
        return bool(one == other)


ENGINES = {
    "k2repro": ours,
    "math-verify, defaults": math_verify_default,
    "math-verify, no units, strict": math_verify_strict,
    "latex2sympy2 and simplify": latex2sympy_and_simplify,
}


class _Late(BaseException):
    pass


def _late(*_: object) -> None:
    raise _Late


def limited(engine: Callable[[str, str], bool], gold: str, answer: str) -> tuple[bool, bool, float]:
    """(verdict, whether it crashed or was late, seconds)."""
    start = time.perf_counter()
    signal.signal(signal.SIGVTALRM, _late)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        verdict, failed = engine(gold, answer), False
    except (Exception, _Late):  # engines raise nearly anything on odd texts: then nothing is paid
        verdict, failed = False, True
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return verdict, failed, time.perf_counter() - start


def measured(name: str) -> dict[str, object]:
    """One row of the table."""
    rows = [row for table in COMPARED for row in pairs(table)]
    limited(ENGINES[name], "\\sqrt{2}", "\\sqrt{8}/2")  # imports
    found = [(row, *limited(ENGINES[name], row["gold"], row["answer"])) for row in rows]
    times = sorted(1000 * seconds for *_, seconds in found)
    equal = [entry for entry in found if entry[0]["verdict"] == "equal"]
    return {
        "engine": name,
        "pairs": len(rows),
        "equal": len(equal),
        "false_accepts": sum(verdict and row["verdict"] != "equal" for row, verdict, *_ in found),
        "false_rejects": sum(not verdict for _, verdict, *_ in equal),
        "errors_or_late": sum(failed for _, _, failed, _ in found),
        "median_ms": f"{statistics.median(times):.2f}",
        "p99_ms": f"{times[int(0.99 * len(times))]:.1f}",
        "max_ms": f"{times[-1]:.0f}",
    }


def recorded(path: Path = RESULT) -> dict[str, dict[str, str]]:
    """The rows of the table by engine."""
    with path.open(newline="", encoding="utf-8") as lines:
        return {row["engine"]: row for row in csv.DictReader(lines)}


def main() -> None:
    """Measure every engine and write the table."""
    found = []
    for name in ENGINES:
        found.append(measured(name))
        sys.stderr.write(f"{found[-1]}\n")
    with RESULT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(found[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)


if __name__ == "__main__":
    main()
