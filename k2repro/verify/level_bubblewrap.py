"""Real CPython in namespaces of its own: bubblewrap, with resource limits and a system-call filter.

The process sees a read-only root that holds Python and nothing else, no network, no other process
(https://github.com/containers/bubblewrap). Namespaces do not limit how many processes a superuser
starts, so a filter refuses every way to start one.
"""

import os
import platform
import shutil
import struct
import subprocess

from k2repro.verify.level import LevelMissing, one_line
from k2repro.verify.level_cpython import CPythonLevel, hidden_paths, readable_paths
from k2repro.verify.schema import Limits
from k2repro.verify.talk import Peer, PipedPeer

_NOBODY = "65534"
# AUDIT_ARCH_* of linux/audit.h, and the numbers of fork, vfork, clone, clone3, ptrace, unshare,
# setns, io_uring_setup of that architecture (arm64 has neither fork nor vfork).
_REFUSED = {
    "x86_64": (0xC000003E, (57, 58, 56, 435, 101, 272, 308, 425)),
    "aarch64": (0xC00000B7, (220, 435, 117, 97, 268, 425)),
}
_X32 = 0x40000000  # from here on, x86-64 accepts a second set of numbers for the same calls
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # SECCOMP_RET_*; 1 is EPERM
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF instructions


class BubblewrapLevel(CPythonLevel):
    """Programs in CPython, in namespaces without anything in them."""

    name = "bubblewrap"

    def launch(self, command: list[str], limits: Limits) -> Peer:
        """Start `command` in its own namespaces. Raises LevelMissing."""
        program = shutil.which("bwrap")
        if program is None:
            raise LevelMissing("the program bwrap (Debian package bubblewrap) is not installed")
        if platform.machine() not in _REFUSED:
            raise LevelMissing(f"no system-call filter for the processor {platform.machine()!r}")
        rules = os.memfd_create("rules")
        os.write(rules, seccomp_filter(platform.machine()))
        os.lseek(rules, 0, os.SEEK_SET)
        try:
            process = subprocess.Popen(
                [program, *_options(rules), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                pass_fds=(rules,),
                env={},
            )
        except OSError as error:
            raise LevelMissing(f"bwrap does not start: {one_line(error)}") from error
        finally:
            os.close(rules)
        return PipedPeer(process)  # --die-with-parent takes the whole namespace along


def _options(rules: int) -> list[str]:
    options = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    options += ["--uid", _NOBODY, "--gid", _NOBODY, "--hostname", "sandbox", "--seccomp", str(rules)]
    for path in readable_paths():
        options += ["--ro-bind-try", path, path]
    for path in hidden_paths():
        options += ["--tmpfs", path, "--remount-ro", path]
    options += ["--dev-bind", os.devnull, os.devnull, "--remount-ro", "/", "--chdir", "/"]
    return [*options, "--setenv", "PYTHONHASHSEED", "0"]


def seccomp_filter(machine: str) -> bytes:
    """A BPF program (linux/filter.h) that refuses to start processes or to enter namespaces.

    machine: as `platform.machine()` says. seccomp_data is {int nr; u32 arch; ...}.
    """
    architecture, numbers = _REFUSED[machine]
    count = len(numbers)
    steps = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, count + 1, 0, _X32),
        *((_EQUAL, count - at, 0, number) for at, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
