"""The notebook machine: strict parameters, equal bytes, honest failures, stamps that notice change."""

import dataclasses
import json
import signal

import nbformat
import pytest

from k2repro.errors import K2ReproError
from k2repro.notebook.build import build, is_fresh, read_record
from k2repro.notebook.execute import NotebookFailed
from k2repro.notebook.normalise import as_bytes, normalise
from k2repro.notebook.parameters import resolve_parameters
from k2repro.notebook.source import declared_parameters, find_source, read_source
from k2repro.notebook.stamp import differences, make_stamp, read_stamp
from k2repro.notebook.why import explain
from k2repro.results.profiles import NotebookPlan, Profile

WRITE_ROW = """
import json, os
from pathlib import Path
from k2repro.results import Fingerprint, Row, write_rows
row = Row("demo.size", size, "count", None, None, None, (), profile, "0"*16,
          "1"*16, "2"*16, Fingerprint("3.11", "2.13.0", "AVX2", 1), "exact")
folder = Path(os.environ["K2REPRO_RUN"]) / "rows"
"""
SAVE = "write_rows(folder / '01_demo.jsonl', [row])"
# Everything that differs between two runs of one notebook, on purpose.
VOLATILE = """
import sys
print(object()); print("one"); print("two", file=sys.stderr); print("three")
"""
PARAMETERS = 'profile = "laptop"\nsize = 4  # K=4 here'


def profile_of(**plan):
    values = {"budget_seconds": 60, "budget_memory_mb": 2000} | plan
    return Profile("laptop", "test", 1, {"01_demo": NotebookPlan(**values)})


def run(checkout, profile, folder="build"):
    return build("01", profile, checkout, checkout.root / folder, progress=False)


def test_a_comment_with_an_equals_sign_does_not_hide_a_parameter(write_source):
    """Catches papermill's own inspection, which loses `size = 4  # K=4 here`."""
    assert declared_parameters(write_source("01_demo", "1", parameters=PARAMETERS))["size"] == 4


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ('profile = "laptop"\nsize = 2 * 2', "not a literal"),
        ("size = 4", "lacks `profile`"),
        ('profile = "laptop"\nimport os', "is not `name = literal`"),
    ],
)
def test_a_parameters_cell_holds_literals_only(write_source, parameters, named):
    """Catches a derived value that keeps its old value after injection."""
    with pytest.raises(K2ReproError, match=named):
        declared_parameters(write_source("01_demo", "1", parameters=parameters))


@pytest.mark.parametrize(
    ("override", "named"), [({"sise": 3}, "did you mean 'size'"), ({"size": "3"}, "is str")]
)
def test_an_unknown_or_mistyped_parameter_is_an_error(write_source, override, named):
    """Catches `-p typo 1`, at which papermill only warns and runs the default."""
    source = write_source("01_demo", "1", parameters=PARAMETERS)
    with pytest.raises(K2ReproError, match=named):
        resolve_parameters(source, "laptop", override)


def test_an_unknown_notebook_lists_those_that_exist(checkout, write_source):
    """Catches a build of nothing."""
    write_source("01_demo", "1")
    with pytest.raises(K2ReproError, match="Known: 01_demo"):
        find_source(checkout, "07")


