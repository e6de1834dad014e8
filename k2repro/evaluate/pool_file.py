"""Pools as files: gzip of JSON lines, a header and then one line for each problem; equal pools, equal bytes.

No time and no file name is stored. The header counts the problems, so that a file which was unpacked, cut at
a line and packed again is noticed.
"""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from k2repro.errors import K2ReproError
from k2repro.evaluate.pool import Attempts, G, Generation, Pool, Responses, Score, Scores
from k2repro.results.atomic import canonical_json, write_bytes

FORMAT = "k2repro pool 1"
# What `about["text"]` of scores says: that kinds of mistakes stand where a pool has texts.
KIND = "kind of the first mistake"
Made = TypeVar("Made")


def save_pool(pool: Responses[G], path: Path) -> Path:
    """Write a pool or scores; the file is complete or not there.

    Raises K2ReproError if `about` is not JSON-like.
    """
    header = {"format": FORMAT, "problems": len(pool), "about": dict(pool.about)}
    try:
        lines = [canonical_json(header), *(canonical_json(flat(attempts)) for attempts in pool.attempts)]
    except (TypeError, ValueError) as error:
        raise K2ReproError(f"the pool cannot be written: {error}; `about` must hold plain values") from error
    content = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=content, compresslevel=9, mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return write_bytes(path, content.getvalue())


def load_pool(path: Path) -> Pool:
    """Read a pool. Raises K2ReproError that names the file and, where it can, the line."""
    attempts, about = _load(path, Generation)
    return _named(path, lambda: Pool(attempts, about))


def load_scores(path: Path) -> Scores:
    """Read scores. Raises K2ReproError as `load_pool`, and for a pool with texts."""
    attempts, about = _load(path, Score)
    if about.get("text") != KIND:
        raise K2ReproError(f"{path}: holds responses, not the kinds of their mistakes; read it as a pool")
    return _named(path, lambda: Scores(attempts, about))


def _named(path: Path, make: Callable[[], Made]) -> Made:
    try:
        return make()
    except K2ReproError as error:
        raise K2ReproError(f"{path}: {error}") from error


def _load(path: Path, item: Callable[..., G]) -> tuple[tuple[Attempts[G], ...], dict[str, Any]]:
    """Problems and header of a file, each generation made by `item`."""
    lines = _read(path)
    values = [_parsed(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    found = values[0].get("format") if values else None
    if found != FORMAT:
        raise K2ReproError(f"{path}: its format is {found!r}, this version reads {FORMAT!r}")
    header, rows = values[0], values[1:]
    if header.get("problems") != len(rows):
        raise K2ReproError(
            f"{path}: its header says {header.get('problems')} problems, it holds {len(rows)}; usual cause: "
            "an edited file"
        )
    attempts = (_attempts(row, f"{path}, line {number}", item) for number, row in enumerate(rows, 2))
    return tuple(attempts), header.get("about", {})


def _read(path: Path) -> list[str]:
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except FileNotFoundError as error:
        raise K2ReproError(f"{path}: no such pool") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise K2ReproError(
            f"{path} is not a whole pool: {error}; usual cause: an interrupted copy: delete it, make it again"
        ) from error
    # Not splitlines(): a response may hold U+2028 or U+0085, which JSON leaves as they are.
    return text.removesuffix("\n").split("\n") if text else []


def flat(attempts: Attempts[G]) -> dict[str, Any]:
    """A problem with its generations as one line of a file."""
    rows = [
        [g.text if isinstance(g, Generation) else g.kind, g.tokens, g.finish, g.right]
        for g in attempts.generations
    ]
    return {"id": attempts.id, "tier": attempts.tier, "generations": rows}


def attempts_of(row: Mapping[str, Any], place: str) -> Attempts[Generation]:
    """The problem of a line. Raises K2ReproError that names the place."""
    return _attempts(row, place, Generation)


def _parsed(line: str, place: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise K2ReproError(f"{place}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise K2ReproError(f"{place}: must be a JSON object, got {line[:40]!r}")
    return value


def _attempts(row: Mapping[str, Any], place: str, item: Callable[..., G]) -> Attempts[G]:
    try:
        generations = tuple(item(*values) for values in row["generations"])
        return Attempts(row["id"], row["tier"], generations)
    except (KeyError, TypeError) as error:
        raise K2ReproError(
            f"{place}: must hold id, tier and generations of [text, tokens, finish, right]: {error}"
        ) from error
