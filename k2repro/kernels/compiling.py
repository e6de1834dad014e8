"""How functions are compiled, and where compiled code is kept."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

HERE = Path(__file__).parent
_settings: Any = numba.config


def _digest() -> str:
    """Of the sources in this folder."""
    found = hashlib.sha256()
    for path in sorted(HERE.glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


# numba looks at the file of a function only, not at those that it calls: a name for this folder's state
# keeps code that was compiled with an older state from being taken.
_STATE = _digest()


def compiled(function: Callable[..., Any]) -> Any:
    """`function` as machine code, compiled at the first call and kept on disk; other threads run beside it.

    No fast arithmetic: how a compiler fuses or reorders depends on what it inlined where, and the same source
    gave other bits compiled than read from the cache. `fma` says what is to be fused.
    """
    before = _settings.CACHE_DIR
    folder = Path(before or HERE / "__pycache__") / _STATE
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
