"""Real CPython in namespaces of its own: bubblewrap, with resource limits and a system-call filter.

The process sees a read-only root that holds Python and nothing else, and no network
(https://github.com/containers/bubblewrap). Python starts once in such a sandbox and forks a process for each
program (`forker.py`). Programs cannot reach each other: they share no file that can be written, and the
filter refuses every other way to leave something behind.
"""

import atexit
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

from k2repro.verify import forker
from k2repro.verify.level import LevelMissing, one_line
from k2repro.verify.level_cpython import (
    ENVIRONMENT,
    PYTHON_FLAGS,
    START_SECONDS,
    CPythonLevel,
    child_source,
    hidden_paths,
    python,
    readable_paths,
)
from k2repro.verify.schema import Limits
from k2repro.verify.talk import Forked, Peer

_NOBODY = "65534"


class BubblewrapLevel(CPythonLevel):
    """Programs in CPython, in namespaces without anything in them."""

    name = "bubblewrap"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forkers: dict[int, _Forker] = {}  # by process id: a forked child cannot use its parent's
        self._version = ""

    def version(self) -> str:
        """As bwrap says it."""
        if not self._version:
            said = subprocess.run([_program(), "--version"], capture_output=True, text=True, check=False)
            self._version = said.stdout.strip().removeprefix("bubblewrap ")
        return self._version

    def launch(self, limits: Limits) -> Peer:
        """A fresh process, forked inside. Raises LevelMissing."""
        with self._lock:
            running = self._forkers.get(os.getpid())
            if running is None:
                self._forkers = {os.getpid(): (running := _Forker())}
            try:
                return running.fork()
            except OSError as error:
                running.end()
                self._forkers = {}
                why = f"it does not start a process: {one_line(error)}"
                raise LevelMissing(why, may_pass=True) from error


class _Forker:
    """One sandbox with a Python in it that forks. It ends when this process does: its socket closes then."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        self._socket, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [python(), *PYTHON_FLAGS, "-c", Path(forker.__file__).read_text(encoding="utf-8")]
        try:
            self._process = subprocess.Popen(
                [_program(), *_options(), *command, "socket", str(inside.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(inside.fileno(),),
                env={},
            )
        except OSError as error:
            self._socket.close()
            raise LevelMissing(f"bwrap does not start: {one_line(error)}", may_pass=True) from error
        finally:
            inside.close()
        atexit.register(self.end)
        self._socket.settimeout(START_SECONDS)
        try:
            self._socket.send(child_source().encode())
            if self._socket.recv(16) == b"ready":
                return
            why = "the process ended"
        except OSError as error:
            why = one_line(error)
        said = self.end()
        raise LevelMissing(f"bwrap does not start Python: {said or why}", may_pass=not said)

    def fork(self) -> Peer:
        """A fresh process inside. Raises OSError when the sandbox has ended."""
        requests, their_requests = _pipe()
        replies, their_replies = reversed(_pipe())
        theirs = [their_requests, their_replies]
        try:
            socket.send_fds(self._socket, [b"fork"], theirs)
            message, handles, _, _ = socket.recv_fds(self._socket, 16, 1)
            if message != b"started" or len(handles) != 1:
                raise OSError("the sandbox has ended")
            return Forked(handles[0], requests, replies)
        except OSError:
            os.close(requests)
            os.close(replies)
            raise
        finally:
            for end in theirs:
                os.close(end)

    def end(self) -> str:
        """End the sandbox and all in it; the first line that bwrap said to stderr."""
        atexit.unregister(self.end)
        self._socket.close()
        if self._owner != os.getpid():
            return ""  # a forked copy of the one who started it
        self._process.kill()
        with self._process as process:
            said = process.stderr.read() if process.stderr and not process.stderr.closed else b""
        return one_line(said.decode(errors="replace"))


def _pipe() -> tuple[int, int]:
    """Ends for (us, them) of a pipe that we write to. Neither outlives an exec."""
    read, write = os.pipe()
    return write, read


def _program() -> str:
    program = shutil.which("bwrap")
    if program is None:
        raise LevelMissing("the program bwrap (Debian package bubblewrap) is not installed")
    return program


def _options() -> list[str]:
    options = ["--unshare-all", "--new-session", "--cap-drop", "ALL"]
    options += ["--uid", _NOBODY, "--gid", _NOBODY, "--hostname", "sandbox"]
    for path in readable_paths():
        options += ["--ro-bind-try", path, path]
    for path in hidden_paths():
        options += ["--tmpfs", path, "--remount-ro", path]
    options += ["--dev-bind", os.devnull, os.devnull, "--remount-ro", "/", "--chdir", "/"]
    for name, value in ENVIRONMENT.items():
        options += ["--setenv", name, value]
    return options
