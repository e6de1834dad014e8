"""ARCHITECTURE.md: its floors are those that are checked, and what it names exists."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_the_picture_shows_the_floors_that_are_checked() -> None:
    """A picture of an older house: the rooms of each line are those of the import contract, from the top."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [floors] = [each for each in project["tool"]["importlinter"]["contracts"] if each["id"] == "floors"]
    checked = [sorted(re.findall(r"\w+", layer)) for layer in floors["layers"] if layer != "__main__"]
    [picture] = re.findall(r"```text\n(.*?)```", TEXT, re.S)
    drawn = [sorted(re.findall(r"\w+", line.split("#")[0])) for line in picture.splitlines()]
    assert drawn == checked


def test_every_path_that_is_named_exists() -> None:
    """A guide to files that were moved."""
    named = re.findall(r"`([\w./]+/[\w.]*|[A-Z]+\.md)`", TEXT)
    invented = ("PROFILE", "NAME", "NOTEBOOK", "NN")
    roots = (ROOT, ROOT / "k2repro")
    paths = [name for name in named if not any(word in name for word in invented)]
    assert len(paths) > 10
    assert [path for path in paths if not any((root / path).exists() for root in roots)] == []
