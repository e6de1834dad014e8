"""The fast level: Monty, an interpreter for a subset of Python, in worker processes that are reused.

Monty (https://github.com/pydantic/monty) has no files, no network, no processes and no attributes
that lead out of an object, because its interpreter has none of them. A worker that dies is replaced.
"""

import atexit
import builtins
import importlib.util
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from k2repro.verify.codec import SOURCE
from k2repro.verify.level import LevelMissing, Program, Reply, one_line, package_version
from k2repro.verify.schema import Limits

# Closures again: the names a program defines are global to its whole session.
_MAKE = f"""
{SOURCE}
def k2_make():
    import json
    read, write = json.loads, json.dumps
    encode, decode = codec()
"""
_CALL = f"""{_MAKE}
    def call(function, text):
        arguments, keywords = decode(read(text))
        return write(encode(function(*arguments, **keywords)))
    return call
k2_call = k2_make()
"""
_ASK = f"""{_MAKE}
    def candidate(*arguments, **keywords):
        return decode(read(k2_ask(write(encode((arguments, keywords))))))
    return candidate
candidate = k2_make()
"""
_SEED = 0  # of the `random` module inside; a reward must not depend on luck


class MontyLevel:
    """Programs in the subset interpreter."""

    name = "monty"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[str, Any] = {}
        self._owner = 0

    def version(self) -> str:
        """Of the package."""
        return package_version("pydantic-monty")

    @contextmanager
    def open(self, limits: Limits) -> Iterator[Program]:
        """A session in a worker process of its own. Raises LevelMissing."""
        with self._session("programs", limits) as session:
            session.feed_run(_CALL)
            yield MontyProgram(session, limits)

    def check(self, code: str, candidate: Callable[[str], Reply], limits: Limits) -> Reply:
        """Run test code in a second worker; each call of `candidate` comes back to this process."""

        def ask(arguments: str) -> str:
            reply = candidate(arguments)
            if reply.reason == "value":
                return reply.value
            raise _named(reply)

        # Workers for checks are a pool of their own: a program that holds a worker waits for one of
        # these only, so threads can never wait for each other in a circle.
        with self._session("checks", limits) as session:
            session.feed_run(_ASK, external_lookup={"k2_ask": ask})
            return _feed(session, f"{code}\nNone", limits, external_lookup={"k2_ask": ask})

    @contextmanager
    def _session(self, pool: str, limits: Limits) -> Iterator[Any]:
        options: Any = {
            "limits": {
                "max_feed_duration_secs": limits.seconds,
                "max_memory": limits.memory_mb << 20,
                "max_total_sleep_secs": limits.seconds,
                "max_suspensions": 100_000,
            },
            "os_policy": {"random_start": {"seed": _SEED}, "sleep_system_max": limits.seconds},
        }
        with self._pool(pool).checkout(**options) as session:
            yield session

    def _pool(self, name: str) -> Any:
        with self._lock:
            if self._owner != os.getpid():  # a forked child cannot use its parent's workers
                self._owner, self._pools = os.getpid(), {}
            if name not in self._pools:
                self._pools[name] = _start_pool()
            return self._pools[name]


class MontyProgram:
    """One program in one session."""

    def __init__(self, session: Any, limits: Limits) -> None:
        self._session = session
        self._limits = limits
        self._left = limits.seconds

    def load(self, source: str) -> Reply:
        """Execute the source."""
        # A session hands its last expression over as a Python object: ours, not one the program chose
        # (a set of integers that collide would stall this process).
        return self._timed(f"{source}\nNone")

    def call(self, function: str, arguments: str) -> Reply:
        """Call one function of the program."""
        # The f-string makes a text of whatever the program put in the way of `k2_call`.
        reply = self._timed(f'f"{{k2_call({function}, k2_text)}}"', inputs={"k2_text": arguments})
        if reply.kind == "NameError" and f"'{function}'" in reply.detail:
            return Reply("no function", kind=reply.kind, detail=function)
        return reply

    def _timed(self, code: str, inputs: dict[str, str] | None = None) -> Reply:
        if self._left <= 0:
            return Reply("timeout", detail="the program's time was used up by the steps before")
        start = time.perf_counter()
        reply = _feed(self._session, code, self._limits, inputs)
        self._left -= time.perf_counter() - start
        # A sleep is cut short where the limit is and the program goes on: still a timeout.
        return reply if self._left > 0 else Reply("timeout", detail=f"{self._limits.seconds:g} s")


