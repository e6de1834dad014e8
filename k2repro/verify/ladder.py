"""The sandbox ladder: the fastest level that this system has and the program needs, or a refusal.

monty -> bubblewrap -> sandlock -> refuse. There is no rung where a program runs as a bare subprocess. A level
counts as available only after a probe program ran in it and was refused all that it tried.
"""

import dataclasses
import logging
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from k2repro.errors import K2ReproError, unknown
from k2repro.verify.judge import Test, check_tests, judge
from k2repro.verify.level import Level, LevelMissing
from k2repro.verify.level_bubblewrap import BubblewrapLevel
from k2repro.verify.level_monty import MontyLevel
from k2repro.verify.level_sandlock import SandlockLevel
from k2repro.verify.schema import FunctionTest, Limits, Outcome, TestRun

LEVELS: dict[str, Level] = {level.name: level for level in (MontyLevel(), BubblewrapLevel(), SandlockLevel())}
_SUBSET = "monty"  # interprets a part of Python, in its own way: it may say that a program is right, no more
_SUBSET_SHARE = 0.25  # of the time limit: a program that needs longer is faster in real Python
_FINAL = frozenset({"passed", "syntax error"})  # words that are believed of every level
_PROBE = """
def f():
    try:
        open("/etc/passwd").close()
    except OSError:
        return "closed"
    return "open"
"""
_PROBE_CPYTHON = f"""
import os, socket
{_PROBE.replace("def f", "def reads")}
def f():
    tried = [lambda: os.chmod("/", 0o755), lambda: os.stat("/etc/passwd"), lambda: os.fork(), socket.socket]
    for attempt in tried:
        try:
            attempt()
        except OSError:
            continue
        return "open"
    return reads()
"""
_log = logging.getLogger(__name__)
_lock = threading.Lock()
_known: dict[str, str] = {}  # level -> "" when available, else why it is not


def available_levels() -> tuple[str, ...]:
    """Names of the sandbox levels that work on this system, fastest first. Tries each once."""
    return tuple(name for name in LEVELS if not why_missing(name))


def level_versions() -> dict[str, str]:
    """The levels that work here with their versions, for the provenance of what programs earned."""
    return {name: LEVELS[name].version() for name in available_levels()}


def run_tests(
    source: str, tests: Sequence[Test], limits: Limits | None = None, *, level: str | None = None
) -> TestRun:
    """Run a program, which is taken to be hostile, against `tests` in a sandbox.

    Without `level` the fastest available one is tried first. Where the subset interpreter says anything but
    "passed" or "syntax error", real Python decides: the subset lacks features, and differs in others. The
    level that decided is in the result. With `level` ("monty", "bubblewrap", "sandlock") that one is used
    or K2ReproError raised. Raises K2ReproError also when there is no level at all, and for tests that are
    empty or of another kind. A level that worked and now does not start is tried again and then passed
    over, with a warning in the log; when none is left, the verdict is "not run".

    >>> run_tests("def f(a, b): return a + b", [FunctionTest((2, 3), 5)]).passed
    True
    """
    if not isinstance(source, str):
        raise K2ReproError(f"source must be the text of a program, got {type(source).__name__}")
    check_tests(tests)
    limits = limits or Limits()
    if level:
        return _judged(_demanded(level), source, tests, limits)
    names = available_levels()
    if not names:
        raise K2ReproError(_nothing())
    run = None
    for at, name in enumerate(names):
        last = at == len(names) - 1
        try:
            run = _judged(LEVELS[name], source, tests, limits if last else _first_look(name, limits))
        except LevelMissing as error:
            _log.warning("the sandbox level %s does not start, the next one is asked: %s", name, error)
            continue
        if run.reason in _FINAL or name != _SUBSET:
            break
    return run or _not_run(tests, names[-1])


def _judged(level: Level, source: str, tests: Sequence[Test], limits: Limits) -> TestRun:
    return dataclasses.replace(judge(level, source, tests, limits), level_version=level.version())


def _demanded(name: str) -> Level:
    if name not in LEVELS:
        raise unknown("sandbox level", name, LEVELS)
    if why := why_missing(name):
        raise K2ReproError(
            f"{_refusal(name, why)} Available here: {', '.join(available_levels()) or '(none)'}"
        )
    return LEVELS[name]


def _first_look(name: str, limits: Limits) -> Limits:
    """The limits for a level whose failures another one looks into again."""
    if name != _SUBSET:
        return limits
    return dataclasses.replace(limits, seconds=max(0.01, _SUBSET_SHARE * limits.seconds))


def _not_run(tests: Sequence[Test], level: str) -> TestRun:
    nothing = Outcome("not run")
    return TestRun(
        outcomes=tuple(nothing for _ in tests),
        reason="not run",
        detail="no sandbox could be started, although one had been: the machine is overloaded",
        level=level,
        level_version=LEVELS[level].version(),
        seconds=0.0,
    )


def run_many(
    programs: Iterable[tuple[str, Sequence[Test]]],
    limits: Limits | None = None,
    *,
    level: str | None = None,
    workers: int | None = None,
) -> list[TestRun]:
    """Run many (source, tests) pairs side by side, results in their order.

    For rewards: equal sources with the same `tests` object (the samples of one group) are run once.
    workers: threads, by default one for each processor. Raises as `run_tests` does.
    """
    pairs = list(programs)
    if workers is not None and workers < 1:
        raise K2ReproError(f"workers must be at least 1, got {workers}")
    distinct = {(source, id(tests)): (source, tests) for source, tests in pairs}
    check = partial(run_tests, limits=limits, level=level)
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as threads:
        runs = dict(zip(distinct, threads.map(lambda pair: check(*pair), distinct.values()), strict=True))
    return [runs[source, id(tests)] for source, tests in pairs]


def why_missing(name: str) -> str:
    """Empty when a level works here, else the reason. The answer is kept for the life of the process."""
    with _lock:
        if name not in _known:
            _known[name] = _probe(LEVELS[name])
        return _known[name]


def _probe(level: Level) -> str:
    probe = _PROBE if level.name == _SUBSET else _PROBE_CPYTHON
    try:
        run = judge(level, probe, [FunctionTest((), "closed")], Limits(seconds=10))
    except LevelMissing as error:
        return str(error)
    return "" if run.passed else f"its probe failed: {run.reason} {run.detail}"


def _refusal(name: str, why: str) -> str:
    return f"the sandbox level {name} is not available on this system: {why}."


def _nothing() -> str:
    reasons = " ".join(_refusal(name, why_missing(name)) for name in LEVELS)
    return (
        f"no sandbox is available, and code written by a model is never run without one. {reasons} "
        "Usual remedy: make setup, which installs pydantic-monty and sandlock, or Debian's bubblewrap"
    )
