"""Catches: an adoption that changes bytes, loses a part, stops half-way, or serves old bits as new."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from k2repro.lab import adopt as room
from k2repro.lab import rlvr, sft
from k2repro.lab.adopt import adopt, everything, known_renames, old_artifacts
from k2repro.lab.scale import Scale
from k2repro.results import ArtifactStore, Places
from k2repro.results.artifacts import damage_of, read_manifest
from k2repro.results.store import list_shipped

SCALE = Scale()
OLD = "checkpoint/4564df8afaae02fd"
NEW = [sft.weights("sft", 0, SCALE), sft.history("sft", 0, SCALE), sft.curve("sft", 0, SCALE)]


def old_store(root: Path, old: str, files: tuple[str, ...]) -> Path:
    """A store with one artifact as it was written before keys named numerics words."""
    folder = root / old
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    kind, key = old.split("/")
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    recipe = {"kind": kind, "params": {}, "code_hash": "c" * 16, "data_hash": "", "parents": {}}
    (folder / "manifest.json").write_text(json.dumps({"recipe": recipe, "key": key, "files": hashes}))
    return folder


def sft_store(root: Path) -> Path:
    return old_store(root, OLD, ("model.safetensors", "config.json", "history.json", "curve.jsonl"))


def test_weights_history_and_curve_come_apart_and_keep_their_bytes(tmp_path):
    """Catches a part that is lost, and a curve that stays beside the weights."""
    sft_store(tmp_path)
    [found] = adopt(tmp_path)
    assert sorted(found.news) == sorted(f"{made.kind}/{made.key}" for made in NEW)
    store = ArtifactStore(tmp_path, shipped=None)
    listing = [{path.name for path in (store.find(made.recipe) or tmp_path).iterdir()} for made in NEW]
    weights, history, curve = (names - {"manifest.json"} for names in listing)
    assert (weights, history, curve) == (
        {"model.safetensors", "config.json"},
        {"history.json"},
        {"curve.jsonl"},
    )
    folder = store.find(NEW[2].recipe)
    assert (folder / "curve.jsonl").read_text() == "content of curve.jsonl"
    assert read_manifest(folder)["provenance"] == {"adopted_from": OLD, "code_hash": "c" * 16}
    assert not (tmp_path / OLD).exists() and old_artifacts(tmp_path) == []


def test_the_weights_at_a_switch_are_adopted_too(tmp_path):
    """Catches a run with two budgets of which one set of weights is lost."""
    [old] = [
        old
        for old, news in known_renames().items()
        if old.startswith("rlvr-run/")
        and f"weights/{rlvr.weights_at_switch('short-budget', 1, SCALE).key}" in news
    ]
    files = ("model.safetensors", "records.jsonl", "curve.jsonl", "switch/model.safetensors")
    old_store(tmp_path, old, files)
    adopt(tmp_path)
    store = ArtifactStore(tmp_path, shipped=None)
    for made, expected in (
        (rlvr.weights("short-budget", 1, SCALE), "content of model.safetensors"),
        (rlvr.weights_at_switch("short-budget", 1, SCALE), "content of switch/model.safetensors"),
    ):
        folder = store.find(made.recipe)
        assert folder is not None and (folder / "model.safetensors").read_text() == expected


def test_an_interrupted_adoption_goes_on(tmp_path, monkeypatch):
    """Catches an old artifact that goes before all of its parts stand."""
    sft_store(tmp_path)
    copy, seen = shutil.copyfile, []

    def stop_at_the_third(source, target):
        seen.append(source)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return copy(source, target)

    monkeypatch.setattr(room.shutil, "copyfile", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        adopt(tmp_path)
    assert old_artifacts(tmp_path) == [OLD]
    monkeypatch.setattr(room.shutil, "copyfile", copy)
    [found] = adopt(tmp_path)
    store = ArtifactStore(tmp_path, shipped=None)
    assert len(found.news) == 3 and all(store.find(made.recipe) for made in NEW)
    assert not list(tmp_path.rglob("*.partial"))


def test_what_cannot_be_adopted_says_why_and_stays(tmp_path, monkeypatch):
    """Catches old bits under the key of a raised word, damaged ones under any, and strangers."""
    folder = sft_store(tmp_path)
    monkeypatch.setattr(sft, "TRAINING", "train-of-tomorrow")
    [found] = adopt(tmp_path)
    assert found.news == () and "a numerics word or a parameter has changed" in str(found)
    monkeypatch.undo()
    (folder / "curve.jsonl").write_text("other")
    [found] = adopt(tmp_path)
    assert "will be rebuilt: it is damaged, curve.jsonl" in str(found)
    old_store(tmp_path, "checkpoint/0123456789abcdef", ("model.safetensors",))
    assert "no artifact of today is known" in str(adopt(tmp_path)[0])
    assert folder.is_dir()


def test_the_lists_of_what_ships_follow(tmp_path):
    """Catches a notebook that ships what stands no more."""
    sft_store(tmp_path)
    (tmp_path / "SHIPS").write_text(f"02_sft  {OLD}\n02_sft  scores/0123456789abcdef\n")
    adopt(tmp_path)
    for _ in range(2):  # once more after an interruption
        list_shipped(tmp_path, known_renames())
    lines = (tmp_path / "SHIPS").read_text().splitlines()
    expected = {f"02_sft  {made.kind}/{made.key}" for made in NEW} | {"02_sft  scores/0123456789abcdef"}
    assert set(lines) == expected and len(lines) == 4
    sums = (tmp_path / "SHA256SUMS").read_text()
    assert OLD not in sums and f"weights/{NEW[0].key}/model.safetensors" in sums


def test_everything_that_ships_stands_under_a_key_of_today():
    """Catches a reader's notebook that trains for half an hour because a key moved."""
    shipped = Places.find().shipped_artifacts("laptop")
    assert old_artifacts(shipped) == []
    wanted = [made for made in (*sft.everything(SCALE), *rlvr.everything(SCALE)) if made.ships]
    lost = [made.title for made in wanted if damage_of(shipped / made.kind / made.key) is not None]
    assert lost == [], "a raised word or a changed parameter? A new field of a class: see made.declared"
    today = {f"{made.kind}/{made.key}" for made in everything(SCALE)}
    assert today >= {new for news in known_renames().values() for new in news}
