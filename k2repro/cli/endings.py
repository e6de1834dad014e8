"""How a command ends when something is wrong: one line that names the cause, and an exit code.

0 done · 1 done, and something does not hold · 2 bad input, or this machine refuses · 130 Ctrl-C
143 ended from outside
An exception that is none of these is a fault of ours: its traceback is kept.
"""

import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from k2repro.errors import K2ReproError

USAGE_ERROR = 2
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM
GO_ON = "run the same command again to go on where it was"
# What a machine refuses, with the usual cause; every other OSError is a fault of ours.
REFUSALS = {
    errno.ENOSPC: "the disk is full. Free some space; what was finished is kept",
    errno.EDQUOT: "your disk quota is used up. Free some space; what was finished is kept",
    errno.EROFS: "this folder is read-only. Usual cause: a shared checkout; copy it, or clone your own",
    errno.EACCES: "you may not write or read there. Usual cause: a checkout that belongs to someone else",
    errno.EPERM: "you may not do this there. Usual cause: a checkout that belongs to someone else",
    errno.EMFILE: "too many open files. Usual cause: a low limit; try `ulimit -n 1024`",
    errno.ENFILE: "the machine has too many open files",
    errno.ENOMEM: "the machine has no memory left",
}


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived: end as Ctrl-C does, so that children are stopped and files are whole."""


def run_to_exit_code(run: Callable[[], int]) -> int:
    """Run a command; every error of the user, of the installation or of the machine becomes one line."""
    _prepare_streams()
    try:
        with _ended_by_signals():
            code = run()
        sys.stdout.flush()
        return code
    except K2ReproError as error:
        return _end(str(error), USAGE_ERROR)
    except KeyboardInterrupt:
        return _end(f"stopped; {GO_ON}", INTERRUPTED)
    except Terminated:
        return _end(f"ended by the system or another program; {GO_ON}", TERMINATED)
    except BrokenPipeError:
        # The reader (head, less) went away: not an error of ours.
        _discard(sys.stdout)
        return 0
    except ModuleNotFoundError as error:
        return _end(_missing(error), USAGE_ERROR)
    except MemoryError:
        return _end("not enough memory for this; ask for less, or close other programs", USAGE_ERROR)
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        return _end(f"{place}{REFUSALS[error.errno]}", USAGE_ERROR)


def _prepare_streams() -> None:
    """Speak on every terminal: what an encoding lacks is printed as ?, a closed stream is no error."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Inside, what asks a process to end raises Terminated; afterwards the old handlers are back."""

    def terminate(number: int, frame: object) -> None:
        raise Terminated

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What was ignored on purpose (nohup) stays ignored.
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, terminate)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(message: str, code: int) -> int:
    try:
        sys.stderr.write(f"k2repro: {message}\n")
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)  # nobody listens; the exit code still says it
    try:
        sys.stdout.flush()
    except OSError:
        _discard(sys.stdout)  # a full disk or a reader that went away: Python would complain once more
    return code


def _discard(stream: object) -> None:
    """Send what is still buffered nowhere, so that the end of the process does not fail on it."""
    fileno = getattr(stream, "fileno", None)
    if fileno is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), fileno())


def _missing(error: ModuleNotFoundError) -> str:
    """Which extra brings a missing library; a missing module of our own is a fault and is raised."""
    library = (error.name or "").split(".")[0]
    if library in ("", "k2repro"):
        raise error
    extra = extra_of(library)
    return (
        f"this needs {library}, which is not installed; it comes with the extra k2repro[{extra}]. "
        "In a checkout, `make setup` installs everything"
    )


def extra_of(library: str) -> str:
    """The extra of this package that asks for a library; "all" when none does by name."""
    from importlib import metadata  # a tenth of a second that other commands need not wait

    wanted = _plain_name(library)
    for requirement in metadata.requires("k2repro") or []:
        name, _, condition = requirement.partition(";")
        extra = re.search(r"extra == ['\"]([^'\"]+)['\"]", condition)
        if (
            extra
            and extra[1] not in ("all", "dev")
            and _plain_name(re.split(r"[ \[<>=!~]", name)[0]) == wanted
        ):
            return extra[1]
    return "all"


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
