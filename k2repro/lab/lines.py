"""Many small dataclasses as one file: gzip of JSON lines; equal things, equal bytes."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from k2repro.errors import K2ReproError
from k2repro.results.atomic import canonical_json, write_bytes

T = TypeVar("T")


def write_lines(path: Path, things: Iterable[Any]) -> None:
    """Write dataclasses of JSON-like fields; the file is complete or not there."""
    lines = "".join(canonical_json(asdict(each)) + "\n" for each in things)
    write_bytes(path, gzip.compress(lines.encode(), compresslevel=9, mtime=0))


def read_lines(path: Path, make: Callable[..., T]) -> list[T]:
    """What `write_lines` wrote: `make` gets the fields of a line, lists as tuples.

    Raises K2ReproError for a file that is cut short or holds something else.
    """
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        return [make(**{name: _frozen(value) for name, value in json.loads(line).items()}) for line in lines]
    except (OSError, EOFError, ValueError, TypeError, zlib.error) as error:
        raise K2ReproError(f"{path}: cannot be read ({error}); usual cause: a file cut short") from error


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value
