"""The journal: nothing that arrived is lost by a kill, nothing is changed, another protocol is refused."""

import contextlib
import multiprocessing
import os
import random
import signal
import sqlite3
import time

import pytest
from stubs import stats, stub

from k2repro.engine.backend import Message, Request
from k2repro.engine.endpoint import EndpointBackend
from k2repro.engine.server import Endpoint
from k2repro.errors import K2ReproError
from k2repro.evaluate.journal import Journal

REQUESTS = [Request((Message("user", f"What is {number} + 1?"),), 32) for number in range(600)]


def work(url, path):
    """Ask everything that the journal does not know yet; killed in the middle."""
    with Journal(path, {"test": 1}) as journal:
        EndpointBackend(Endpoint(url, "stub"), journal=journal, concurrency=8).complete(REQUESTS)


def arrived(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        return dict(db.execute("SELECT key, content FROM events WHERE kind='arrived'"))


@pytest.mark.slow
def test_twenty_kills_lose_nothing_and_nothing_is_paid_twice(tmp_path):
    """Catches an answer that is kept in memory for a moment, and one that is asked for again after a kill."""
    path, generator = tmp_path / "journal.sqlite", random.Random(0)
    context, before = multiprocessing.get_context("fork"), {}
    with stub(slow=0.02) as url:
        for _ in range(20):
            child = context.Process(target=work, args=(url, path))
            child.start()
            more = sum(stats(url)["delivered"].values()) + generator.randint(1, 25)
            while sum(stats(url)["delivered"].values()) < more and child.is_alive():
                time.sleep(0.005)
            time.sleep(0.01 * generator.random())
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            after = arrived(path)
            assert before.items() <= after.items()
            before = after
        assert len(before) > 20
        work(url, path)
        delivered = stats(url)["delivered"]
    with Journal(path, read_only=True) as journal:
        assert journal.bills()["solver"].answers == len(REQUESTS)
        doubt = journal.in_doubt()
    assert len(delivered) == len(REQUESTS)
    # Twice only what was on its way in the moment of a kill: at most 8 requests for each.
    assert sum(delivered.values()) - len(REQUESTS) <= doubt <= 20 * 8
    with contextlib.closing(sqlite3.connect(path)) as db:
        again = (
            "SELECT COUNT(*) FROM events a JOIN events s ON s.key=a.key AND s.id>a.id WHERE a.kind='arrived'"
        )
        assert db.execute(again).fetchone() == (0,)


def test_a_journal_is_append_only_and_notices_a_changed_answer(tmp_path):
    """Catches a file whose numbers were improved by hand."""
    path = tmp_path / "journal.sqlite"
    with Journal(path, {}) as journal:
        journal.sent("k", role="solver", label="x", server="s", body={"a": 1})
        journal.arrived("k", {"choices": []}, seconds=1.0, tokens=(1, 2), cost=0.5)
        assert journal.answer("k").body == {"choices": []}
    with contextlib.closing(sqlite3.connect(path)) as db:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute("UPDATE events SET content='{}'")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute("DELETE FROM requests")
        db.execute("DROP TRIGGER events_UPDATE")
        db.execute("UPDATE events SET content='{}' WHERE kind='arrived'")
        db.commit()
    with Journal(path, read_only=True) as journal, pytest.raises(K2ReproError, match="was changed"):
        journal.answer("k")


def test_the_first_answer_counts_and_a_later_one_changes_nothing(tmp_path):
    """Catches a replay that scores another text than the run did, where a request was answered twice."""
    with Journal(tmp_path / "journal.sqlite", {}) as journal:
        journal.sent("k", role="solver", label="x", server="s", body={"a": 1})
        journal.arrived("k", {"text": "first"}, seconds=1.0, tokens=(1, 2), cost=0.5)
        digest = journal.answers_digest()
        journal.arrived("k", {"text": "second"}, seconds=2.0, tokens=(1, 3), cost=0.5)
        found = journal.answer("k")
        assert (found.body, found.seconds) == ({"text": "first"}, 1.0)
        assert journal.answers_digest() == digest
        assert (journal.bills()["solver"].answers, journal.bills()["solver"].output_tokens) == (2, 5)


def test_another_protocol_another_run_and_another_file_are_refused(tmp_path):
    """Catches answers of two protocols in one table, and two runs that pay for the same requests."""
    path = tmp_path / "journal.sqlite"
    with Journal(path, {"temperature": 1.0}), pytest.raises(K2ReproError, match="written by another run"):
        Journal(path, {"temperature": 1.0})
    with pytest.raises(K2ReproError, match=r"temperature: 1.0 there, 0.7 now"):
        Journal(path, {"temperature": 0.7})
    other = tmp_path / "notes.txt"
    other.write_text("no database at all, but long enough to be looked at " * 20)
    with pytest.raises(K2ReproError, match="not a journal"):
        Journal(other, {})
    with pytest.raises(K2ReproError, match="no such journal"):
        Journal(tmp_path / "none.sqlite", read_only=True)
