"""The side-by-side timing with TRL: both sides really run, on the work that it says."""

import pytest

from k2repro.bench.rlvr import Steps, bench_rlvr


@pytest.mark.slow
def test_bench_times_both_sides():
    """Catches a bench that breaks with a release of TRL, or compares different work."""
    records = bench_rlvr(repeats=1, prompts=2, group_size=2, prompt_tokens=4, new_tokens=8)
    assert [(r["lengths"], r["job"]) for r in records] == [
        (lengths, job) for lengths in ("equal", "mixed") for job in ("step", "sampling", "update")
    ]
    assert all(record["ratio"] > 0 and record["peer"] == "trl 1.16.0" for record in records)


def test_times_are_for_each_token_and_without_the_warm_up():
    """Catches a ratio that credits the side whose completions happened to be shorter."""
    steps = Steps([])
    for sampling, total, tokens in ((90, 99, 1), (2, 6, 2), (8, 24, 8)):
        steps.add(sampling, total, tokens)
    assert [steps.median(job) for job in ("step", "sampling", "update")] == [3.0, 1.0, 2.0]
