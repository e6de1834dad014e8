"""Two runs in one checkout: the second one waits and says for whom, and a dead holder blocks nobody."""

import os
import signal
import subprocess
import sys

from k2repro.results import Places
from k2repro.results.locking import alone

HOLDER = """
import sys, time
from pathlib import Path
from k2repro.results.locking import alone
with alone(Path(sys.argv[1]), "a specimen", print):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder(path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_the_second_waits_and_says_for_whom(tmp_path):
    """Catches two runs that take each other's files away, and one that hangs without a word."""
    path = tmp_path / "locks" / "smoke"
    with alone(path, "a specimen", print):
        second = holder(path)
        said = second.stdout.readline()
        assert said == f"a specimen is going on already (process {os.getpid()}); waiting for it to end\n"
        assert second.poll() is None
    assert second.stdout.readline() == "held\n"
    second.communicate("go\n")
    assert second.returncode == 0


def test_a_killed_holder_blocks_nobody(tmp_path):
    """Catches a lock file that somebody has to delete by hand after a power cut."""
    path = tmp_path / "smoke"
    first = holder(path)
    assert first.stdout.readline() == "held\n"
    first.send_signal(signal.SIGKILL)
    first.communicate()
    said: list[str] = []
    with alone(path, "a specimen", said.append):
        assert said == []


def test_reproduce_takes_the_lock(tmp_path):
    """Catches `make reproduce` twice at once in one checkout, which once broke both."""
    places = Places.find()
    with alone(places.cache / "locks" / "smoke", "a run", print):
        second = subprocess.Popen(
            [sys.executable, "-m", "k2repro", "reproduce", "--profile", "smoke"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=places.root,
        )
        try:
            assert "a run of profile smoke is going on already" in second.stdout.readline()
        finally:
            second.kill()
            second.communicate()


def test_a_checkout_that_is_only_read_leaves_a_place_to_write(monkeypatch):
    """Catches notebooks of a shared class folder that fail at their last cell, when rows are saved."""
    places = Places.find()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert not places.cache.is_relative_to(places.root)
    assert places.results("laptop").is_relative_to(places.root), "what ships is still read from the checkout"
