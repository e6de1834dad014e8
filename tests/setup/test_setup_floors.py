"""The floors of the house: each import contract is broken once in a copy, and noticed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from k2repro.results import Places

ROOT = Places.find().root


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A copy of the package's code and its contracts."""
    copy = tmp_path_factory.mktemp("house")
    shutil.copytree(ROOT / "k2repro", copy / "k2repro", ignore=lambda folder, names: _not_code(folder, names))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def _not_code(folder: str, names: list[str]) -> list[str]:
    return [n for n in names if n == "__pycache__" or not (n.endswith(".py") or Path(folder, n).is_dir())]


def verdict(house: Path) -> tuple[int, str]:
    """Exit code and text of `lint-imports`, as `make check` calls it."""
    tool = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [tool, "--no-cache", "--no-logo"], cwd=house, capture_output=True, text=True, env={"PYTHONPATH": "."}
    )
    return result.returncode, " ".join((result.stdout + result.stderr).split())


def plant(house: Path, module: str, line: str) -> tuple[int, str]:
    """The verdict while `module` holds one more line; afterwards the copy is what it was."""
    path = house / "k2repro" / module
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    path.write_text((before or '"""A specimen."""\n') + f"\n\n{line}\n", encoding="utf-8")
    try:
        return verdict(house)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")


def test_the_house_as_it_stands_keeps_its_contracts(house):
    """Catches an import upwards anywhere in the package, and a copy that proves nothing below."""
    code, text = verdict(house)
    assert code == 0, text
    assert "2 kept, 0 broken" in text


@pytest.mark.parametrize(
    ("room", "line", "named"),
    [
        ("results", "from k2repro.report import render_report", "k2repro.report"),
        ("wafer", "import k2repro.notebook.text", "k2repro.notebook.text"),
        ("engine", "import k2repro.rlvr.loss", "k2repro.rlvr.loss"),
        ("training", "import k2repro.rlvr.loss", "k2repro.rlvr.loss"),
        ("mini", "def late():\n    from k2repro.cli import main\n    return main", "k2repro.cli"),
    ],
)
def test_an_import_upwards_is_refused(house, room, line, named):
    """Catches a ground room that needs the notebook to load, also when the import hides in a function."""
    code, text = plant(house, f"{room}/__init__.py", line)
    assert code == 1 and f"k2repro.{room} -> {named}" in text


def test_errors_import_nothing_of_ours(house):
    """Catches the lowest file of the house leaning on anything: everybody imports it."""
    code, text = plant(house, "errors.py", "import k2repro.tables")
    assert code == 1 and "k2repro.errors -> k2repro.tables" in text


@pytest.mark.parametrize("pillar", ["planning", "best_of_n", "speculative"])
def test_a_pillar_that_imports_a_pillar_is_refused(house, pillar):
    """Catches the ten lines by which one pillar once leant on another, and nobody was told."""
    other = house / "k2repro" / pillar
    exists = other.is_dir() or other.with_suffix(".py").is_file()
    if not exists:
        other.with_suffix(".py").write_text('"""A specimen."""\n', encoding="utf-8")
    try:
        code, text = plant(house, "rlvr/__init__.py", f"import k2repro.{pillar}")
    finally:
        if not exists:
            other.with_suffix(".py").unlink()
    assert code == 1 and f"k2repro.rlvr -> k2repro.{pillar}" in text


@pytest.mark.parametrize("room", ["paper", "results", "evaluate", "wafer", "cli"])
@pytest.mark.parametrize("line", ["import torch", "def late():\n    from torch import nn\n    return nn"])
def test_a_ground_room_that_imports_torch_is_refused(house, room, line):
    """Catches `k2repro claims` taking two seconds and two gigabytes, at the top or in a function."""
    code, text = plant(house, f"{room}/__init__.py", line)
    assert code == 1 and f"k2repro.{room} -> torch" in text


def test_a_room_without_a_floor_is_refused(house):
    """Catches a utils.py that everything imports: a new room has to say where it stands."""
    code, text = plant(house, "utils.py", "")
    assert code == 1 and "utils" in text


def test_a_type_for_the_checker_is_no_import(house):
    """Catches contracts so strict that an annotation may not name a type of a floor above."""
    line = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from k2repro.report import render_report"
    code, text = plant(house, "results/__init__.py", line)
    assert code == 0, text