def _feed(
    session: Any,
    code: str,
    limits: Limits,
    inputs: dict[str, str] | None = None,
    external_lookup: dict[str, Any] | None = None,
) -> Reply:
    """Run a snippet; every way in which it can end, as a Reply."""
    from pydantic_monty import CollectString, MontyCrashedError, MontyError

    printed = CollectString(max_bytes=limits.output_bytes)
    try:
        value = session.feed_run(code, print_callback=printed, inputs=inputs, external_lookup=external_lookup)
    except MontyCrashedError as error:
        return Reply("timeout" if error.timed_out else "crashed", detail=one_line(error))
    except MontyError as error:
        return _failure(error.exception(), limits)
    except ValueError as error:  # the last expression is no value that Monty can hand over
        return Reply("exception", kind="ValueError", detail=one_line(error))
    if isinstance(value, str) and len(value) > limits.output_bytes:
        return Reply("output", detail=f"a value of {len(value)} bytes")
    return Reply("value", value=value if isinstance(value, str) else "null")


def _failure(error: BaseException, limits: Limits) -> Reply:
    """The reply for an exception of the program, whose class and text Monty hands over."""
    kind, text = type(error).__name__, one_line(error)
    if isinstance(error, SyntaxError):
        reason = "syntax error"
    elif isinstance(error, TimeoutError) and "limit exceeded" in text:
        reason = "timeout"
    elif isinstance(error, MemoryError):
        reason = "output" if f"> {limits.output_bytes} bytes" in text else "memory"
    elif isinstance(error, RecursionError):
        reason = "recursion"
    elif isinstance(error, PermissionError):
        reason = "forbidden"
    else:
        reason = "unsupported" if _beyond_subset(kind, text) else "exception"
    return Reply(reason, kind=kind, detail=text)


def _beyond_subset(kind: str, text: str) -> bool:
    """Whether real Python would have gone on: the program uses what Monty lacks."""
    if kind == "NotImplementedError":
        return "not yet support" in text or "not supported" in text
    if kind == "RuntimeError":
        return "not supported in this environment" in text or "in monty" in text
    if kind == "ModuleNotFoundError":
        return any(f"'{name}'" in text for name in sys.stdlib_module_names)
    if kind in ("AttributeError", "ImportError"):
        return "module '" in text or "cannot import name" in text or _builtin_attribute(text)
    return kind == "NameError" and any(f"name '{name}'" in text for name in dir(builtins))


def _builtin_attribute(text: str) -> bool:
    found = re.match(r"(?:type object )?'(\w+)'(?: object)? has no attribute '(\w+)'", text)
    return found is not None and hasattr(getattr(builtins, found[1], None), found[2])


def _named(reply: Reply) -> Exception:
    """The built-in exception that a program raised, for checks that expect it."""
    kind = getattr(builtins, reply.kind, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, UnicodeError):
        return kind(reply.detail)
    return RuntimeError(f"{reply.reason}: {reply.kind} {reply.detail}")


def _start_pool() -> Any:
    if importlib.util.find_spec("pydantic_monty") is None:
        raise LevelMissing("the package pydantic-monty is not installed")
    try:
        from pydantic_monty import Monty
    except ImportError as error:  # its library is for another system, or something that it needs is missing
        raise LevelMissing(f"pydantic-monty does not load: {one_line(error)}") from error

    try:
        pool = Monty(max_processes=os.cpu_count() or 2, max_checkouts_per_worker=1000)
        pool.__enter__()
    except (OSError, RuntimeError) as error:
        raise LevelMissing(f"the monty worker does not start: {one_line(error)}") from error
    atexit.register(_end_pool, pool, os.getpid())
    return pool


def _end_pool(pool: Any, owner: int) -> None:
    if owner == os.getpid():  # a forked copy of the one who started it would wait for ever
        pool.__exit__(None, None, None)
