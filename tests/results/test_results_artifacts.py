"""Artifacts: whole or absent, found by what made them, never trusted when damaged."""

import dataclasses
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time

import pytest

from k2repro.errors import K2ReproError
from k2repro.results import ArtifactStore, Recipe
from k2repro.results.artifacts import ABANDONED_S, MANIFEST, damage_of
from k2repro.results.atomic import write_text

RECIPE = Recipe("weights", {"steps": 10, "seed": 0}, numerics=("train-1", "texts-1"), data_hash="d" * 16)


def write_weights(folder):
    (folder / "weights.bin").write_bytes(b"\x00" * 1000)


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"steps": 11, "seed": 0}},
        {"numerics": ("train-2", "texts-1")},
        {"data_hash": "e" * 16},
        {"kind": "pool"},
        {"parents": {"base": "a" * 16}},
    ],
)
def test_every_part_of_a_recipe_changes_the_key(change):
    """Catches a stale checkpoint served after its words, data or parameters changed."""
    assert dataclasses.replace(RECIPE, **change).key != RECIPE.key


def test_a_second_build_reuses_the_first(tmp_path):
    """Catches a store that trains again each time."""
    store, calls = ArtifactStore(tmp_path), []

    def make(folder):
        calls.append(folder)
        write_weights(folder)

    assert store.build(RECIPE, make) == store.build(RECIPE, make)
    assert len(calls) == 1


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove", "manifest"])
def test_a_damaged_artifact_is_moved_aside_and_rebuilt(tmp_path, damage):
    """Catches a truncated checkpoint being loaded as if it were whole."""
    store = ArtifactStore(tmp_path)
    folder = store.build(RECIPE, write_weights)
    victim = folder / ("manifest.json" if damage == "manifest" else "weights.bin")
    if damage == "truncate":
        victim.write_bytes(victim.read_bytes()[:-1])
    elif damage == "flip":
        victim.write_bytes(b"\x01" + victim.read_bytes()[1:])
    else:
        victim.unlink()
    assert damage_of(folder) is not None
    rebuilt = store.build(RECIPE, write_weights)
    assert damage_of(rebuilt) is None
    assert len(list((tmp_path / "_damaged").iterdir())) == 1


def test_shipped_artifacts_are_used_only_when_the_store_is_told_to(tmp_path):
    """Catches `make reproduce` passing because it read the committed answer."""
    ArtifactStore(tmp_path / "shipped").build(RECIPE, write_weights)
    assert ArtifactStore(tmp_path / "own", shipped=tmp_path / "shipped").find(RECIPE) is not None
    assert ArtifactStore(tmp_path / "own").find(RECIPE) is None


def test_a_builder_that_raises_leaves_nothing(tmp_path):
    """Catches a failed training run that looks finished next time."""
    store = ArtifactStore(tmp_path)

    def fail(folder):
        write_weights(folder)
        raise RuntimeError("loss is NaN")

    with pytest.raises(RuntimeError, match="NaN"):
        store.build(RECIPE, fail)
    assert store.find(RECIPE) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_empty_artifact_is_refused(tmp_path):
    """Catches a builder that returned early."""
    with pytest.raises(K2ReproError, match="wrote no file"):
        ArtifactStore(tmp_path).build(RECIPE, lambda folder: None)


def test_a_kill_in_the_middle_leaves_nothing_that_looks_finished(tmp_path):
    """Catches half a checkpoint found after SIGKILL; the next run must build it whole."""
    program = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from k2repro.results import ArtifactStore, Recipe
        def make(folder):
            (folder / "weights.bin").write_bytes(b"x" * 10)
            print("half", flush=True)
            time.sleep(60)
        recipe = Recipe("weights", {"steps": 10, "seed": 0}, ("train-1", "texts-1"), "d" * 16)
        ArtifactStore(Path(sys.argv[1])).build(recipe, make)
    """)
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = ArtifactStore(tmp_path)
    assert store.find(RECIPE) is None
    assert (store.build(RECIPE, write_weights) / MANIFEST).is_file()


def test_what_a_kill_left_is_swept_and_what_another_builds_is_not(tmp_path):
    """Catches half-made folders that gather for ever, and a sweep that takes another process's work away."""
    old, young = (tmp_path / "weights" / f".{name}.partial" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        write_weights(folder)
    os.utime(old, (0, time.time() - ABANDONED_S - 60))
    ArtifactStore(tmp_path).build(RECIPE, write_weights)
    assert not old.exists() and (young / "weights.bin").is_file()


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_files_are_as_open_as_the_user_wants(tmp_path, mask):
    """Catches files that others can read although the user's umask forbids it."""
    before = os.umask(mask)
    try:
        written = write_text(tmp_path / "rows.jsonl", "row")
    finally:
        os.umask(before)
    assert stat.S_IMODE(written.stat().st_mode) == 0o666 & ~mask


def test_two_recipes_of_equal_content_share_a_key():
    """Catches keys that depend on the order in which parameters were written."""
    turned = dataclasses.replace(RECIPE, params={"seed": 0, "steps": 10})
    assert turned.key == RECIPE.key
