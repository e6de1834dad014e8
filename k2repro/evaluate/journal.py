"""The journal of a run on paid servers: every request before it is sent, every response as it arrives.

SQLite and not JSON lines: one commit is one system call into a write-ahead log, so a killed process loses
nothing that had arrived and leaves no half line; ten thousand responses are found by key without being
read into memory; and a second run on the same file is refused instead of paying everything twice. Rows of
the tables are never changed or removed (triggers forbid it), and each carries a digest of its content.

Keys of requests never include, and bodies never hold, an API key: headers are not written down.
"""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.results.atomic import canonical_json

FORMAT = "k2repro journal 1"
SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE requests (
    key TEXT PRIMARY KEY, role TEXT NOT NULL, label TEXT NOT NULL, server TEXT NOT NULL, body TEXT NOT NULL,
    digest TEXT NOT NULL
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, kind TEXT NOT NULL, at REAL NOT NULL, seconds REAL,
    content TEXT NOT NULL, prompt_tokens INTEGER, output_tokens INTEGER, cost REAL, digest TEXT NOT NULL
);
CREATE INDEX events_by_key ON events (key, kind);
"""
SENT, ARRIVED, FAILED = "sent", "arrived", "failed"


@dataclass(frozen=True)
class Arrived:
    """A response as the server gave it: its JSON body, and the seconds from sending to the last byte."""

    body: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Bill:
    """What one role cost so far."""

    attempts: int = 0
    answers: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


class Journal:
    """An append-only file of requests and responses; one process writes it at a time.

    path: created when it is not there. protocol: what the run asks and how, JSON-like; a file that was
    written under another protocol is refused, because its answers would be mixed with those of this one.
    read_only: for a replay; nothing is written and another process may read too.
    """

    def __init__(
        self, path: str | Path, protocol: Mapping[str, Any] | None = None, *, read_only: bool = False
    ) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        if read_only and not self.path.is_file():
            raise K2ReproError(f"{self.path}: no such journal; a replay needs the file that a run wrote")
        try:
            self._open(read_only)
            self._read_about(protocol, read_only)
        except sqlite3.Error as error:
            raise K2ReproError(_explained(self.path, error)) from error

    def _open(self, read_only: bool) -> None:
        if read_only:
            # A killed run leaves a log beside the file; reading it takes an ordinary, not a read-only, open.
            uri = f"{self.path.resolve().as_uri()}?mode=rw"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA query_only=ON")
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=1.0)
        # The log survives the kill of the process at any moment; only a power cut may lose the last commits.
        for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
            self._db.execute(f"PRAGMA {setting}")
        self._db.execute("BEGIN EXCLUSIVE")
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name='about'").fetchone():
            for statement in filter(str.strip, SCHEMA.split(";")):
                self._db.execute(statement)
            for table in ("requests", "events", "about"):
                for change in ("UPDATE", "DELETE"):
                    self._db.execute(
                        f"CREATE TRIGGER {table}_{change} BEFORE {change} ON {table} "
                        "BEGIN SELECT RAISE(ABORT, 'a journal is append-only'); END"
                    )
        self._db.execute("COMMIT")

    def _read_about(self, protocol: Mapping[str, Any] | None, read_only: bool) -> None:
        about = dict(self._db.execute("SELECT name, value FROM about"))
        if not about:
            if read_only:
                raise K2ReproError(f"{self.path} is an empty journal: the run wrote nothing")
            entries = {"format": FORMAT, "protocol": canonical_json(dict(protocol or {}))}
            self._db.executemany("INSERT INTO about VALUES (?, ?)", list(entries.items()))
            about = entries
        if about.get("format") != FORMAT:
            raise K2ReproError(
                f"{self.path}: its format is {about.get('format')!r}, this version reads {FORMAT!r}"
            )
        self.protocol: dict[str, Any] = json.loads(about["protocol"])
        if protocol is not None:
            self.check(protocol)

    def check(self, protocol: Mapping[str, Any]) -> None:
        """Raise K2ReproError, with what differs, unless this is the protocol of the file."""
        _same_protocol(self.path, self.protocol, json.loads(canonical_json(dict(protocol))))

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Fold the log into the file and let others open it."""
        with self._lock:
            self._db.close()

    # ---- writing ----------------------------------------------------------------------------------

    def sent(
        self,
        key: str,
        *,
        role: str,
        label: str,
        server: str,
        body: Mapping[str, Any],
        without: Sequence[str] = (),
    ) -> None:
        """A request is about to leave; called before each attempt.

        without: keys of the body that are left out because the server has refused them.
        """
        text = canonical_json(dict(body))
        values = (key, role, label, server, text, _digest(key, text))
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO requests VALUES (?, ?, ?, ?, ?, ?)", values)
            self._event(key, SENT, ", ".join(without))

    def arrived(
        self, key: str, body: Mapping[str, Any], *, seconds: float, tokens: tuple[int, int], cost: float
    ) -> None:
        """A response is here, whole. tokens: (prompt, output) as they go on the bill."""
        with self._writing():
            self._event(key, ARRIVED, canonical_json(dict(body)), seconds, *tokens, cost)

    def failed(self, key: str, error: str, *, seconds: float) -> None:
        """An attempt came to nothing, or all of them did."""
        with self._writing():
            self._event(key, FAILED, error, seconds)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time; a disk that takes nothing more ends the run in one line."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise K2ReproError(
                    f"{self.path} cannot be written: {error}. Usual cause: a full disk, or a quota. All that "
                    "had arrived before is kept; make room, and the same command goes on from there"
                ) from error

    def _event(
        self,
        key: str,
        kind: str,
        content: str,
        seconds: float | None = None,
        prompt_tokens: int | None = None,
        output_tokens: int | None = None,
        cost: float | None = None,
    ) -> None:
        self._db.execute(
            "INSERT INTO events (key, kind, at, seconds, content, prompt_tokens, output_tokens, cost, digest)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key,
                kind,
                time.time(),
                seconds,
                content,
                prompt_tokens,
                output_tokens,
                cost,
                _digest(key, content),
            ),
        )

    # ---- reading ----------------------------------------------------------------------------------

    def answer(self, key: str) -> Arrived | None:
        """The response to a request, the first that arrived; None if there is none yet.

        Raises K2ReproError when the stored text does not fit its digest.
        """
        with self._lock:
            found = self._db.execute(
                "SELECT content, seconds, digest FROM events WHERE key=? AND kind=? ORDER BY id LIMIT 1",
                (key, ARRIVED),
            ).fetchone()
        if found is None:
            return None
        content, seconds, digest = found
        if _digest(key, content) != digest:
            raise K2ReproError(f"{self.path}: the response to request {key} was changed after it was written")
        return Arrived(json.loads(content), float(seconds))

    def last_failure(self, key: str) -> str:
        """Why the last attempt of a request failed; empty when none did."""
        with self._lock:
            found = self._db.execute(
                "SELECT content FROM events WHERE key=? AND kind=? ORDER BY id DESC LIMIT 1", (key, FAILED)
            ).fetchone()
        return found[0] if found else ""

    def bills(self) -> dict[str, Bill]:
        """What each role cost: attempts sent, answers that came, tokens and money."""
        query = """SELECT r.role, SUM(e.kind='sent'), SUM(e.kind='arrived'),
            COALESCE(SUM(e.prompt_tokens), 0), COALESCE(SUM(e.output_tokens), 0), COALESCE(SUM(e.cost), 0.0)
            FROM events e JOIN requests r ON r.key = e.key GROUP BY r.role ORDER BY r.role"""
        with self._lock:
            return {role: Bill(*values) for role, *values in self._db.execute(query)}

    def in_doubt(self) -> int:
        """Attempts that were sent and neither answered nor failed: on their way when a run was killed.

        The server may have billed them; their answers are lost, so they are asked again.
        """
        query = "SELECT SUM(kind='sent') - SUM(kind<>'sent') FROM events"
        with self._lock:
            return int(self._db.execute(query).fetchone()[0] or 0)

    def requests(self) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
        """(key, role, label, body) of every request, in the order in which they were first sent."""
        with self._lock:
            found = self._db.execute("SELECT key, role, label, body FROM requests ORDER BY rowid").fetchall()
        for key, role, label, body in found:
            yield key, role, label, json.loads(body)

    def answers_digest(self, without: str = "") -> str:
        """16 hexadecimal digits over all first answers, in whatever order they came; a label is left out."""
        total = hashlib.sha256()
        query = """SELECT e.key, e.digest FROM events e JOIN requests r ON r.key = e.key
            WHERE e.kind='arrived' AND r.label <> ? GROUP BY e.key HAVING e.id=MIN(e.id) ORDER BY e.key"""
        with self._lock:
            for key, digest in self._db.execute(query, (without,)):
                total.update(f"{key} {digest}\n".encode())
        return total.hexdigest()[:16]


def _digest(key: str, content: str) -> str:
    return hashlib.sha256(f"{key}\n{content}".encode()).hexdigest()[:16]


def _same_protocol(path: Path, known: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    names = sorted(name for name in {*known, *asked} if known.get(name) != asked.get(name))
    if names:
        changes = "; ".join(f"{name}: {known.get(name)!r} there, {asked.get(name)!r} now" for name in names)
        raise K2ReproError(
            f"{path} is the journal of another protocol ({changes}). Continue with the same settings, or "
            "give this run a folder of its own"
        )


def _explained(path: Path, error: sqlite3.Error) -> str:
    if "locked" in str(error):
        return f"{path} is being written by another run; two runs would pay for the same requests twice"
    return f"{path} is not a journal that can be read: {error}. Usual cause: another file of that name"
