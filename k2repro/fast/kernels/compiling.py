"""How functions are compiled, and where compiled code is kept."""

import ast
import getpass
import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba

HERE = Path(__file__).parent
_settings: Any = numba.config


def _sources(start: Path) -> set[Path]:
    """`start` and the files of this folder that it imports, directly or through others.

    From anywhere else (a test, a notebook), all files of this folder count.
    """
    if start.parent != HERE:
        return set(HERE.glob("*.py"))
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = [(node.module or "").rpartition(".")[2], *(alias.name for alias in node.names)]
                waiting += [file for name in names if (file := HERE / f"{name}.py").is_file()]
    return found


@cache
def _state(start: Path) -> str:
    """Digest of `_sources`.

    numba looks at the file of a function only, not at those that it calls: a name for their state keeps code
    that was compiled with an older one from being taken.
    """
    found = hashlib.sha256()
    for path in sorted(_sources(start)):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


def compiled(function: Callable[..., Any]) -> Any:
    """`function` as machine code, compiled at the first call and kept on disk; other threads run beside it.

    No fast arithmetic: how a compiler fuses or reorders depends on what it inlined where, and the same source
    gave other bits compiled than read from the cache. `fma` says what is to be fused.

    Named tuples that such a function takes are declared in this folder: the cache names their modules, and
    one that has moved without a new state could not be read.
    """
    before = _settings.CACHE_DIR
    try:
        for folder in _folders(before, _state(Path(function.__code__.co_filename))):
            dispatcher = _cached(function, folder)
            if dispatcher is not None:
                return dispatcher
        return numba.njit(nogil=True, error_model="numpy")(function)  # compiled anew by every process
    finally:
        _settings.CACHE_DIR = before


def _folders(before: str, state: str) -> Iterator[str]:
    """Where compiled code may be kept: beside the sources, where numba finds a place (""), with this user."""
    yield str(Path(before or HERE / "__pycache__") / state)
    yield ""
    own = _folder_of_this_user()
    if own is not None:
        yield str(own / state)


def _folder_of_this_user() -> Path | None:
    """A folder in the temporary one, for where neither checkout nor HOME can be written; None without it.

    What lies there is run, so it has to be ours alone: anybody may make a folder in a shared /tmp.
    """
    folder = Path(tempfile.gettempdir()) / f"k2repro-{getpass.getuser()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.stat()
    except OSError:
        return None
    ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return folder if ours and not found.st_mode & 0o022 else None


def _cached(function: Callable[..., Any], folder: str) -> Any:
    """The function, to be compiled once and kept in `folder`; None where that cannot be written."""
    try:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
        _settings.CACHE_DIR = folder
        dispatcher = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    except (OSError, RuntimeError):  # numba's "no locator available"
        return None
    _forgive_damage(dispatcher)
    return dispatcher


def _forgive_damage(dispatcher: Any) -> None:
    """Let a cache file that cannot be read count as none: it is dropped and the function compiled anew.

    numba writes without fsync, so that a power cut leaves short files, and then raises EOFError from every
    call until somebody finds and deletes them (numba issue 10434).
    """
    cache = dispatcher._cache
    load = cache.load_overload

    def load_or_forget(signature: Any, target: Any) -> Any:
        try:
            return load(signature, target)
        except (EOFError, pickle.UnpicklingError, ValueError, LookupError, TypeError, AttributeError):
            cache.flush()
            return None

    cache.load_overload = load_or_forget
