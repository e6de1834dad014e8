"""Jobs side by side: one thread each, results in order, errors not swallowed."""

import os

import pytest

from k2repro.training.jobs import Job, report, run_jobs


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
