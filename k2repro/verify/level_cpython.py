"""Real CPython behind two pipes: what the bubblewrap and sandlock levels share.

A level gives a process that runs `child.py`; this file drives it under the limits. Whatever the level
confines, the process also puts the system-call filter of `seccomp.py` on itself, and does not say that it is
ready unless the filter holds.
"""

import math
import os
import platform
import sys
import sysconfig
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from k2repro.verify import child
from k2repro.verify.allowance import ProcessorTime
from k2repro.verify.codec import SOURCE
from k2repro.verify.level import LevelMissing, Program, Reply
from k2repro.verify.schema import Limits
from k2repro.verify.seccomp import filter_program
from k2repro.verify.talk import Peer, Talk

START_SECONDS = 60.0  # for one try to start, on a machine that does other things too
_TRIES = 4
_PAUSE_SECONDS = 1.0  # before the second try; each later one waits for twice as long
_PYTHON_MB = 48  # of address space, for Python before it loads a program
_CHECK_SECONDS = 3600  # of processor time for test code, which is the benchmark's own
# No variable of this process reaches a program. Hashes, and so the order of sets, are the same each time;
# threads share one heap, since a second one would take 64 MiB of address space.
ENVIRONMENT = {"PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1"}
PYTHON_FLAGS = ("-s", "-S", "-P", "-B")  # not -I, which would also ignore PYTHONHASHSEED


class CPythonLevel(ABC):
    """Programs in a real Python interpreter, one fresh process each."""

    name: str
    sleep_seconds = 1.0  # that a program may wait for what is not a processor, beside its time

    @abstractmethod
    def launch(self, limits: Limits) -> Peer:
        """Start `child.py` inside the sandbox. Raises LevelMissing."""

    @contextmanager
    def open(self, limits: Limits) -> Iterator[Program]:
        """A fresh process for one program. Raises LevelMissing."""
        with self._talk(limits, limits.seconds) as (talk, allowed):
            yield CPythonProgram(talk, allowed)

    def check(self, code: str, candidate: Callable[[str], Reply], limits: Limits) -> Reply:
        """Run test code in a process of its own; each call of `candidate` comes back to this one."""
        with self._talk(limits, _CHECK_SECONDS) as (talk, allowed):
            reply = talk.ask({"do": "check", "code": code}, allowed)
            while reply.reason == "call":
                answer = candidate(reply.value)
                told = {"reason": answer.reason, "value": answer.value, "kind": answer.kind}
                allowed.restart()
                reply = talk.ask({**told, "detail": answer.detail}, allowed)
            return reply

    @contextmanager
    def _talk(self, limits: Limits, most_seconds: float) -> Iterator[tuple[Talk, ProcessorTime]]:
        start = {
            "filter": filter_program(platform.machine()).hex(),
            "memory": (limits.memory_mb + _PYTHON_MB) << 20,
            "output": limits.output_bytes,
            "seconds": math.ceil(most_seconds) + 2,
        }
        process, talk = self._started(limits, start)
        try:
            yield talk, ProcessorTime(process.pid, limits.seconds, self.sleep_seconds)
        finally:
            process.end()

    def _started(self, limits: Limits, start: dict[str, Any]) -> tuple[Peer, Talk]:
        """A process that is ready. A start that fails is tried again: the machine may be busy."""
        for left in reversed(range(_TRIES)):
            try:
                return self._try_to_start(limits, start)
            except LevelMissing as error:
                if not left or not error.may_pass:
                    raise
            time.sleep(_PAUSE_SECONDS * 2 ** (_TRIES - 1 - left))
        raise AssertionError("unreachable")

    def _try_to_start(self, limits: Limits, start: dict[str, Any]) -> tuple[Peer, Talk]:
        process = self.launch(limits)
        try:
            talk = Talk(process, limits.output_bytes + 4096)  # a value, and the line around it
            ready = talk.ask(start, START_SECONDS)
            if ready.reason != "ready":
                raise LevelMissing(
                    f"Python does not start inside it ({ready.reason} {ready.detail})", may_pass=True
                )
            return process, talk
        except BaseException:
            process.end()
            raise


def child_source() -> str:
    """The text of the program that runs inside: how values become JSON text, and `child.py`."""
    return f"{SOURCE}\n\n{Path(child.__file__).read_text(encoding='utf-8')}"


class CPythonProgram:
    """One program in one process."""

    def __init__(self, talk: Talk, allowed: ProcessorTime) -> None:
        self._talk = talk
        self._allowed = allowed

    def load(self, source: str) -> Reply:
        """Execute the source."""
        return self._ask({"do": "load", "source": source})

    def call(self, function: str, arguments: str) -> Reply:
        """Call one function of the program."""
        return self._ask({"do": "call", "function": function, "arguments": arguments})

    def _ask(self, request: dict[str, str]) -> Reply:
        reply = self._talk.ask(request, self._allowed)
        if reply.reason in {"call", "ready"}:  # not for a program to say
            return Reply("crashed", detail="the program broke the conversation with its sandbox")
        return reply


def python() -> str:
    """The interpreter outside any virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def readable_paths() -> list[str]:
    """What a Python process must be able to read: itself, its standard library, the C libraries."""
    base = Path(sys.base_prefix)
    wanted = [Path(python()), base / "lib", Path(sysconfig.get_path("stdlib")), Path("/etc/ld.so.cache")]
    wanted += [Path(sys.base_exec_prefix) / "lib", Path("/lib"), Path("/lib64"), Path("/usr/lib")]
    return sorted({os.path.realpath(path) for path in wanted if path.exists()} | {"/lib", "/lib64"})


def hidden_paths() -> list[str]:
    """Folders below those with installed packages, which may hold a benchmark's solutions."""
    patterns = ("*-packages", "*/*-packages")
    below = (path for base in readable_paths() for each in patterns for path in Path(base).glob(each))
    return sorted({os.path.realpath(path) for path in below})
