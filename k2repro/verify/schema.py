"""What a check of a program is: its tests, its limits, and what came out of each."""

import keyword
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from k2repro.errors import K2ReproError
from k2repro.verify.codec import plain_text

REASONS = {
    "passed": "every test passed",
    "wrong answer": "a function returned another value, or the right value with another type",
    "exception": "the program, or a check on its result, raised",
    "syntax error": "the program is not Python",
    "no function": "the program does not define the function that the test calls",
    "timeout": "the time limit was reached",
    "memory": "the memory limit was reached",
    "recursion": "Python's recursion limit was reached",
    "output": "more was printed or returned than the limit allows",
    "forbidden": "the sandbox refused a file, an environment variable or another permission",
    "exit": "the program called sys.exit",
    "crashed": "the program ended or broke its own process",
    "unsupported": "the subset interpreter does not know a feature that real Python has",
    "not run": "an earlier step ended the program, or no sandbox could be started",
}


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    seconds: processor time for loading the program and all its tests, start of the sandbox not counted, so
    that a verdict does not depend on what else the machine does; sleeping counts apart, as long again (see
    `allowance.ProcessorTime`). Only the subset interpreter goes by the clock on the wall, and looks at it
    between steps. memory_mb: MiB of memory (on the real-CPython levels of address space, beyond what Python
    itself takes). output_bytes: what may be printed, and the size of one returned value.
    """

    seconds: float = 2.0
    memory_mb: int = 256
    output_bytes: int = 1_000_000

    def __post_init__(self) -> None:
        if not 0.01 <= self.seconds <= 3600:
            raise K2ReproError(f"limits: seconds must lie in 0.01 to 3600, got {self.seconds}")
        if self.memory_mb < 64:
            raise K2ReproError(
                f"limits: memory_mb must be at least 64, got {self.memory_mb}; Python itself needs about 40"
            )
        if self.output_bytes < 1000:
            raise K2ReproError(f"limits: output_bytes must be at least 1000, got {self.output_bytes}")


@dataclass(frozen=True)
class FunctionTest:
    """Call `function` with `arguments`; the result must be `expected`, by value and by type.

    True is not 1, 1 is not 1.0, a tuple is not a list. `expected` never enters the sandbox.

    >>> FunctionTest((2, 3), 5)
    FunctionTest(arguments=(2, 3), expected=5, function='f')
    """

    arguments: Sequence[object]
    expected: object
    function: str = "f"

    def __post_init__(self) -> None:
        _check_name(self.function)
        if isinstance(self.arguments, str | bytes) or not isinstance(self.arguments, Sequence):
            raise K2ReproError(
                f"arguments must be a list or a tuple, got {self.arguments!r}; "
                "usual cause: one argument without the comma of (x,)"
            )
        object.__setattr__(self, "arguments", tuple(self.arguments))
        plain_text(self.arguments, "arguments")
        plain_text(self.expected, "expected")


@dataclass(frozen=True)
class CodeTest:
    """Free-form checks, such as HumanEval's `check(candidate)`: they pass when `code` does not raise.

    `code` is the benchmark's, not the model's. It runs in a sandbox of its own, where `candidate` is
    a stand-in that has the program's sandbox call `function` and hands over plain values only. So a
    program can read neither the checks nor the expected values, nor replace what they use.
    """

    code: str
    function: str = "f"

    def __post_init__(self) -> None:
        _check_name(self.function)


@dataclass(frozen=True)
class Outcome:
    """What became of one test."""

    reason: str  # a key of REASONS
    detail: str = ""  # one line for a person; written by a hostile program, never parse it

    @property
    def passed(self) -> bool:
        """Whether the test passed."""
        return self.reason == "passed"


@dataclass(frozen=True)
class TestRun:
    """What became of one program.

    seconds: wall-clock time of the check, sandbox included. memory_mb: peak resident memory in MiB, as
    the sandboxed process itself tells (a hostile one may lie); None where the level does not know it.
    """

    __test__: ClassVar[bool] = False  # pytest collects classes that are called Test...

    outcomes: tuple[Outcome, ...]
    reason: str  # "passed", or the reason of the first test that did not
    detail: str
    level: str  # the sandbox that decided
    seconds: float
    memory_mb: float | None = None
    level_version: str = ""  # of what confined the program: the package, or the program bwrap

    @property
    def passed(self) -> bool:
        """Whether every test passed."""
        return self.reason == "passed"

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.outcomes)


def _check_name(name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("k2_"):
        raise K2ReproError(
            f"function must be a Python name that does not begin with k2_, got {name!r}; "
            "usual cause: a signature or a call where the bare name was meant"
        )
