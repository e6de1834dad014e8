"""A process that a forker started inside a sandbox, as its parent outside holds it."""

import contextlib
import os
import re
import select
import signal
from pathlib import Path

from k2repro.verify.talk import Peer

_END_SECONDS = 5.0  # for a killed process to be gone


class Forked(Peer):
    """Two pipe ends, and a descriptor that stands for the process (pidfd_open)."""

    def __init__(self, handle: int, stdin: int, stdout: int) -> None:
        self._handle, self.stdin, self.stdout = handle, stdin, stdout
        about = Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="ascii")
        self.pid = int(re.findall(r"^Pid:\s*(-?\d+)", about, re.MULTILINE)[0])

    @property
    def has_ended(self) -> bool:
        """Whether `end` was called."""
        return self._handle < 0

    def end(self, grace: float = 0.0) -> str:
        """Kill, wait until it is gone, close. How the process had ended is not known."""
        if self._handle < 0:
            return ""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        gone = select.poll()
        gone.register(self._handle, select.POLLIN)
        gone.poll(1000 * _END_SECONDS)
        for descriptor in (self._handle, self.stdin, self.stdout):
            os.close(descriptor)
        self._handle = -1
        return ""