@pytest.mark.slow
def test_two_runs_in_fresh_kernels_give_equal_bytes(checkout, write_source):
    """Catches ids, addresses, timings or stream cuts that make every rebuild a diff."""
    write_source("01_demo", VOLATILE, WRITE_ROW, SAVE, parameters=PARAMETERS)
    for folder in ("one", "two"):
        run(checkout, profile_of(parameters={"size": 7}), folder)
    for name in ("notebooks/01_demo.ipynb", "rows/01_demo.jsonl"):
        one, two = ((checkout.root / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two
    assert json.loads((checkout.root / "one/rows/01_demo.jsonl").read_text())["value"] == 7


@pytest.mark.slow
def test_a_finished_notebook_is_kept_and_a_touched_one_rebuilt(checkout, write_source):
    """Catches a resume that trusts a damaged output, or runs everything again."""
    source = write_source("01_demo", WRITE_ROW, SAVE, parameters=PARAMETERS)
    profile, folder = profile_of(), checkout.root / "build"
    first = run(checkout, profile)
    assert run(checkout, profile).finished == first.finished
    stamp = make_stamp(source, checkout, "laptop", {"profile": "laptop", "size": 4}, folder / "rows")
    assert is_fresh(folder, stamp)
    rows = folder / "rows" / "01_demo.jsonl"
    rows.write_text(rows.read_text() + " ")
    assert not is_fresh(folder, stamp)
    run(checkout, profile)
    assert is_fresh(folder, stamp)


@pytest.mark.slow
def test_a_failing_cell_is_kept_explained_and_recorded(checkout, write_source):
    """Catches a failure that leaves no trace, or a record that still says success."""
    write_source("01_demo", WRITE_ROW, SAVE, "1 / 0", parameters=PARAMETERS)
    with pytest.raises(NotebookFailed, match="division by zero"):
        run(checkout, profile_of())
    folder = checkout.root / "build"
    record = read_record(folder, "01_demo")
    assert record is not None
    assert record.error == "ZeroDivisionError: division by zero"
    text = explain(folder, "01_demo")
    assert "1 / 0" in text
    assert "ZeroDivisionError" in text


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_kernel_that_dies_is_named_recorded_and_explained(checkout, write_source, number):
    """Catches a dead kernel (most often: no memory left) told as a traceback, recorded nowhere."""
    die = f"import os\nos.kill(os.getpid(), {int(number)})"
    write_source("01_demo", WRITE_ROW, SAVE, die, "never = 1", parameters=PARAMETERS)
    with pytest.raises(NotebookFailed, match="kernel died while it held .* MB.*want of memory"):
        run(checkout, profile_of())
    folder = checkout.root / "build"
    record = read_record(folder, "01_demo")
    assert record is not None and record.error is not None and "the kernel died" in record.error
    text = explain(folder, "01_demo")
    assert "was running" in text and "os.kill" in text and "never" not in text


@pytest.mark.slow
def test_why_never_shows_the_failure_of_an_older_run(checkout, write_source):
    """Catches `notebook why` showing a traceback that the last run did not have."""
    write_source("01_demo", WRITE_ROW, SAVE, "1 / 0", parameters=PARAMETERS)
    with pytest.raises(K2ReproError, match="was not run yet"):
        explain(checkout.root / "build", "01_demo")
    with pytest.raises(NotebookFailed):
        run(checkout, profile_of())
    write_source("01_demo", WRITE_ROW, SAVE, parameters=PARAMETERS)
    with pytest.raises(K2ReproError, match="expected rows"):
        run(checkout, profile_of(expect=("demo.other",)))
    text = explain(checkout.root / "build", "01_demo")
    assert "demo.other" in text and "ZeroDivisionError" not in text
    run(checkout, profile_of())
    with pytest.raises(K2ReproError, match="did not fail"):
        explain(checkout.root / "build", "01_demo")


@pytest.mark.slow
def test_a_busy_machine_is_not_over_budget(checkout, write_source):
    """Catches a budget in wall time: a notebook that waits for other programs has done no more work."""
    wait = "import time\ntime.sleep(8)"
    write_source("01_demo", WRITE_ROW, SAVE, wait, parameters=PARAMETERS)
    record = run(checkout, profile_of(budget_seconds=5))
    assert record.error is None and record.seconds > 7.5
    work = "x = 0\nimport time\nend = time.process_time() + 8\nwhile time.process_time() < end:\n    x += 1"
    write_source("01_demo", WRITE_ROW, SAVE, work, parameters=PARAMETERS)
    with pytest.raises(K2ReproError, match="processor time, more than 1 processors.*is kept"):
        run(checkout, profile_of(budget_seconds=5))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "save", "named"),
    [
        ({"expect": ("demo.other",)}, SAVE, "expected rows are missing: demo.other"),
        ({}, "pass", "wrote no rows"),
        ({"budget_memory_mb": 10}, SAVE, "its budget of 10 MB"),
        ({"budget_seconds": 0}, SAVE, "its budget of 0 s"),
    ],
)
def test_a_run_owes_its_rows_time_and_memory(checkout, write_source, plan, save, named):
    """Catches a notebook that runs through but measured nothing, or grew beyond a laptop."""
    write_source("01_demo", WRITE_ROW, save, parameters=PARAMETERS)
    with pytest.raises(K2ReproError, match=named):
        run(checkout, profile_of(**plan))
    record = read_record(checkout.root / "build", "01_demo")
    assert record is not None
    assert record.error is not None


def test_a_stamp_names_what_changed(checkout, write_source):
    """Catches a committed notebook that no longer follows from its source, parameters or rows."""
    source = write_source("01_demo", "rows = 'input_rows('", parameters=PARAMETERS)
    other = write_source("02_other", "1")
    folder = checkout.root / "rows"
    folder.mkdir()
    built = make_stamp(source, checkout, "laptop", {"size": 4}, folder)
    (folder / f"{other.stem}.jsonl").write_text("{}\n")
    assert differences(built, make_stamp(source, checkout, "laptop", {"size": 4}, folder)) == [
        "rows that it reads"
    ]
    now = make_stamp(source, checkout, "laptop", {"size": 5}, checkout.root)
    assert differences(built, now) == ["its parameters"]
    source.write_text(source.read_text() + "\n# %%\n2\n")
    assert differences(built, make_stamp(source, checkout, "laptop", {"size": 4}, checkout.root)) == [
        "its source"
    ]
    assert differences(built, dataclasses.replace(built, profile="smoke")) == ["the profile"]


def test_an_unstamped_notebook_is_refused(tmp_path, write_source):
    """Catches a notebook saved by hand over a built one."""
    nbformat.write(read_source(write_source("01_demo", "1")), tmp_path / "01_demo.ipynb")
    with pytest.raises(K2ReproError, match="carries no stamp"):
        read_stamp(tmp_path / "01_demo.ipynb")


def test_normalising_twice_changes_nothing(write_source):
    """Catches a normaliser that is not a projection, so that `make notebooks` never settles."""
    notebook = read_source(write_source("01_demo", "1", parameters=PARAMETERS))
    once = as_bytes(normalise(notebook))
    assert as_bytes(normalise(nbformat.reads(once.decode(), as_version=4))) == once
