"""`k2repro doctor`: what a laptop lacks, said before a notebook fails on it."""

import shutil
from pathlib import Path

import pytest

from k2repro.measure import laptop
from k2repro.measure.laptop import laptop_table, look_around
from k2repro.results import Places


def advice_of(what: str) -> str:
    return next(finding.advice for finding in look_around() if finding.what == what)


def test_a_machine_on_which_the_tests_run_lacks_nothing_that_they_need():
    """Catches a doctor that complains about a healthy machine."""
    for what in ("Python", "bash", "torch", "papermill"):
        assert advice_of(what) == "", what


@pytest.mark.parametrize(
    ("what", "broken", "value", "said"),
    [
        ("Python", "sys.version_info", (3, 9, 1), "install Python 3.11"),
        ("make", "shutil.which", lambda name: None, "WSL"),
        ("memory", "os.sysconf", lambda name: 1000, "one notebook at a time"),
        ("free disk", "shutil.disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 10), "make room"),
        ("processor cores", "os.sched_getaffinity", lambda pid: {0}, "twice as long"),
        ("checkout", "os.access", lambda path, mode: False, "copies and rows go to"),
        ("torch", "importlib.util.find_spec", lambda name: None, "make setup"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(monkeypatch, what, broken, value, said):
    """Catches a laptop with one core or 4 GB, or without make, that hears of it from a traceback."""
    monkeypatch.setattr(f"k2repro.measure.laptop.{broken}", value, raising=False)
    assert said in advice_of(what)


def test_the_table_says_fine_where_nothing_is_to_do():
    """Catches an empty cell that nobody can read as good news."""
    text = laptop_table([laptop.LaptopFinding("a", "b"), laptop.LaptopFinding("c", "d", "do this")]).as_text()
    assert "fine" in text and "do this" in text
    assert isinstance(Places.find().writable, Path)
