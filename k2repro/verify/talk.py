"""A conversation with a process that may write anything, or nothing: lines of JSON under an allowance."""

import contextlib
import json
import os
import re
import select
import signal
from pathlib import Path
from typing import Any, Protocol

from k2repro.verify.allowance import Allowance, WallClock
from k2repro.verify.level import FATAL, Reply, one_line

_END_SECONDS = 5.0  # for a killed process to be gone
_CHUNK = 1 << 16


class Peer(Protocol):
    """A started process: its number, two pipe ends, and a way to end it and all that it started."""

    pid: int
    stdin: int
    stdout: int

    def end(self) -> None:
        """Kill, reap, close the pipes."""


class Forked:
    """A process that a forker started inside a sandbox, as its parent outside holds it: two pipe ends, and a
    descriptor that stands for the process (pidfd_open)."""

    def __init__(self, handle: int, stdin: int, stdout: int) -> None:
        self._handle, self.stdin, self.stdout = handle, stdin, stdout
        about = Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="ascii")
        self.pid = int(re.findall(r"^Pid:\s*(-?\d+)", about, re.MULTILINE)[0])

    @property
    def has_ended(self) -> bool:
        """Whether `end` was called."""
        return self._handle < 0

    def end(self) -> None:
        """Kill, wait until it is gone, close."""
        if self.has_ended:
            return
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        gone = select.poll()
        gone.register(self._handle, select.POLLIN)
        gone.poll(1000 * _END_SECONDS)
        for descriptor in (self._handle, self.stdin, self.stdout):
            os.close(descriptor)
        self._handle = -1


class Talk:
    """Requests and replies. most: bytes of one reply, beyond which the process is ended."""

    def __init__(self, process: Peer, most: int) -> None:
        self._process = process
        self._most = most
        self._pending = b""
        os.set_blocking(process.stdin, False)
        os.set_blocking(process.stdout, False)

    def ask(self, request: dict[str, Any], allowed: Allowance | float) -> Reply:
        """Send a request and wait for the reply; a process that fails is ended.

        allowed: an allowance, or seconds by the clock on the wall.
        """
        allowance = WallClock(allowed) if isinstance(allowed, int | float) else allowed
        allowance.begin()
        try:
            self._send((json.dumps(request) + "\n").encode(), allowance)
            reply = _parse(self._receive(allowance))
        except _Stopped as stop:
            reply = Reply(stop.reason, detail=stop.detail)
        if reply.reason in FATAL - {"memory"} or (reply.reason == "memory" and reply.memory_mb is None):
            self._process.end()
        return reply

    def _send(self, data: bytes, allowance: Allowance) -> None:
        while data:
            _wait(self._process.stdin, select.POLLOUT, allowance)
            try:
                data = data[os.write(self._process.stdin, data[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError:
                raise _Stopped("crashed", "the process ended") from None
            if data:
                _look(allowance)

    def _receive(self, allowance: Allowance) -> bytes:
        parts = [self._pending]
        size = len(self._pending)
        while b"\n" not in parts[-1]:
            _wait(self._process.stdout, select.POLLIN, allowance)
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
            _look(allowance, answered=b"\n" in part)  # also for one who sends a byte now and then
        line, _, self._pending = b"".join(parts).partition(b"\n")
        return line


def _wait(descriptor: int, event: int, allowance: Allowance) -> None:
    """Until a pipe is ready. `poll`, since `select` fails in a process with more than 1024 files."""
    ready = select.poll()
    ready.register(descriptor, event)
    while not ready.poll(1000 * allowance.patience()):
        _look(allowance)


def _look(allowance: Allowance, answered: bool = False) -> None:
    if stop := allowance.used_up(answered):
        raise _Stopped(*stop)


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
