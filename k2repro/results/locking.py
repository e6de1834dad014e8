"""One at a time: a lock that the system takes back when its holder dies, and that says for whom it waits."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_EVERY_S = 0.2
# File systems of some shares cannot lock; then two at once are as likely to meet as before there was a lock.
CANNOT_LOCK = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
Say = Callable[[str], None]


@contextmanager
def alone(path: Path, what: str, say: Say) -> Iterator[None]:
    """Hold the lock file `path` for the block; whoever comes second waits, and says so once.

    what: what is being done, for the message, such as "a run of profile smoke".
    """
    import fcntl  # not on Windows, where a wheel can still emulate and print claims

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    say(f"{what} is going on already{_holder(path)}; waiting for it to end")
                    told = True
                time.sleep(LOOK_EVERY_S)
            except OSError as error:
                if error.errno not in CANNOT_LOCK:
                    raise
                break
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _holder(path: Path) -> str:
    number = path.read_text(encoding="utf-8").strip()
    return f" (process {number})" if number.isdigit() else ""
