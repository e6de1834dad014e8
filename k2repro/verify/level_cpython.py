"""Real CPython behind two pipes: what the sandlock and bubblewrap levels share.

A level gives a process that runs `child.py`; this file drives it under the limits.
"""

import os
import sys
import sysconfig
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from k2repro.verify import child
from k2repro.verify.codec import SOURCE
from k2repro.verify.level import LevelMissing, Program, Reply
from k2repro.verify.schema import Limits
from k2repro.verify.talk import Peer, Talk

_START_SECONDS = 20.0  # for Python to start inside a sandbox on a busy machine


class CPythonLevel(ABC):
    """Programs in a real Python interpreter, one fresh process each."""

    name: str

    @abstractmethod
    def launch(self, command: list[str], limits: Limits) -> Peer:
        """Start `command` inside the sandbox. Raises LevelMissing."""

    @contextmanager
    def open(self, limits: Limits) -> Iterator[Program]:
        """A fresh process for one program. Raises LevelMissing."""
        with self._talk(limits) as talk:
            yield CPythonProgram(talk, limits)

    def check(self, code: str, candidate: Callable[[str], Reply], limits: Limits) -> Reply:
        """Run test code in a process of its own; each call of `candidate` comes back to this one."""
        with self._talk(limits) as talk:
            reply = talk.ask({"do": "check", "code": code}, limits.seconds)
            while reply.reason == "call":
                answer = candidate(reply.value)
                told = {"reason": answer.reason, "value": answer.value, "kind": answer.kind}
                reply = talk.ask({**told, "detail": answer.detail}, limits.seconds)
            return reply

    @contextmanager
    def _talk(self, limits: Limits) -> Iterator[Talk]:
        command = [python(), "-I", "-S", "-c", Path(child.__file__).read_text(encoding="utf-8")]
        process = self.launch(command, limits)
        talk = Talk(process, limits.output_bytes + 4096)  # a value, and the line around it
        try:
            start = {"codec": SOURCE, "memory": limits.memory_mb << 20, "output": limits.output_bytes}
            ready = talk.ask(start, _START_SECONDS)
            if ready.reason != "ready":
                raise LevelMissing(f"Python does not start inside it ({ready.reason} {ready.detail})")
            yield talk
        finally:
            process.end()


class CPythonProgram:
    """One program in one process."""

    def __init__(self, talk: Talk, limits: Limits) -> None:
        self._talk = talk
        self._left = limits.seconds

    def load(self, source: str) -> Reply:
        """Execute the source."""
        return self._timed({"do": "load", "source": source})

    def call(self, function: str, arguments: str) -> Reply:
        """Call one function of the program."""
        return self._timed({"do": "call", "function": function, "arguments": arguments})

    def _timed(self, request: dict[str, str]) -> Reply:
        start = time.perf_counter()
        reply = self._talk.ask(request, max(self._left, 0.0))
        self._left -= time.perf_counter() - start
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
    below = [path for base in readable_paths() for path in Path(base).glob("*/*-packages")]
    below += [path for base in readable_paths() for path in Path(base).glob("*-packages")]
    return sorted({os.path.realpath(path) for path in below})
