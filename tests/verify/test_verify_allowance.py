"""What a program is charged for: running and sleeping, not waiting for a processor."""

import os
import signal
import subprocess
import sys
import time

import pytest

from k2repro.verify.allowance import ProcessorTime, WallClock

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's clocks")


@pytest.fixture
def running(request):
    """A Python process that runs the marked code after it has said that it is there."""
    code = f"print(1, flush=True)\n{request.param}"
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def wait(allowance, seconds: float) -> tuple[str, str] | None:
    """Look until it is used up, or for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(allowance.patience())
        if stop := allowance.used_up():
            return stop
    return None


BUSY, ASLEEP = "while True: pass", "import time\ntime.sleep(60)"


@pytest.mark.parametrize("running", [BUSY], indirect=True)
def test_a_process_that_does_not_get_a_processor_is_not_charged(running):
    """Catches a limit that shrinks with the machine's load. Its wrong twin, a clock on the wall, runs out."""
    os.kill(running.pid, signal.SIGSTOP)  # as one that waits for its turn: neither running nor asleep
    time.sleep(0.1)
    allowance, twin = ProcessorTime(running.pid, 0.2, sleep=0.0), WallClock(0.2)
    allowance.begin()
    twin.begin()
    assert wait(allowance, 1.0) is None
    assert twin.used_up() == ("timeout", "")
    os.kill(running.pid, signal.SIGCONT)
    assert wait(allowance, 60.0) == ("timeout", "0.2 s of processor time")


@pytest.mark.parametrize("running", [ASLEEP], indirect=True)
def test_a_process_that_sleeps_is_charged(running):
    """Catches a program that holds a worker for ever and uses no processor."""
    allowance = ProcessorTime(running.pid, 0.2, sleep=0.1)
    allowance.begin()
    assert wait(allowance, 60.0) == ("timeout", "asleep")


@pytest.mark.parametrize("running", [ASLEEP], indirect=True)
def test_the_time_between_questions_is_the_parents(running):
    """Catches a program that is charged for waiting until its judge asks the next question."""
    allowance = ProcessorTime(running.pid, 0.2, sleep=0.0)
    time.sleep(0.5)
    allowance.begin()
    assert allowance.used_up() is None


@pytest.mark.parametrize("running", [BUSY], indirect=True)
def test_an_answer_that_came_too_late_does_not_count(running):
    """Catches a verdict that depends on when the judge happened to look."""
    allowance = ProcessorTime(running.pid, 0.05)
    allowance.begin()
    while time.clock_gettime((~running.pid << 3) | 2) < 0.5:
        time.sleep(0.05)
    assert allowance.used_up(answered=True) == ("timeout", "0.05 s of processor time")
    clock = WallClock(0.0)
    clock.begin()
    assert clock.used_up(answered=True) is None
