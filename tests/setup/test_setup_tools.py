"""The first minute on a new machine: find-python, bootstrap.py, the Makefile."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIND = ROOT / "tools" / "find-python"
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = {"setup", "reproduce", "test", "lab", "notebooks", "check", "bench", "clean"}
ASK = ["-c", "import sys; print(*sys.version_info[:2])"]


def fake_python(folder: Path, name: str) -> None:
    """An interpreter that is too old: it fails whatever it is asked."""
    (folder / name).write_text("#!/bin/sh\nexit 1\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def path_folder(tmp_path: Path) -> Path:
    """A folder to be the whole PATH: bash and nothing else."""
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / "bash").symlink_to(bash)
    return tmp_path


def find_python(path_folder: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(path_folder), **extra}
    return subprocess.run([FIND, *ASK], capture_output=True, text=True, env=environment)


def load_bootstrap(root: Path) -> ModuleType:
    """bootstrap.py as it would run in a checkout at `root`."""
    (root / "tools").mkdir(parents=True)
    for name in ("tools/bootstrap.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root / name)
    spec = importlib.util.spec_from_file_location("bootstrap_copy", root / "tools" / "bootstrap.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_find_python_skips_an_old_one(path_folder: Path) -> None:
    """Taking the first name that exists: an old python3 in front must not be chosen."""
    fake_python(path_folder, "python3")
    (path_folder / "python3.11").symlink_to(sys.executable)
    found = find_python(path_folder)
    assert (found.returncode, found.stdout) == (0, f"{sys.version_info[0]} {sys.version_info[1]}\n")


@pytest.mark.parametrize("names", [[], ["python3"], ["python", "python3", "python3.11"]])
def test_find_python_says_what_to_do(path_folder: Path, names: list[str]) -> None:
    """A cryptic failure where there is only an old Python, or none: rule, and how to get one."""
    for name in names:
        fake_python(path_folder, name)
    found = find_python(path_folder)
    assert found.returncode == 1
    assert found.stdout == ""
    assert "no Python 3.11 to 3.14 was found" in found.stderr
    assert "make setup PYTHON=" in found.stderr


def test_find_python_takes_the_one_that_is_named(path_folder: Path, tmp_path: Path) -> None:
    """PYTHON=... ignored: the named interpreter comes before those on the PATH."""
    named = tmp_path / "mine"
    named.write_text("#!/bin/sh\necho mine\n")
    named.chmod(0o755)
    (path_folder / "python3").symlink_to(sys.executable)
    assert find_python(path_folder, PYTHON=str(named)).stdout == "mine\n"


def test_bootstrap_needs_the_standard_library_only() -> None:
    """An import that is installed by the very script that needs it."""
    tree = ast.parse((ROOT / "tools" / "bootstrap.py").read_text())
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert names
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt", "tools/bootstrap.py"])
def test_stamp_follows_what_decides_the_environment(tmp_path: Path, name: str) -> None:
    """A stale .venv after a pull: the stamp changes with each of the three files, and back again."""
    bootstrap = load_bootstrap(tmp_path / "checkout")
    path = tmp_path / "checkout" / name
    before, text = bootstrap.wanted_stamp(), path.read_text()
    path.write_text(text + "# changed\n")
    assert bootstrap.wanted_stamp() != before
    path.write_text(text)
    assert bootstrap.wanted_stamp() == before


def test_environment_is_fresh_only_with_its_stamp_and_command(tmp_path: Path) -> None:
    """A half-built .venv taken for a whole one: stamp, command and interpreter must be there."""
    bootstrap = load_bootstrap(tmp_path / "checkout")
    stamp = bootstrap.wanted_stamp()
    assert not bootstrap.is_fresh(stamp)
    bootstrap.STAMP.parent.mkdir()
    bootstrap.STAMP.write_text(stamp)
    assert not bootstrap.is_fresh(stamp)
    (bootstrap.VENV / "bin").mkdir()
    (bootstrap.VENV / "bin" / "python").symlink_to(sys.executable)
    (bootstrap.VENV / "bin" / "k2repro").touch()
    assert bootstrap.is_fresh(stamp)
    bootstrap.STAMP.write_text("another stamp")
    assert not bootstrap.is_fresh(stamp)


def test_bootstrap_installs_through_the_constraints_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CUDA trap at the source: each pip command of the set-up is recorded, none is run."""
    bootstrap = load_bootstrap(tmp_path / "checkout")
    bootstrap.VENV.mkdir()
    commands = []

    class Recorded:
        stdout = iter(())

        def __init__(self, command, **_options) -> None:
            commands.append([str(part) for part in command])

        def wait(self) -> int:
            return 0

    def asked(command, **_options) -> subprocess.CompletedProcess[str]:
        commands.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, 0, stdout="{}", stderr="")

    monkeypatch.setattr(bootstrap.subprocess, "Popen", Recorded)
    monkeypatch.setattr(bootstrap.subprocess, "run", asked)
    bootstrap.install()
    installs = [command for command in commands if "install" in command]
    assert len(installs) >= 3
    constraints = str(tmp_path / "checkout" / "constraints.txt")
    assert all(command[command.index("-c", 3) + 1] == constraints for command in installs)
    assert any(command[-1].endswith("[all]") for command in installs)


