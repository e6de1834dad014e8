"""Whole files or none: everything that lasts is written under a temporary name and renamed."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes) -> Path:
    """Write `content` to `path` so that no reader, and no kill, ever sees half of it.

    The temporary file lies in the same folder: a rename is atomic only inside one file system.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())  # a temporary file is the owner's alone; the result is for all
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def _umask() -> int:
    """What the user lets nobody else do. Linux tells it; elsewhere it can only be set and set back."""
    try:
        told = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(next(line.split()[1] for line in told.splitlines() if line.startswith("Umask:")), 8)
    except (OSError, StopIteration, ValueError):
        mask = os.umask(0o022)
        os.umask(mask)
        return mask


def write_text(path: Path, text: str) -> Path:
    """UTF-8 form of `write_bytes`."""
    return write_bytes(path, text.encode())


def canonical_json(value: Any) -> str:
    """One spelling for one value: sorted keys, no spaces, no NaN. Hashes are taken of this text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
