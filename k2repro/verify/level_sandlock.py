"""Real CPython under Landlock and seccomp: the sandlock package (Linux with Landlock ABI 6 or later).

No file but Python's own library is readable and none writable, no network, no second process
(https://github.com/multikernel/sandlock). Landlock does not cover a file's metadata. So `chroot` is set, to
the root that there is anyway: sandlock then answers every call that takes a path itself, and shows a program
no path that it may not read. The system-call filter refuses to change metadata, and `atimes` sees to it that
to read changes none. For its sake little is readable: Python's own files and the C library's folder.
"""

import importlib.util
import math
import os
import re
import sys
import sysconfig
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from k2repro.verify import atimes
from k2repro.verify.level import LevelMissing, one_line, package_version
from k2repro.verify.level_cpython import (
    ENVIRONMENT,
    PYTHON_FLAGS,
    CPythonLevel,
    child_source,
    hidden_paths,
    python,
)
from k2repro.verify.schema import Limits
from k2repro.verify.talk import Peer

_NOBODY = 65534


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

    def launch(self, limits: Limits) -> Peer:
        """A fresh Python, confined. Raises LevelMissing."""
        if importlib.util.find_spec("sandlock") is None:
            raise LevelMissing("the package sandlock is not installed")
        try:
            import sandlock
        except OSError as error:  # the wheel's library is for another system
            raise LevelMissing(f"sandlock does not load: {one_line(error)}") from error
        found, least = sandlock.landlock_abi_version(), sandlock.min_landlock_abi()
        if found < least:
            raise LevelMissing(f"the kernel's Landlock ABI is {found}, at least {least} is needed")
        self._settle()
        command = [python(), *PYTHON_FLAGS, "-c", child_source()]
        sandbox = sandlock.Sandbox(**_policy(limits))
        piped, nothing = sandlock.StdioMode.PIPED, sandlock.StdioMode.NULL
        with warnings.catch_warnings():
            # "'gid' is set but not wired": version 0.9.0 says so of the pair and sets both.
            warnings.filterwarnings("ignore", message="Policy field 'gid'")
            try:
                return _Process(sandbox.popen(command, stdin=piped, stdout=piped, stderr=nothing))
            except (OSError, RuntimeError) as error:
                why = f"sandlock does not start a process: {one_line(error)}"
                raise LevelMissing(why, may_pass=True) from error

    def _settle(self) -> None:
        """Make the times of reading fresh, at the first start and again some hours later."""
        with self._lock:
            if time.monotonic() - self._settled > atimes.FRESH_SECONDS / 2:
                atimes.settle(readable(), hidden())
                self._settled = time.monotonic()


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


def _policy(limits: Limits) -> dict[str, Any]:
    policy: dict[str, Any] = {
        "chroot": "/",
        "cwd": "/",
        "fs_readable": readable(),
        "fs_writable": [os.devnull],
        "fs_denied": hidden(),
        "clean_env": True,
        "env": ENVIRONMENT,
        # A backstop: the child's own limit on its address space comes first and gives a MemoryError.
        "max_memory": 2 * limits.memory_mb << 20,
        "max_processes": 1,
        "max_open_files": 64,
        "no_coredump": True,
        "random_seed": 0,
    }
    if os.geteuid() == 0:  # the superuser's capabilities are left outside
        policy |= {"uid": _NOBODY, "gid": _NOBODY}
    return policy


class _Process(Peer):
    def __init__(self, process: Any) -> None:
        self._process = process
        self.pid = process.pid
        self.stdin = process.stdin.fileno()
        self.stdout = process.stdout.fileno()
        self._ended: str | None = None

    def end(self, grace: float = 0.0) -> str:
        if self._ended is None:
            import sandlock

            # A process that sandlock killed for its memory is told from one that we kill here.
            result = self._process.wait(timeout=max(grace, 0.001))
            killed = result.reason is sandlock.ExitReason.KILLED
            self._ended = "memory" if killed else ""
            self._process.stdout.close()
        return self._ended
