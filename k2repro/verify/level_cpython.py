"""Real CPython behind two pipes: what the sandlock and bubblewrap levels share.

A level gives a process that runs `child.py`; this file talks to it under a deadline and a size
limit, and kills it when either is passed.
"""

import json
import os
import select
import sys
import sysconfig
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from k2repro.verify import child
from k2repro.verify.codec import SOURCE
from k2repro.verify.level import FATAL, LevelMissing, Program, Reply, one_line
from k2repro.verify.schema import Limits

_START_SECONDS = 20.0  # for Python to start inside a sandbox on a busy machine
_GRACE_SECONDS = 0.3  # between the end of a process's output and the end of the process
_CHUNK = 1 << 16


class Sandboxed(ABC):
    """A started process: two pipe ends, and a way to end it and all that it started."""

    stdin: int
    stdout: int

    @abstractmethod
    def end(self, grace: float = 0.0) -> str:
        """Kill after `grace` seconds, reap, close the pipes; say "memory" if that had ended it, or ""."""


class CPythonLevel(ABC):
    """Programs in a real Python interpreter, one fresh process each."""

    name: str

    @abstractmethod
    def launch(self, command: list[str], limits: Limits) -> Sandboxed:
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
    def _talk(self, limits: Limits) -> Iterator["Talk"]:
        command = [python(), "-I", "-S", "-c", Path(child.__file__).read_text(encoding="utf-8")]
        process = self.launch(command, limits)
        talk = Talk(process, limits)
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

    def __init__(self, talk: "Talk", limits: Limits) -> None:
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


class Talk:
    """Lines of JSON to and from a process that may write anything, or nothing."""

    def __init__(self, process: Sandboxed, limits: Limits) -> None:
        self._process = process
        self._most = limits.output_bytes + 4096  # a value, and the line around it
        self._pending = b""
        os.set_blocking(process.stdin, False)
        os.set_blocking(process.stdout, False)

    def ask(self, request: dict[str, Any], seconds: float) -> Reply:
        """Send a request and wait for the reply; a process that fails to answer is ended."""
        deadline = time.monotonic() + seconds
        try:
            self._send((json.dumps(request) + "\n").encode(), deadline)
            reply = _parse(self._receive(deadline))
        except _Stopped as stop:
            reply = Reply(stop.reason, detail=stop.detail)
        if reply.reason in FATAL - {"memory"} or (reply.reason == "memory" and reply.memory_mb is None):
            ended = self._process.end(_GRACE_SECONDS if reply.reason == "crashed" else 0.0)
            if reply.reason == "crashed" and ended:
                return Reply(ended, detail=reply.detail)
        return reply

    def _send(self, data: bytes, deadline: float) -> None:
        while data:
            self._wait([], [self._process.stdin], deadline)
            try:
                data = data[os.write(self._process.stdin, data[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise _Stopped("crashed", "the process ended") from None

    def _receive(self, deadline: float) -> bytes:
        parts = [self._pending]
        size = len(self._pending)
        while b"\n" not in parts[-1]:
            self._wait([self._process.stdout], [], deadline)
            try:
                part = os.read(self._process.stdout, _CHUNK)
            except BlockingIOError:
                continue
            if not part:
                raise _Stopped("crashed", "the process ended")
            parts.append(part)
            size += len(part)
            if size > self._most:
                raise _Stopped("output", f"more than {self._most} bytes")
        line, _, self._pending = b"".join(parts).partition(b"\n")
        return line

    def _wait(self, read: list[int], write: list[int], deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0 or not any(select.select(read, write, [], left)):
            raise _Stopped("timeout", "")


class _Stopped(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def _parse(line: bytes) -> Reply:
    """The reply in a hostile line."""
    try:
        reply = json.loads(line)
        memory = reply.get("memory")
        return Reply(
            reason=str(reply["reason"]),
            value=str(reply.get("value", "null")),
            kind=one_line(reply.get("kind", ""), 80),
            detail=one_line(reply.get("detail", "")),
            memory_mb=memory / 1024 if isinstance(memory, int) else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise _Stopped("crashed", "the program broke the conversation with its sandbox") from None


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
