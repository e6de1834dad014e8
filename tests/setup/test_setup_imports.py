"""What an import costs: the package pulls in none of its rooms, ground rooms never torch."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import k2repro

PACKAGE = Path(k2repro.__file__).parent
HEAVY = ("torch", "transformers", "datasets", "trl", "accelerate")
# Needed by the tests alone: a room that imports one of them fails on a plain installation.
TEST_ONLY = ("scipy", "statsmodels", "hypothesis", "pytest", "pandas")
# All modules of these; of `architecture` the package alone, whose torch parts load when asked for.
# `harness` asks servers: with torch, seconds pass before the first line of `k2repro evaluate`.
GROUND = [room for room in ("paper", "results", "evaluate", "harness", "wafer") if (PACKAGE / room).is_dir()]


def loaded_after(modules: list[str], *watched: str) -> list[str]:
    """Which of the watched top-level packages are loaded once `modules` are, in a fresh interpreter."""
    code = f"import sys\nfor name in {modules!r}: __import__(name)\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    names = {name.split(".")[0] for name in result.stdout.split()}
    return sorted(names & set(watched))


def modules_of(room: str) -> list[str]:
    """The room and every module in it."""
    found = pkgutil.walk_packages([str(PACKAGE / room)], prefix=f"k2repro.{room}.")
    return [f"k2repro.{room}", *(module.name for module in found)]


def test_importing_the_package_imports_nothing_heavy() -> None:
    """A slow `k2repro --help`: the bare package loads no third-party library at all."""
    assert loaded_after(["k2repro"], *HEAVY, *TEST_ONLY, "numpy", "plotly", "IPython") == []


def test_importing_the_command_line_imports_nothing_heavy() -> None:
    """A slow command line: each command imports its room when it runs, not before."""
    assert loaded_after(["k2repro.cli"], *HEAVY, *TEST_ONLY, "numpy", "plotly", "IPython") == []


@pytest.mark.parametrize("room", GROUND)
def test_no_module_of_a_ground_room_imports_torch(room: str) -> None:
    """Torch through the back door: every module of the room is imported, not only its front."""
    modules = modules_of(room)
    assert len(modules) > 1
    assert loaded_after(modules, *HEAVY) == []


@pytest.mark.parametrize("room", GROUND)
def test_no_module_of_a_ground_room_needs_a_test_library(room: str) -> None:
    """scipy at run time: it is a test dependency, and statistics here need numpy alone."""
    assert loaded_after(modules_of(room), *TEST_ONLY) == []


def test_architecture_opens_without_torch() -> None:
    """A parameter count that costs three seconds of torch: config and accounting stay free of it."""
    code = "k2repro.architecture"
    assert loaded_after([code], *HEAVY) == []
    use = (
        "import sys; from k2repro.architecture import ModelConfig, count_parameters; "
        "count_parameters(ModelConfig.preset('k2-think')); print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", use], capture_output=True, text=True)
    assert result.stdout == "False\n", result.stderr


def test_the_watch_sees_what_it_watches() -> None:
    """A check that never fires: numpy is seen in a room that uses it."""
    assert loaded_after(["k2repro.evaluate"], "numpy", "torch") == ["numpy"]


def test_every_folder_of_code_is_a_package() -> None:
    """A folder without __init__.py works in a checkout and is missing from the wheel."""
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
