"""What ships: what the notebooks marked last, whole, below the limit, and never trusted by a rebuild."""

import shutil
from pathlib import Path

import pytest

from k2repro.errors import K2ReproError
from k2repro.results import ArtifactStore, Recipe, open_rows, store
from k2repro.results.artifacts import damage_of
from k2repro.results.places import RUN_FOLDER
from k2repro.results.store import marks_folder, open_store, publish_artifacts, rebuilding, ship

FIRST, SECOND = (
    Recipe("scores", {"seed": seed}, numerics=("grader-1",), data_hash="d" * 16) for seed in (0, 1)
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run folder in which notebook 02 is being executed, and a store that holds both artifacts."""
    folder = tmp_path / "build"
    monkeypatch.setenv(RUN_FOLDER, str(folder))
    monkeypatch.setenv(store.NOTEBOOK, "02_sft")
    own = ArtifactStore(tmp_path / "cache")
    for recipe in (FIRST, SECOND):
        own.build(recipe, lambda place, seed=recipe.params["seed"]: (place / "scores").write_text(str(seed)))
    return folder, own, tmp_path / "artifacts"


def held(target):
    return {(path.parent.name, path.name) for path in target.glob("*/*")}


def test_what_ships_is_what_was_marked_last(run):
    """Catches artifacts of an older recipe that pile up, and marks lost by another notebook."""
    folder, own, target = run
    ship(FIRST)
    publish_artifacts(folder, own, target)
    assert held(target) == {(FIRST.kind, FIRST.key)}
    for mark in marks_folder(folder, "02_sft").iterdir():
        mark.unlink()
    ship(SECOND)
    size = publish_artifacts(folder, own, target)
    assert held(target) == {(SECOND.kind, SECOND.key)}
    assert damage_of(target / SECOND.kind / SECOND.key) is None
    assert size > 0 and SECOND.key in (target / "SHA256SUMS").read_text()


def test_what_another_notebook_ships_stays_until_it_is_run_again(run, monkeypatch):
    """Catches `make notebooks NB=03` in a fresh clone that takes away what notebook 02 ships."""
    folder, own, target = run
    ship(FIRST)
    publish_artifacts(folder, own, target)
    shutil.rmtree(folder)
    monkeypatch.setenv(store.NOTEBOOK, "03_rlvr")
    ship(SECOND)
    publish_artifacts(folder, own, target)
    assert held(target) == {(FIRST.kind, FIRST.key), (SECOND.kind, SECOND.key)}
    marks_folder(folder, "02_sft").mkdir()
    publish_artifacts(folder, own, target)
    assert held(target) == {(SECOND.kind, SECOND.key)}


def test_a_damaged_shipped_artifact_is_replaced(run):
    """Catches a truncated file that stays in the repository because a folder of its name is there."""
    folder, own, target = run
    ship(FIRST)
    publish_artifacts(folder, own, target)
    (target / FIRST.kind / FIRST.key / "scores").write_text("")
    publish_artifacts(folder, own, target)
    assert damage_of(target / FIRST.kind / FIRST.key) is None


def test_bad_marks_are_refused(run, monkeypatch):
    """Catches a repository that grows without anyone noticing, and a mark for nothing."""
    folder, own, target = run
    ship(FIRST)
    monkeypatch.setattr(store, "SHIPPED_LIMIT", 10)
    with pytest.raises(K2ReproError, match="must not exceed 10"):
        publish_artifacts(folder, own, target)
    ship(Recipe("scores", {"seed": 2}, numerics=("grader-1",), data_hash="d" * 16))
    with pytest.raises(K2ReproError, match="marked to ship but is not"):
        publish_artifacts(folder, own, target)


def test_a_rebuild_looks_at_nothing_that_ships():
    """Catches `make reproduce` that opens shipped checkpoints and calls them reproduced."""
    assert open_store("laptop").shipped is not None
    with rebuilding():
        assert open_store("laptop").shipped is None
    assert open_store("laptop").shipped is not None


def test_in_a_read_only_checkout_a_run_writes_to_the_home_folder(tmp_path, monkeypatch):
    """Catches Run All on a shared, read-only clone that ends at its first mark, artifact or row."""
    monkeypatch.delenv(RUN_FOLDER, raising=False)
    monkeypatch.setattr("k2repro.results.places.os.access", lambda path, mode: False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    ship(FIRST)
    made = open_store("laptop").build(FIRST, lambda place: (place / "scores").write_text("1"))
    rows = open_rows("00_start_here", profile="laptop")
    rows.add("demo.size", 1, unit="count")
    saved = rows.save()
    marks = [path.name for path in (tmp_path / "k2repro").rglob(f"{FIRST.kind}--*")]
    assert marks == [f"{FIRST.kind}--{FIRST.key}"]
    assert all(path.is_relative_to(tmp_path / "k2repro") and path.exists() for path in (made, saved))
