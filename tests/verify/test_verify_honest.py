"""Honest programs pass: idioms of competitive programming, on the default ladder and on each level."""

import tomllib
from pathlib import Path

import pytest

from k2repro.verify import FunctionTest, Limits, available_levels, run_tests

HERE = available_levels()
LIMITS = Limits(seconds=4)
PROGRAMS = tomllib.loads(Path(__file__).with_name("honest_programs.toml").read_text(encoding="utf-8"))[
    "program"
]
# float("inf") and sums stand in some expected values: they are expressions, not only literals.
NAMES = {"float": float}
REAL = [name for name in HERE if name != "monty"]


def checks(program: dict) -> list[FunctionTest]:
    arguments, expected = (
        eval(program[key], {"__builtins__": {}}, NAMES)  # noqa: S307 - this repository's own
        for key in ("arguments", "expected")
    )
    return [FunctionTest(arguments, expected)]


def ids(program: dict) -> str:
    return program["name"]


@pytest.mark.skipif(not REAL, reason="needs a level of real Python")
@pytest.mark.parametrize("program", PROGRAMS, ids=ids)
def test_an_honest_program_passes_on_the_ladder(program):
    """Catches a right program that fails for good because a sandbox refuses it, or reads Python otherwise."""
    run = run_tests(program["source"], checks(program), LIMITS)
    assert run.passed, run


@pytest.mark.parametrize("program", PROGRAMS, ids=ids)
@pytest.mark.parametrize("level", REAL)
def test_an_honest_program_passes_on_each_level_of_real_python(level, program):
    """Catches a reward that depends on which sandbox the machine has."""
    run = run_tests(program["source"], checks(program), LIMITS, level=level)
    assert run.passed, run


@pytest.mark.skipif("monty" not in HERE, reason="needs monty")
@pytest.mark.parametrize("program", PROGRAMS, ids=ids)
def test_the_subset_never_has_the_last_word_on_an_honest_program(program):
    """Catches a failure of the subset interpreter that the ladder would believe."""
    run = run_tests(program["source"], checks(program), LIMITS, level="monty")
    assert run.reason != "syntax error", run


def test_there_are_enough():
    """Catches a list that shrinks in silence."""
    assert len(PROGRAMS) >= 90
    assert len({program["name"] for program in PROGRAMS}) == len(PROGRAMS)


@pytest.mark.parametrize("level", REAL)
def test_a_stack_beyond_the_memory_limit_is_refused_clearly(level):
    """Catches a thread that cannot start being scored as an error of the program's own."""
    source = (
        "import threading\nthreading.stack_size(2**29)\n"
        "def f():\n    t = threading.Thread(target=print)\n    t.start()\n    t.join()\n    return 1"
    )
    run = run_tests(source, [FunctionTest((), 1)], LIMITS, level=level)
    assert run.reason == "memory"
    assert "can't start new thread" in run.detail
