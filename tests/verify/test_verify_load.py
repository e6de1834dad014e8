"""Verdicts do not depend on what else the machine does: the same programs, alone and beside busy processes.

The full experiment is this test with more programs and more neighbours, about three minutes on two cores:
    K2REPRO_LOAD_PROGRAMS=1000 K2REPRO_LOAD_NEIGHBOURS=20 pytest tests/verify/test_verify_load.py -s
"""

import os
import random
import subprocess
import sys
import time
import tomllib
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from k2repro.mini.programs import hidden_tests, problems
from k2repro.verify import FunctionTest, Limits, available_levels, run_many

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(available_levels() in ((), ("monty",)), reason="needs a level of real Python"),
]
LIMITS = Limits(seconds=2)
COUNT = int(os.environ.get("K2REPRO_LOAD_PROGRAMS", "60"))
NEIGHBOURS = int(os.environ.get("K2REPRO_LOAD_NEIGHBOURS", "4"))
WORKERS = 6

# Work of about a tenth of the limit for each step. Work near the limit itself is left out: the processor time
# of the same steps varies with the neighbours by some tens of percent.
STEPS = """
def f(n):
    total = 0
    for i in range(n * 1_000_000):
        total += i & 1
    return total >= 0
"""
ENDLESS = "def f(n):\n    while True:\n        n += 1"
SLEEPS = "import time\ndef f(n):\n    time.sleep(n / 10)\n    return True"


def programs() -> list[tuple[str, list[FunctionTest]]]:
    """Right and wrong ones in all shapes: mini-K2's, idioms, heavy ones, endless ones."""
    rng = random.Random("load")
    made = []
    for item in tomllib.loads(Path(__file__).with_name("honest_programs.toml").read_text())["program"]:
        arguments, expected = (eval(item[key], {"float": float}) for key in ("arguments", "expected"))  # noqa: S307
        made.append((item["source"], [FunctionTest(arguments, expected)]))
    rng.shuffle(made)
    heavy = [(STEPS, [FunctionTest((rng.choice((1, 2, 4, 5)),), True)]) for _ in range(COUNT // 20)]
    endless = [(source, [FunctionTest((3,), True)]) for source in (SLEEPS, ENDLESS)]
    kept = made[: COUNT // 3] + heavy + endless
    for problem in problems("code", "validation", COUNT - len(kept)):
        change = rng.choice(["", "+", "%10", "return", "x*"])
        source = (
            problem.gold.replace(change, rng.choice(["-", "%9", "retur", "y*", "+"]), 1)
            if change
            else problem.gold
        )
        kept.append((source, [FunctionTest(**test) for test in hidden_tests(problem)]))
    return kept


def busy(stack: ExitStack, count: int) -> None:
    for _ in range(count):
        process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        stack.callback(process.wait)
        stack.callback(process.kill)


def test_verdicts_beside_busy_processes_are_those_of_a_quiet_machine():
    """Catches a time limit by the clock on the wall: rewards would be lower when the machine is busy."""
    pairs = programs()
    start = time.monotonic()
    quiet = run_many(pairs, LIMITS, workers=2)
    middle = time.monotonic()
    with ExitStack() as stack:
        busy(stack, NEIGHBOURS)
        loaded = run_many(pairs, LIMITS, workers=WORKERS)
    seconds = [middle - start, time.monotonic() - middle]
    for name, runs, took in zip(("quiet", "loaded"), (quiet, loaded), seconds, strict=True):
        found = Counter(f"{run.reason} ({run.level})" for run in runs)
        sys.stdout.write(f"\n{name}: {len(runs)} programs in {took:.0f} s: {dict(found)}")
    words = [[(run.reason, *(outcome.reason for outcome in run)) for run in runs] for runs in (quiet, loaded)]
    assert words[0] == words[1]
    assert {run.passed for run in quiet} == {True, False}
