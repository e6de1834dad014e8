"""Killed at any second and run again, a build ends with the same bytes."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

PROGRAM = textwrap.dedent("""
    import sys
    from pathlib import Path
    from k2repro.notebook.build import build
    from k2repro.results import Places
    from k2repro.results.profiles import NotebookPlan, Profile
    class Small(Places):
        package = Places.find().package
    profile = Profile("laptop", "test", 1, {"01_demo": NotebookPlan(60, 2000)})
    build("01", profile, Small(Path(sys.argv[1])), Path(sys.argv[2]), progress=False)
""")
CELLS = (
    """
    import json, os
    from pathlib import Path
    from k2repro.results import Fingerprint, Row, write_rows
    row = Row("demo.size", 4, "count", None, None, None, (), profile, "0"*16,
              "1"*16, "2"*16, Fingerprint("3.11", "2.13.0", "AVX2", 1), "exact")
    write_rows(Path(os.environ["K2REPRO_RUN"]) / "rows" / "01_demo.jsonl", [row])
    """,
    "print('after the rows')",
)


def start(checkout, folder):
    command = [sys.executable, "-c", PROGRAM, str(checkout.root), str(checkout.root / folder)]
    return subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before the kernel", "in the kernel", "after the rows"])
def test_a_killed_build_resumes_to_the_same_bytes(checkout, write_source, moment):
    """Catches a resume from half-written rows, or a notebook taken for finished."""
    write_source("01_demo", *CELLS)
    assert start(checkout, "whole").wait() == 0
    process = start(checkout, "killed")
    wait_for(moment, checkout.root / "killed")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert start(checkout, "killed").wait() == 0
    for name in ("notebooks/01_demo.ipynb", "rows/01_demo.jsonl"):
        whole, killed = ((checkout.root / folder / name).read_bytes() for folder in ("whole", "killed"))
        assert whole == killed


def wait_for(moment, folder):
    """Until the build has reached the moment, told by what lies on disk (a minute at most)."""
    sign = {
        "before the kernel": folder / "work",
        "in the kernel": folder / "work" / "01_demo.executed.ipynb",
        "after the rows": folder / "rows" / "01_demo.jsonl",
    }[moment]
    for _ in range(6000):
        if sign.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"the build never came to: {moment}")