def test_makefile_has_every_promised_target() -> None:
    """A target of the public interface that is gone or is not .PHONY (a folder of that name hides it)."""
    phony = set(re.findall(r"^\.PHONY:(.*)$", MAKEFILE, re.M)[0].split())
    defined = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    assert not TARGETS - phony
    assert defined == phony


def test_make_help_lists_every_target_once() -> None:
    """A target that nobody can find: `make help` prints one line for each .PHONY target."""
    phony = re.findall(r"^\.PHONY:(.*)$", MAKEFILE, re.M)[0].split()
    # Inside `make test` a second make would announce its directory first.
    command = ["make", "--no-print-directory", "help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert [line[1] for line in lines] == phony
    assert all(line[0] == "make" and len(line) > 4 for line in lines)


def test_every_target_sets_up_first() -> None:
    """`make test` as a first command on a clean clone: every target that runs .venv depends on setup."""
    rules = re.findall(r"^([a-z-]+):([^\n#]*)[^\n]*\n((?:\t.*\n)*)", MAKEFILE, re.M)
    users = {target: needs for target, needs, recipe in rules if re.search(r"\.venv/|\$\(K2\)", recipe)}
    assert len(users) >= 7
    assert all("setup" in needs.split() for needs in users.values())
    assert os.access(FIND, os.X_OK)


@pytest.mark.parametrize(
    ("version", "fits"), [((3, 10), False), ((3, 11), True), ((3, 14), True), ((3, 15), False)]
)
def test_find_python_takes_versions_that_torch_is_built_for(path_folder: Path, version, fits) -> None:
    """Python 3.15 in front: set-up would run for minutes and end in pip's words about versions."""
    program = FIND.read_text(encoding="utf-8")
    [question] = re.findall(r"-c '(import sys; sys.exit[^']*)'", program)
    asked = question.replace("sys.version_info[:2]", repr(version))
    assert (subprocess.run([sys.executable, "-c", asked]).returncode == 0) is fits


def test_bootstrap_refuses_a_python_without_torch(tmp_path: Path, monkeypatch) -> None:
    """PYTHON=python3.15 given by hand: refused with the versions that work, before anything is made."""
    module = load_bootstrap(tmp_path)
    monkeypatch.setattr(module.sys, "version_info", (3, 15, 0, "final", 0))
    with pytest.raises(SystemExit, match=r"this is Python 3\.15\.0; torch comes for 3\.11 to 3\.14"):
        module.main()
    assert not (tmp_path / ".venv").exists()


def test_an_index_that_does_not_answer_is_said(tmp_path: Path, monkeypatch, capsys) -> None:
    """Gigabytes of CUDA fetched in silence behind a mirror; where the index answers, it is taken."""
    module = load_bootstrap(tmp_path)
    monkeypatch.delenv("K2REPRO_TORCH_INDEX", raising=False)
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module, "NVIDIA", tmp_path / "none")
    report = '{"install": [{"metadata": {"version": "2.13.0"}}]}'
    answer = subprocess.CompletedProcess([], 0, stdout=report)
    monkeypatch.setattr(module.subprocess, "run", lambda *args, **options: answer)
    monkeypatch.setattr(module, "CPU_INDEX", "http://127.0.0.1:9")
    assert module.torch_index() == []
    said = capsys.readouterr().out
    assert "does not answer" in said and "CUDA" in said and "K2REPRO_TORCH_INDEX" in said
    monkeypatch.setattr(module, "answers", lambda url: True)
    assert module.torch_index() == ["--extra-index-url", "http://127.0.0.1:9"]


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            "WARNING: Retrying ... NewConnectionError ... ERROR: ResolutionImpossible",
            "did not reach the package index",
        ),
        ("ERROR: Could not install: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for torch==2.13.0", "3.11 to 3.14"),
        ("ERROR: something else", ""),
    ],
)
def test_a_failed_set_up_names_the_cause(tmp_path: Path, log, said) -> None:
    """An offline first set-up that ends on "loosen the range", and never says the word network."""
    cause = load_bootstrap(tmp_path).cause_of(log)
    assert said in cause and bool(said) == bool(cause)
