"""Shipped artifacts, timings and notebooks that were damaged: `check` names each."""

import shutil
import warnings

import pytest

from k2repro import check
from k2repro.results import ArtifactStore, Places, Recipe
from k2repro.results.artifacts import MANIFEST, damage_of
from k2repro.results.shipped import SUMS, damages_of_shipped
from k2repro.results.store import publish_artifacts

RECIPE = Recipe("weights", {"seed": 0})


@pytest.fixture
def shipped(tmp_path):
    """A folder as it ships: one artifact of two files, with its lists."""
    store, run = ArtifactStore(tmp_path / "own"), tmp_path / "run"

    def make(folder):
        (folder / "model.safetensors").write_bytes(bytes(1000))
        (folder / "config.json").write_text("{}", encoding="utf-8")

    store.build(RECIPE, make)
    mark = run / "ships" / "02_sft" / f"{RECIPE.kind}--{RECIPE.key}"
    mark.parent.mkdir(parents=True)
    mark.write_text("", encoding="utf-8")
    target = tmp_path / "artifacts" / "laptop"
    target.mkdir(parents=True)
    publish_artifacts(run, store, target)
    assert list(damages_of_shipped(target)) == []
    return target


def artifact(target):
    return target / RECIPE.kind / RECIPE.key


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


DAMAGES = {
    "a byte": lambda t: flip(artifact(t) / "model.safetensors"),
    "a cut": lambda t: (artifact(t) / "model.safetensors").write_bytes(b""),
    "other line ends": lambda t: (artifact(t) / MANIFEST).write_bytes(
        (artifact(t) / MANIFEST).read_bytes().replace(b"\n", b"\r\n")
    ),
    "a lost file": lambda t: (artifact(t) / "config.json").unlink(),
    "a lost artifact": lambda t: shutil.rmtree(artifact(t)),
    "a file too many": lambda t: (artifact(t) / "extra").write_bytes(b"1"),
    "no list": lambda t: (t / SUMS).unlink(),
    "an empty list": lambda t: (t / SUMS).write_text("", encoding="utf-8"),
    "half a list": lambda t: (t / SUMS).write_text((t / SUMS).read_text(encoding="utf-8")[:90], "utf-8"),
    "an emptied manifest": lambda t: (artifact(t) / MANIFEST).write_text('{"files": {}}', encoding="utf-8"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_of_what_ships_is_named(shipped, damage):
    """Catches a clone with other line ends that trains for half an hour without a word."""
    DAMAGES[damage](shipped)
    assert list(damages_of_shipped(shipped))


@pytest.mark.parametrize(
    "content", ["[]", '{"files": []}', '{"files": {}}', '{"files": 3}', "[" * 100_000, ""]
)
def test_a_manifest_that_lists_nothing_is_damage(shipped, content):
    """Catches an artifact without any file that counts as whole, and a crash on a list of nothing."""
    (artifact(shipped) / MANIFEST).write_text(content, encoding="utf-8")
    assert damage_of(artifact(shipped)) is not None


def test_the_store_says_that_it_makes_a_shipped_artifact_anew(shipped, tmp_path):
    """Catches half an hour of training with no reason given; the twin that is whole says nothing."""
    store = ArtifactStore(tmp_path / "cache", shipped=shipped)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.find(RECIPE) == artifact(shipped)
    flip(artifact(shipped) / "model.safetensors")
    with pytest.warns(UserWarning, match=r"model\.safetensors does not have the hash.*made anew"):
        assert store.find(RECIPE) is None


class Copy(Places):
    """A part of the checkout in a temporary folder."""


@pytest.fixture
def copy(tmp_path):
    root = Places.find().root
    for name in ("notebooks", "results/laptop"):
        shutil.copytree(root / name, tmp_path / name)
    return Copy(tmp_path)


@pytest.mark.parametrize("damage", ["deleted", "cut"])
def test_timings_that_are_gone_are_found(copy, damage):
    """Catches a README whose costs nobody can render again."""
    assert check._timings(copy) == []
    path = copy.results("laptop") / "timings.jsonl"
    text = path.read_text(encoding="utf-8")
    path.unlink()
    if damage == "cut":
        path.write_text(text[: len(text) // 2], encoding="utf-8")
    assert [finding.rule for finding in check._timings(copy)] == ["damaged"]


def test_a_notebook_that_was_cut_is_a_finding(copy):
    """Catches a traceback of nbformat in `k2repro check`."""
    from k2repro.notebook.lint import lint_built

    path = copy.notebooks / "01_architecture.ipynb"
    path.write_bytes(path.read_bytes()[:5000])
    assert [finding.rule for finding in lint_built(path)] == ["damaged"]
