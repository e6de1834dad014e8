"""How functions are compiled, and where compiled code is kept."""

import ast
import hashlib
from collections.abc import Callable
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
        for node in ast.walk(ast.parse(path.read_text())):
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
    folder = Path(before or HERE / "__pycache__") / _state(Path(function.__code__.co_filename))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _settings.CACHE_DIR = str(folder)
    except OSError:
        # An installation that is only read: numba finds a folder of the user.
        _settings.CACHE_DIR = before
    try:
        return numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    finally:
        _settings.CACHE_DIR = before
