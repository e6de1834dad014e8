"""The verdict on a program, reached outside of it: expected values and checks stay with the judge."""

import time
from collections.abc import Sequence

from k2repro.errors import K2ReproError
from k2repro.verify.codec import plain_text, same
from k2repro.verify.level import FATAL, Level, Program, Reply, one_line
from k2repro.verify.schema import CodeTest, FunctionTest, Limits, Outcome, TestRun

Test = FunctionTest | CodeTest


def judge(level: Level, source: str, tests: Sequence[Test], limits: Limits) -> TestRun:
    """Load `source` at `level` and put it to every test, until one ends its process.

    Raises LevelMissing when the level cannot start.
    """
    start = time.perf_counter()
    with level.open(limits) as program:
        watched = _Watched(program)
        loaded = watched.load(source)
        outcomes = [Outcome("not run")] * len(tests)
        if loaded.reason == "value":
            outcomes = _outcomes(level, watched, tests, limits)
    failed = next((outcome for outcome in outcomes if not outcome.passed), Outcome("passed"))
    if loaded.reason != "value":
        failed = Outcome(loaded.reason, _detail(loaded))
    return TestRun(
        outcomes=tuple(outcomes),
        reason=failed.reason,
        detail=failed.detail,
        level=level.name,
        seconds=time.perf_counter() - start,
        memory_mb=watched.memory_mb,
    )


class _Watched:
    """A program, the most memory it said it used, and whether it can still be asked."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.memory_mb: float | None = None
        self.last = Reply("value")

    def load(self, source: str) -> Reply:
        return self._note(self._program.load(source))

    def call(self, function: str, arguments: str) -> Reply:
        if self.ended:
            return Reply("crashed", detail="the program's process has ended")
        return self._note(self._program.call(function, arguments))

    @property
    def ended(self) -> bool:
        return self.last.reason in FATAL

    def _note(self, reply: Reply) -> Reply:
        if reply.memory_mb is not None:
            self.memory_mb = max(self.memory_mb or 0.0, reply.memory_mb)
        self.last = reply
        return reply


def _outcomes(level: Level, program: _Watched, tests: Sequence[Test], limits: Limits) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for test in tests:
        if program.ended:
            outcomes.append(Outcome("not run"))
        elif isinstance(test, FunctionTest):
            outcomes.append(_function_outcome(program, test))
        else:
            outcomes.append(_code_outcome(level, program, test, limits))
    return outcomes


def _function_outcome(program: _Watched, test: FunctionTest) -> Outcome:
    reply = program.call(test.function, plain_text((test.arguments, {}), "arguments"))
    if reply.reason != "value":
        return Outcome(reply.reason, _detail(reply))
    if same(reply.value, plain_text(test.expected, "expected")):
        return Outcome("passed")
    return Outcome("wrong answer", f"returned {one_line(reply.value, 80)}")


def _code_outcome(level: Level, program: _Watched, test: CodeTest, limits: Limits) -> Outcome:
    """Run the checks beside the program. What ended the program counts, whatever the checks made of it."""
    stopped: list[Reply] = []
    calls = 0

    def candidate(arguments: str) -> Reply:
        nonlocal calls
        calls += 1
        reply = program.call(test.function, arguments)
        if reply.reason not in ("value", "exception"):
            stopped.append(reply)
        return reply

    reply = level.check(test.code, candidate, limits)
    if stopped:
        return Outcome(stopped[0].reason, _detail(stopped[0]))
    if reply.reason == "value" and not calls:
        raise K2ReproError(
            "the test code never called candidate, so every program would pass; usual cause: it defines "
            "check(candidate), as HumanEval does, and the last line that calls it is missing"
        )
    if reply.reason == "value":
        return Outcome("passed")
    return Outcome("wrong answer" if reply.kind == "AssertionError" else reply.reason, _detail(reply))


def _detail(reply: Reply) -> str:
    return one_line(": ".join(part for part in (reply.kind, reply.detail) if part))


def check_tests(tests: Sequence[Test]) -> None:
    """Raise K2ReproError unless there is at least one test and each is a FunctionTest or a CodeTest."""
    if isinstance(tests, FunctionTest | CodeTest) or not tests:
        raise K2ReproError(
            f"tests must be a list with at least one test, got {str(tests)[:80]!r}; usual cause: a problem "
            "without tests, which every program would pass"
        )
    for test in tests:
        if not isinstance(test, FunctionTest | CodeTest):
            raise K2ReproError(
                f"a test must be a FunctionTest or a CodeTest, got {str(test)[:80]!r}; "
                "usual cause: a bare pair, write FunctionTest(arguments, expected)"
            )
