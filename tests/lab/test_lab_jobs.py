"""Jobs side by side: one thread each, results in order, errors not swallowed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from k2repro.errors import K2ReproError
from k2repro.lab.jobs import Job, report, run_jobs


def square(name, number):
    report(name, number)
    return number * number


def threads():
    import torch

    return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]


def fail(message):
    raise ValueError(message)


@pytest.mark.slow
def test_results_in_order_and_messages_by_name():
    """Catches results in order of completion, and messages that get lost at the end."""
    heard = []
    jobs = [Job(f"job {n}", square, (f"job {n}", n)) for n in range(3)]
    assert run_jobs(jobs, workers=2, listen=lambda name, message: heard.append((name, message))) == [0, 1, 4]
    assert sorted(heard) == [("job 0", 0), ("job 1", 1), ("job 2", 2)]


@pytest.mark.slow
def test_a_job_has_one_thread_and_the_caller_keeps_its_own(monkeypatch):
    """Catches two jobs with two threads each on two cores, and other bytes for other worker counts."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert run_jobs([Job("threads", threads)]) == [(1, "1")]
    assert os.environ["OMP_NUM_THREADS"] == "7"


@pytest.mark.slow
def test_an_error_in_a_job_is_raised():
    """Catches a failed training that looks finished."""
    with pytest.raises(ValueError, match="the reason"):
        run_jobs([Job("bad", fail, ("the reason",)), Job("good", square, ("good", 2))], workers=1)


def note(path, name, wanted):
    """Append a name to a file; fails when a job that has to come before is not in it yet."""
    text = path.read_text() if path.exists() else ""
    assert wanted in text, f"{name} started before {wanted}"
    path.write_text(text + name)
    return name


@pytest.mark.slow
def test_a_job_waits_for_those_before_it(tmp_path):
    """Catches a fine-tuning that starts before its base is there; the order of the list must not matter."""
    path = tmp_path / "names"
    jobs = [
        Job("third", note, (path, "third", "second"), after=("second",)),
        Job("second", note, (path, "second", "first"), after=("first",)),
        Job("first", note, (path, "first", "")),
    ]
    assert run_jobs(jobs, workers=2) == ["third", "second", "first"]
    assert path.read_text() == "firstsecondthird"


@pytest.mark.slow
def test_jobs_behind_a_failure_are_not_started(tmp_path):
    """Catches a chain that goes on from what a failed job left behind."""
    path = tmp_path / "names"
    jobs = [Job("bad", fail, ("the reason",)), Job("behind", note, (path, "behind", ""), after=("bad",))]
    with pytest.raises(ValueError, match="the reason"):
        run_jobs(jobs)
    assert not path.exists()


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([Job("a", square), Job("a", square)], "two jobs are called 'a'"),
        ([Job("a", square, after=("b",))], "unknown job that 'a' waits for 'b'"),
        ([Job("a", square, after=("b",)), Job("b", square, after=("a",))], "in a circle: a, b"),
    ],
)
def test_an_order_that_cannot_end_is_refused(jobs, message):
    """Catches a run that waits for ever."""
    with pytest.raises(K2ReproError, match=message):
        run_jobs(jobs)


def chatter(name):
    for number in range(300):
        report(name, number)
    return name


@pytest.mark.slow
def test_every_message_arrives():
    """Catches a last word that is lost when a job ends before it was read."""
    heard = []
    run_jobs([Job("a", chatter, ("a",)), Job("b", chatter, ("b",))], listen=lambda *said: heard.append(said))
    assert [number for name, number in heard if name == "a"] == list(range(300))
    assert len(heard) == 600


def wait_for_ever(path):
    path.write_text(f"{os.getpid()}")
    time.sleep(600)


KILLED = """
import pathlib, sys
sys.path.insert(0, {folder!r})
from test_lab_jobs import wait_for_ever
from k2repro.lab.jobs import Job, run_jobs
if __name__ == "__main__":
    run_jobs([Job("wait", wait_for_ever, (pathlib.Path({path!r}),))], workers=1)
"""


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    """Catches workers that hold cores and memory for ever after a killed run."""
    script, named = tmp_path / "run.py", tmp_path / "pid"
    script.write_text(KILLED.format(folder=str(Path(__file__).parent), path=str(named)))
    parent = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    try:
        _until(lambda: named.exists() and named.read_text())
        workers = psutil.Process(parent.pid).children(recursive=True)
        assert int(named.read_text()) in [worker.pid for worker in workers]
        parent.kill()
        parent.wait()
        _until(lambda: not any(_runs(worker) for worker in workers))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)


def _runs(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
