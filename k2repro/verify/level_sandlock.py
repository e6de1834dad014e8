"""Real CPython under Landlock and seccomp: the sandlock package (Linux with Landlock ABI 6 or later).

No file but Python's own library is readable and none writable, no network, no second process
(https://github.com/multikernel/sandlock). Landlock does not cover a file's metadata. So `chroot` is set, to
the root that there is anyway: sandlock then answers every call that takes a path itself, and shows a program
no path that it may not read, but for an /etc/hosts of its own making, with this machine's names. The
system-call filter refuses to change metadata, and `atimes` sees to it that to read changes none. For its sake
little is readable: Python's own files and the C library's folder.

Python starts in such a sandbox and forks a process for each of some programs (`forker.py`). No descriptor can
be handed in, so the pipes have names until both sides have opened them.
"""

import atexit
import contextlib
import importlib.util
import json
import math
import os
import re
import select
import sys
import sysconfig
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from k2repro.verify import atimes, forker
from k2repro.verify.level import LevelMissing, one_line, package_version
from k2repro.verify.level_cpython import (
    ENVIRONMENT,
    PYTHON_FLAGS,
    START_SECONDS,
    CPythonLevel,
    child_source,
    hidden_paths,
    python,
)
from k2repro.verify.schema import Limits
from k2repro.verify.talk import Forked, Peer

_NOBODY = 65534
_PAIRS = 24  # of pipes, so programs, for one start of Python


