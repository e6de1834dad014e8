"""What every sandbox level offers to the judge: open a program, call it; run checks around it."""

import functools
import importlib.metadata
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from k2repro.errors import K2ReproError
from k2repro.verify.schema import REASONS, Limits

# Reasons after which the sandboxed process cannot be asked again.
FATAL = frozenset({"timeout", "memory", "output", "crashed"})


# All that a sandboxed process can claim. "passed" is not among them: only the judge says that.
CLAIMS = frozenset(REASONS) - {"passed", "not run"} | {"value", "call", "ready"}


class LevelMissing(K2ReproError):
    """A sandbox level that this system does not offer, and why.

    may_pass: it may be there at another try, for instance when the machine is less busy.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


@dataclass(frozen=True)
class Reply:
    """What came back from a sandbox: a value as JSON text, or the reason why there is none."""

    reason: str  # "value", or a key of schema.REASONS
    value: str = "null"  # JSON text of an encoded value; hostile
    kind: str = ""  # name of the exception class
    detail: str = ""
    memory_mb: float | None = None

    def __post_init__(self) -> None:
        if self.reason not in CLAIMS:
            raise ValueError(f"a sandboxed process cannot claim {self.reason!r}")


class Program(Protocol):
    """A model's program inside a sandbox. Hostile: only its return values mean anything."""

    def load(self, source: str) -> Reply:
        """Execute the source."""

    def call(self, function: str, arguments: str) -> Reply:
        """Call one function; `arguments` is the JSON text of (positional, keywords)."""


class Level(Protocol):
    """One rung of the ladder."""

    name: str

    def version(self) -> str:
        """Version of what confines the programs."""

    def open(self, limits: Limits) -> AbstractContextManager[Program]:
        """A fresh sandbox for one program. Raises LevelMissing."""

    def check(self, code: str, candidate: Callable[[str], Reply], limits: Limits) -> Reply:
        """Run the benchmark's test code in a sandbox of its own; `candidate` asks the program."""


def one_line(text: object, most: int = 200) -> str:
    """Hostile text made fit for a terminal and a table: printable, one line, short."""
    return "".join(mark if mark.isprintable() else " " for mark in str(text)[:most]).strip()


@functools.cache
def package_version(name: str) -> str:
    """Version of an installed package, "" without it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
