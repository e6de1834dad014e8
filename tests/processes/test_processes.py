"""Children of ours: the threads they get, and that they end with us."""

import os
import signal
import subprocess
import sys
import time

import pytest

from k2repro.errors import K2ReproError
from k2repro.processes import THREAD_VARIABLES, environment, start, thread_variables

ECHO = "import os; print(os.environ['OPENBLAS_NUM_THREADS'], os.environ['OMP_NUM_THREADS'])"
# A child that would run for a minute, as a measurement does, and says its number first.
CHILD = """
import os, sys, time
from k2repro.processes import end_with_parent
sys.stdin.readline()
{watch}
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = """
import sys, time
from k2repro.processes import start
child = start([sys.executable, "-c", {child!r}], 1)
child.stdin.write("work\\n")
child.stdin.flush()
print(child.stdout.readline(), flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not collected does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def grandchild_survives(watch: str) -> bool:
    """Kill a parent the hard way, and look whether its child goes on."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(child=CHILD.format(watch=watch))],
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + (20 if watch else 2)
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    survived = is_alive(child)
    if survived:
        os.kill(child, signal.SIGKILL)
    return survived


def test_a_child_gets_its_threads_and_nothing_else_changes():
    """Catches a BLAS that takes every core of a shared laptop, or a parent whose own variables changed."""
    before = dict(os.environ)
    with start([sys.executable, "-c", ECHO], 3) as child:
        assert child.stdout.read().split() == ["3", "3"]
    assert dict(os.environ) == before


def test_the_environment_comes_back_after_an_error():
    """Catches thread counts of a failed job left behind for everything that runs later."""
    os.environ.pop("K2REPRO_SPECIMEN", None)
    with pytest.raises(RuntimeError), environment({"K2REPRO_SPECIMEN": "1", **thread_variables(7)}):
        assert os.environ["OMP_NUM_THREADS"] == "7"
        raise RuntimeError
    assert "K2REPRO_SPECIMEN" not in os.environ
    assert os.environ.get("OMP_NUM_THREADS") != "7"


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads_are_refused(threads):
    """Catches OMP_NUM_THREADS=0, which one library reads as one and the next as all."""
    with pytest.raises(K2ReproError, match="at least 1"):
        thread_variables(threads)


def test_every_library_is_told():
    """Catches a variable forgotten: the library that reads it would use all cores."""
    assert set(thread_variables(2)) == set(THREAD_VARIABLES)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="looks for processes in /proc")
def test_a_child_ends_when_its_parent_is_killed():
    """Catches a measurement with 5 GB of weights that runs on after `kill -9`; the twin does not watch."""
    assert not grandchild_survives("end_with_parent(sys.stdin)")
    assert grandchild_survives("")
