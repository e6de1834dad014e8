"""A pool on its way: one line for each graded problem, appended and flushed, so that a kill loses little."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.evaluate.pool import Attempts, Generation
from k2repro.evaluate.pool_file import attempts_of, flat
from k2repro.results.atomic import canonical_json

FORMAT = "k2repro pool journal 1"


class PoolJournal:
    """Graded problems by id, on disk as they come.

    path     None keeps them in memory only
    setting  hash of what the generations were asked with. Raises K2ReproError for a journal of another
    """

    def __init__(self, path: Path | None, setting: str) -> None:
        self.path = path
        self.known: dict[str, Attempts[Generation]] = {}
        self._header = canonical_json({"format": FORMAT, "setting": setting})
        if path is not None and path.is_file():
            self._read(path)

    def add(self, attempts: Sequence[Attempts[Generation]]) -> None:
        """Keep some problems; on disk before this returns."""
        if self.path is not None:
            lines = [] if self.path.is_file() else [self._header]
            lines += [canonical_json(flat(each)) for each in attempts]
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write("".join(f"{line}\n" for line in lines).encode())
                file.flush()
                os.fsync(file.fileno())
        self.known.update((each.id, each) for each in attempts)

    def _read(self, path: Path) -> None:
        """Take over whole lines; a last one that a kill has cut goes, and its problem is asked again."""
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))
        lines = whole.decode().removesuffix("\n").split("\n") if whole else []
        if not lines:
            path.unlink()
            return
        if lines[0] != self._header:
            raise K2ReproError(
                f"{path}: belongs to a pool with another n or seed; usual cause: one file for two pools"
            )
        for number, line in enumerate(lines[1:], 2):
            each = attempts_of(json.loads(line), f"{path}, line {number}")
            self.known[each.id] = each
