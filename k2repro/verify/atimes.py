"""Times of reading, which would let one program tell the next what it read.

To read a file changes its time of last access, unless the file system leaves that out. With the usual
`relatime` it changes only where it is older than the last change, or than a day. So whoever makes the times
of all readable files fresh first can be sure that no program changes one of them for hours.
"""

import contextlib
import os
import time
from collections.abc import Iterable, Iterator

from k2repro.verify.level import LevelMissing

FRESH_SECONDS = 20 * 3600.0  # for which no time changes: a day, less the age that we let pass as fresh
_NEVER = os.ST_NOATIME | os.ST_RDONLY
_RELATIVE = getattr(os, "ST_RELATIME", 4096)


def settle(paths: Iterable[str], left_out: Iterable[str]) -> None:
    """Make the times of all entries at and below `paths` such that reading no longer changes them for hours.

    left_out: paths that are not readable after all. Raises LevelMissing where each reading is recorded.
    """
    for path in paths:
        flags = os.statvfs(path).f_flag
        if flags & _NEVER:
            continue
        if not flags & _RELATIVE:
            raise LevelMissing(
                f"the file system of {path} records each reading, so a program could leave a message there; "
                "usual remedy: mount it with relatime or noatime"
            )
        for entry in _below(path, frozenset(left_out)):
            _read_if_stale(entry)


def _below(path: str, left_out: frozenset[str]) -> Iterator[str]:
    if path in left_out:
        return
    yield path
    if os.path.isdir(path) and not os.path.islink(path):
        with contextlib.suppress(PermissionError):
            for name in os.listdir(path):
                yield from _below(os.path.join(path, name), left_out)


def _read_if_stale(path: str) -> None:
    about = os.lstat(path)
    oldest = time.time() - (86_400.0 - FRESH_SECONDS)
    if about.st_atime > max(about.st_mtime, about.st_ctime, oldest):
        return
    with contextlib.suppress(OSError):  # what we may not read, a program may not either
        if os.path.islink(path):
            os.readlink(path)
        elif os.path.isdir(path):
            os.listdir(path)
        elif os.path.isfile(path):
            with open(path, "rb", buffering=0) as file:
                file.read(1)