class SandlockLevel(CPythonLevel):
    """Programs in CPython, confined by the kernel's Landlock and seccomp."""

    name = "sandlock"
    sleep_seconds = 10.0  # a program seems to sleep while sandlock answers a call for it

    def version(self) -> str:
        """Of the package."""
        return package_version("sandlock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settled = -math.inf
        self._owner = 0
        self._forkers: list[_Forker] = []  # the last is in use, those before wait for their programs

    def launch(self, limits: Limits) -> Peer:
        """A fresh process, forked inside. Raises LevelMissing."""
        with self._lock:
            self._settle()
            if self._owner != os.getpid():  # a forked child cannot use its parent's
                _inherited.extend(self._forkers)
                self._owner, self._forkers = os.getpid(), []
            for spent in [each for each in self._forkers if each.is_done]:
                self._forkers.remove(spent)
                spent.end()
            try:
                if not self._forkers or self._forkers[-1].is_spent:
                    self._forkers.append(_Forker())
                return self._forkers[-1].fork()
            except OSError as error:
                if self._forkers:
                    self._forkers.pop().end()
                why = f"it does not start a process: {one_line(error)}"
                raise LevelMissing(why, may_pass=True) from error

    def _settle(self) -> None:
        """Make the times of reading fresh, at the first start and again some hours later."""
        if time.monotonic() - self._settled > atimes.FRESH_SECONDS / 2:
            atimes.settle(readable(), hidden())
            self._settled = time.monotonic()


# Sandboxes of the process that this one was forked from. They are kept: sandlock's destructor would kill the
# sandbox, which is still in use there, and wait for a thread that a copy does not have.
_inherited: "list[_Forker]" = []


class _Forker:
    """One sandbox with a Python in it that forks, for as many programs as it has pairs of pipes."""

    def __init__(self) -> None:
        self._requests: list[int] = []
        self._replies: list[int] = []
        self._children: list[Forked] = []
        self._owner = os.getpid()
        self._process: Any = contextlib.nullcontext()
        with tempfile.TemporaryDirectory(prefix="k2repro-pipes-") as folder:
            held = list(self._open_pipes(folder))
            try:
                self._process = _started(folder)
                atexit.register(self.end)
                self._tell(json.dumps(child_source()))
                self._hear()  # that it is ready
            except BaseException:
                self.end()
                raise
            finally:
                for end in held:
                    os.close(end)

    @property
    def is_spent(self) -> bool:
        """Whether every pair of pipes was used."""
        return len(self._children) == _PAIRS

    @property
    def is_done(self) -> bool:
        """Whether it is spent and its programs have ended; they would not outlive it."""
        return self.is_spent and all(child.has_ended for child in self._children)

    def fork(self) -> Peer:
        """A fresh process inside. Raises OSError when the sandbox has ended."""
        at = len(self._children)
        self._tell(str(at))
        number = self._hear()
        if not number.isdigit():
            raise OSError("the sandbox has ended")
        forked = Forked(os.pidfd_open(int(number)), self._requests[at], self._replies[at])
        self._children.append(forked)
        return forked

    def end(self) -> None:
        """End the sandbox and all in it."""
        atexit.unregister(self.end)
        if self._owner != os.getpid():  # a forked copy of the one who started it
            _inherited.append(self)
            return
        with self._process:  # kills, reaps, closes
            unused = slice(len(self._children), None)
            for end in (*self._requests[unused], *self._replies[unused]):
                os.close(end)
            self._requests, self._replies = [], []

    def _open_pipes(self, folder: str) -> Iterator[int]:
        """Make named pipes and open this side of them. Yields what to hold until the other side is open."""
        for at in range(_PAIRS):
            requests, replies = f"{folder}/{at}-requests", f"{folder}/{at}-replies"
            os.mkfifo(requests, 0o600)
            os.mkfifo(replies, 0o600)
            yield os.open(requests, os.O_RDWR)  # so that the next line finds a reader
            self._requests.append(os.open(requests, os.O_WRONLY))
            self._replies.append(os.open(replies, os.O_RDONLY | os.O_NONBLOCK))

    def _tell(self, line: str) -> None:
        os.write(self._process.stdin.fileno(), f"{line}\n".encode())

    def _hear(self) -> str:
        """The next line; raises OSError when none comes."""
        ready = select.poll()
        ready.register(self._process.stdout, select.POLLIN)
        line = b""
        while not line.endswith(b"\n"):
            part = os.read(self._process.stdout.fileno(), 100) if ready.poll(1000 * START_SECONDS) else b""
            if not part:
                raise OSError("the sandbox has ended, or does not answer")
            line += part
        return line.decode().strip()


def _started(folder: str) -> Any:
    """A forker inside a sandbox. Raises LevelMissing."""
    if importlib.util.find_spec("sandlock") is None:
        raise LevelMissing("the package sandlock is not installed")
    try:
        import sandlock
    except (ImportError, OSError) as error:  # the wheel's library is for another system
        raise LevelMissing(f"sandlock does not load: {one_line(error)}") from error
    found, least = sandlock.landlock_abi_version(), sandlock.min_landlock_abi()
    if found < least:
        raise LevelMissing(f"the kernel's Landlock ABI is {found}, at least {least} is needed")
    text = Path(forker.__file__).read_text(encoding="utf-8")
    command = [python(), *PYTHON_FLAGS, "-c", text, "pipes", str(_PAIRS), folder]
    sandbox = sandlock.Sandbox(**_policy(folder))
    piped, nothing = sandlock.StdioMode.PIPED, sandlock.StdioMode.NULL
    with warnings.catch_warnings():
        # "'gid' is set but not wired": version 0.9.0 says so of the pair and sets both.
        warnings.filterwarnings("ignore", message="Policy field 'gid'")
        try:
            return sandbox.popen(command, stdin=piped, stdout=piped, stderr=nothing)
        except (OSError, RuntimeError) as error:
            why = f"sandlock does not start a process: {one_line(error)}"
            raise LevelMissing(why, may_pass=True) from error


def readable() -> list[str]:
    """Python, its standard library and its own C libraries, and the folder of the system's C library."""
    base, standard = Path(sys.base_prefix), sysconfig.get_path("stdlib")
    mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    system = [
        os.path.dirname(path) for path in re.findall(r"(/\S+/(?:libc|ld)[-.]\S*)$", mapped, re.MULTILINE)
    ]
    own = [str(path) for path in (base / "lib").glob("lib*.so*")]
    wanted = [python(), standard, "/etc/ld.so.cache", "/lib64", *own, *system]
    there = {path for path in wanted if os.path.exists(path)}
    return sorted(there | {os.path.realpath(path) for path in there})


def hidden() -> list[str]:
    """What lies below and is not for programs: installed packages, and Python's own tests."""
    return [*hidden_paths(), os.path.join(sysconfig.get_path("stdlib"), "test")]


def _policy(folder: str) -> dict[str, Any]:
    pipes = [f"{folder}/{name}" for name in os.listdir(folder)]
    policy: dict[str, Any] = {
        "chroot": "/",
        "cwd": "/",
        "fs_readable": [*readable(), *(path for path in pipes if path.endswith("requests"))],
        "fs_writable": [os.devnull, *(path for path in pipes if path.endswith("replies"))],
        "fs_denied": hidden(),
        "clean_env": True,
        "env": ENVIRONMENT,
        "max_processes": 4 * _PAIRS,  # for the forker; a program starts none
        "max_open_files": 4 * _PAIRS,
        "no_coredump": True,
        "random_seed": 0,
    }
    if os.geteuid() == 0:  # the superuser's capabilities are left outside
        policy |= {"uid": _NOBODY, "gid": _NOBODY}
    return policy
