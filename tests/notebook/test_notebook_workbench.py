"""`make lab` serves copies: nothing committed is touched, nothing of a reader's is lost."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from k2repro.errors import K2ReproError
from k2repro.notebook import guide, workbench
from k2repro.notebook.source import read_source, source_names
from k2repro.notebook.sync import sync
from k2repro.notebook.workbench import lay_out, reset
from k2repro.results import Places


def ship(checkout, name: str, *sources: str) -> Path:
    path = checkout.notebooks / f"{name}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources]), path)
    return path


def edit(path: Path, source: str, count: int | None = 1) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = source
    notebook.cells[0].execution_count = count
    nbformat.write(notebook, path)


def first(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[0].source


@pytest.fixture
def two(checkout, write_source):
    """A checkout with two shipped notebooks and their sources."""
    for name in ("01_demo", "02_other"):
        write_source(name, "x = 1")
        ship(checkout, name, "x = 1")
    return checkout


def test_run_all_and_autosave_touch_copies_only(two):
    """Catches Lab served from the folder of the committed notebooks."""
    before = {path: path.read_bytes() for path in two.notebooks.rglob("*") if path.is_file()}
    lay_out(two)
    edit(two.workbench / "01_demo.ipynb", "x = 1", count=7)
    lay_out(two)
    assert {path: path.read_bytes() for path in two.notebooks.rglob("*") if path.is_file()} == before
    assert two.workbench.name in (Places.find().root / ".gitignore").read_text()


def test_an_untouched_copy_follows_and_a_changed_one_stays(two):
    """Catches a new version that wipes somebody's work, or a copy that stays old for ever."""
    lay_out(two)
    edit(two.workbench / "01_demo.ipynb", "x = 2")
    edit(two.workbench / "02_other.ipynb", "x = 1", count=3)
    for name in ("01_demo", "02_other"):
        ship(two, name, "x = 9")
    said = lay_out(two)
    assert first(two.workbench / "01_demo.ipynb") == "x = 2"
    assert first(two.workbench / "02_other.ipynb") == "x = 9"
    assert any("01_demo.ipynb: your changes are kept" in line for line in said)


def test_reset_brings_back_what_ships_and_keeps_the_reader_s(two):
    """Catches a reset that throws an hour of work away."""
    lay_out(two)
    for value in ("x = 2", "x = 3"):
        edit(two.workbench / "01_demo.ipynb", value)
        reset(two, "01")
    assert first(two.workbench / "01_demo.ipynb") == "x = 1"
    assert {first(path) for path in two.workbench.glob("01_demo.mine-*.ipynb")} == {"x = 2", "x = 3"}
    with pytest.raises(K2ReproError, match="unknown notebook"):
        reset(two, "99")


def test_a_damaged_list_of_copies_loses_nothing(two):
    """Catches a broken bookkeeping file that makes every copy look untouched."""
    lay_out(two)
    edit(two.workbench / "01_demo.ipynb", "x = 2")
    (two.workbench / workbench.COPIED).write_text("{ no json")
    lay_out(two)
    assert first(two.workbench / "01_demo.ipynb") == "x = 2"


def test_sync_sends_the_reader_s_change_back_without_what_the_build_adds(two):
    """Catches a change that stays in the workbench, or folding marks that pile up in the source."""
    lay_out(two)
    own = two.workbench / "01_demo.ipynb"
    notebook = nbformat.read(own, as_version=4)
    notebook.cells[0].source = "x = 5"
    notebook.cells[0].metadata = {"tags": ["hide-input", "keep"], "jupyter": {"source_hidden": True}}
    nbformat.write(notebook, own)
    assert "workbench/01_demo.ipynb" in sync(two, "01")
    [cell] = read_source(two.sources / "01_demo.py").cells
    assert cell.source == "x = 5" and cell.metadata["tags"] == ["keep"]


def test_a_read_only_checkout_falls_back_to_the_home_folder(two, monkeypatch, tmp_path):
    """Catches `make lab` that fails on a shared, read-only clone."""
    monkeypatch.setattr("k2repro.results.places.os.access", lambda path, mode: False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    lay_out(two)
    assert (tmp_path / "home" / "k2repro" / "workbench" / "01_demo.ipynb").is_file()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "file")
    with pytest.raises(K2ReproError, match="no folder for your copies"):
        lay_out(two)


def test_every_shipped_notebook_is_laid_out_and_git_stays_clean():
    """Catches a notebook that readers do not get, and a workbench that git sees."""
    places = Places.find()
    names = {path.stem for path in workbench.shipped(places)}
    assert names >= set(source_names(places))
    ignored = subprocess.run(
        ["git", "check-ignore", "workbench/x.ipynb"], cwd=places.root, capture_output=True
    )
    assert ignored.returncode == 0


def test_a_name_that_is_missing_leads_to_its_cell():
    """Catches "name 'count' is not defined" without a word on which of forty cells to run."""
    advice = guide.advice("count", "01_architecture")
    assert 'under "Where the parameters sit"' in advice and "Run that cell first" in advice
    assert guide.advice("no_such_name", "01_architecture") == ""
    assert guide.advice("count", "a reader's own notebook") == ""


def test_the_names_that_a_cell_sets_are_all_found():
    """Catches a hint that misses loops, imports, functions or unpacking, or takes a local for a global."""
    cell = "import a.b\nfrom c import d as e\nf, (g, h) = 1, (2, 3)\nfor i in []:\n    j = 1\n"
    cell += "def k():\n    local = 1\n"
    assert guide.names_set(cell) == {"a", "e", "f", "g", "h", "i", "j", "k"}
    assert guide.names_set("x = = 1") == set()


@pytest.mark.slow
def test_the_guide_speaks_in_a_real_kernel(tmp_path):
    """Catches a hook that works in a unit test and stays silent in IPython."""
    code = (
        "import os; os.environ['JPY_SESSION_NAME'] = 'x/01_architecture.ipynb';"
        "from IPython.core.interactiveshell import InteractiveShell as S;"
        "s = S.instance(); from k2repro.notebook import guide; guide.install();"
        "s.run_cell('print(count)')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert "NameError" in run.stdout and "Where the parameters sit" in run.stderr
