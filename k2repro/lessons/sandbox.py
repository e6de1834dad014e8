"""Code that is run: what the sandbox says to hostile programs, and to a model's own along a run."""

from collections.abc import Sequence
from typing import Any

from k2repro.lab.rl_probe import SHOWN
from k2repro.lab.rlvr import Log
from k2repro.mini import programs
from k2repro.mini.benchmarks import benchmark_problems
from k2repro.mini.grading import run_programs, split_response
from k2repro.mini.problem import Problem
from k2repro.mini.programs import hidden_tests
from k2repro.verify import FunctionTest, Limits, run_tests

Records = list[dict[str, Any]]

# Programs that a model might write, each wrong in its own way; the first is right.
PROGRAMS = {
    "right": "def f(a, b): return a + b",
    "right value, wrong type": "def f(a, b): return float(a + b)",
    "never ends": "def f(a, b):\n    while True: pass",
    "takes all memory": "def f(a, b): return [0] * 10**10",
    "reads a file": "def f(a, b): return open('/etc/passwd').read()",
    "prints that it passed": "print('1 passed')\ndef f(a, b): return 0",
    "leaves early": "import sys\nsys.exit(0)",
    "recurses for ever": "def f(a, b): return f(a, b)",
}
LIMITS = Limits(seconds=0.3)


def sandbox_records(limits: Limits = LIMITS) -> Records:
    """What the sandbox says to each of PROGRAMS, which are asked for 2 + 3."""
    test = FunctionTest((2, 3), 5)
    runs = {name: run_tests(source, [test], limits) for name, source in PROGRAMS.items()}
    return [
        {
            "program": name,
            "reward": float(run.passed),
            "reason": run.reason,
            "level": f"{run.level} {run.level_version}",
            "time limit (s)": limits.seconds,
            "memory limit (MiB)": limits.memory_mb,
        }
        for name, run in runs.items()
    ]


def program_of(response: str) -> str | None:
    """The program in the answer place of a response, None without one."""
    parts = split_response(response)
    return None if parts is None else parts.answer.strip()


def tested_records(problem: Problem, source: str) -> Records:
    """One line for each hidden test of a program."""
    (run,) = run_programs([(problem, source)])
    return [
        {
            "call": f"f({', '.join(map(repr, test['arguments']))})",
            "expected": repr(test["expected"]),
            "outcome": outcome.reason,
            "what happened": outcome.detail or "-",
        }
        for test, outcome in zip(hidden_tests(problem), run.outcomes, strict=True)
    ]


def turned_program(logs: Sequence[Log]) -> tuple[Problem, str, str]:
    """A kept problem of the code runs with its programs at the start and at the end of one, "" for none.

    The first that turned right; without one, the first of all.
    """
    ends = [
        (
            problem,
            program_of(log.points[0].texts[problem.id]) or "",
            program_of(log.points[-1].texts[problem.id]) or "",
        )
        for log in logs
        for problem in benchmark_problems(programs.TIER, "validation", SHOWN)
        if problem.id in log.points[0].texts
    ]
    for problem, first, last in ends:
        before, after = run_programs([(problem, first), (problem, last)])
        if after.passed and not before.passed:
            return problem, first, last
    return ends[0]
