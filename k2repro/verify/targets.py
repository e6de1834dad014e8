"""What attacks aim at, made for one attack and looked at after it: a file, listeners, this process."""

import os
import resource
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

_TRACES = ("/tmp", "/dev/shm", "/dev/mqueue", "/var/tmp", ".")  # where `k2repro-escape` would be left
_TRACE = "k2repro-escape"
_SECRET = "K2REPRO_SECRET"
_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})
_SETTLE_SECONDS = 3.0  # for the processes of a sandbox to be gone


class Targets:
    """A context in which an attack runs. Nothing in it is of worth."""

    def __enter__(self) -> "Targets":
        self._base = Path(tempfile.mkdtemp(prefix="k2repro-targets-"))
        self._folder = self._base / "folder"
        self._folder.mkdir(mode=0o700)
        self._file = self._folder / "file"
        self._file.write_text("of no worth", encoding="utf-8")
        self._file.chmod(0o600)
        self._link = self._folder / "link"
        self._link.symlink_to(self._file)
        self._abstract = f"k2repro-target-{secrets.token_hex(8)}"
        self._listeners = list(self._listen())
        self._key = secrets.randbelow(2**31 - 2) + 1
        os.environ[_SECRET] = "k2repro-secret"
        self._before = self._state()
        self._processes = _descendants()
        self._now = time.time()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for listener in self._listeners:
            listener.close()
        shutil.rmtree(self._base, ignore_errors=True)
        for path in _traces():
            path.unlink(missing_ok=True)
        os.environ.pop(_SECRET, None)

    def told(self) -> dict[str, Any]:
        """What the attack is told, as plain values."""
        return {
            "file": str(self._file),
            "folder": str(self._folder),
            "link": str(self._link),
            "port": self._listeners[0].getsockname()[1],
            "abstract": self._abstract,
            "socket": str(self._base / "socket"),
            "pid": os.getpid(),
            "key": self._key,
            "cwd": os.getcwd(),
            "now": self._now,
        }

    def disturbed(self) -> list[str]:
        """Names of what is no longer as it was."""
        after = self._state()
        found = [name for name, value in self._before.items() if after[name] != value]
        found += [f"heard on {name}" for name in self._heard()]
        end = time.monotonic() + _SETTLE_SECONDS
        while len(_descendants()) > len(self._processes):
            if time.monotonic() > end:
                return [*found, "a process was left behind"]
            time.sleep(0.05)
        return found

    def _listen(self) -> Iterator[socket.socket]:
        tcp = socket.create_server(("127.0.0.1", 0))
        yield tcp
        for family, kind, address in (
            (socket.AF_INET, socket.SOCK_DGRAM, tcp.getsockname()),
            (socket.AF_UNIX, socket.SOCK_STREAM, str(self._base / "socket")),
            (socket.AF_UNIX, socket.SOCK_DGRAM, str(self._base / "socket-datagram")),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self._abstract}"),
            (socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self._abstract}-datagram"),
        ):
            listener = socket.socket(family, kind)
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen()
            yield listener

    def _heard(self) -> Iterator[str]:
        for listener in self._listeners:
            listener.setblocking(False)
            try:
                if listener.type == socket.SOCK_STREAM:
                    listener.accept()[0].close()
                else:
                    listener.recv(100)
            except BlockingIOError:
                continue
            yield f"{listener.family.name} {listener.type.name}"

    def _state(self) -> dict[str, Any]:
        """All that an attack may want to change. Times of reading are left out: looking changes them."""
        return {
            "the file": (_about(self._file), self._file.read_bytes() if self._file.exists() else None),
            "its folder": (_about(self._folder), sorted(entry.name for entry in self._folder.iterdir())),
            "Python's library": _about(Path(os.__file__)),
            "files left behind": [str(path) for path in _traces()],
            "shared memory": {kind: _lines(f"/proc/sysvipc/{kind}") for kind in ("shm", "msg", "sem")},
            "limits of this process": [resource.getrlimit(number) for number in _LIMITS],
            "priority of this process": (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getaffinity(0)),
        }


def _traces() -> Iterator[Path]:
    return (path for base in _TRACES for path in Path(base).glob(f"{_TRACE}*"))


def _about(path: Path) -> tuple[Any, ...]:
    about = path.lstat()
    attributes = os.listxattr(path) if hasattr(os, "listxattr") else []
    return about.st_mode, about.st_uid, about.st_gid, about.st_nlink, about.st_mtime_ns, attributes


def _lines(path: str) -> int:
    try:
        return len(Path(path).read_text(encoding="ascii").splitlines())
    except OSError:
        return 0


def _descendants() -> set[int]:
    """Processes below this one."""
    parents = dict(_parents())
    found: set[int] = set()
    fresh = {os.getpid()}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (
                    (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()
                )
            except OSError:  # it has ended
                continue
            yield int(entry.name), int(fields[1])
