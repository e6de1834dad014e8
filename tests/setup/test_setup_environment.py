"""What is installed: pyproject.toml, constraints.txt, environment.yml and every install line agree."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
NAME = PROJECT["project"]["name"]
INSTALL = re.compile(r"\bpip3?\s+install\b(?!ed|s)", re.IGNORECASE)


def read_pins(text: str) -> dict[str, Version]:
    """name -> pinned version; anything but `name==version` is an error."""
    pins = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            requirement = Requirement(line)
            [pin] = requirement.specifier
            assert pin.operator == "==", line
            pins[canonical(requirement.name)] = Version(pin.version)
    return pins


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def unsatisfied(requirements: list[str], pins: dict[str, Version]) -> list[str]:
    """Requirements without a pin, or whose pin does not satisfy them."""
    wrong = []
    for text in requirements:
        requirement = Requirement(text)
        pin = pins.get(canonical(requirement.name))
        if pin is None or not requirement.specifier.contains(pin, prereleases=True):
            wrong.append(text)
    return wrong


def all_requirements() -> list[str]:
    """Everything that pyproject.toml asks for, its own extras left out."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    listed = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    listed += [text for extra in extras for text in extra]
    return [text for text in listed if canonical(Requirement(text).name) != NAME]


def unconstrained(text: str) -> list[str]:
    """Lines that install with pip and do not name the constraints."""
    lines = [line for line in text.splitlines() if INSTALL.search(line)]
    return [line for line in lines if not re.search(r"(-c|--constraint)[ =]\S*constraints\.txt", line)]


PINS = read_pins((ROOT / "constraints.txt").read_text())


def test_every_requirement_has_a_pin_that_satisfies_it() -> None:
    """An unpinned dependency: tomorrow's release would install itself and change results."""
    assert len(all_requirements()) > 20
    assert unsatisfied(all_requirements(), PINS) == []


@pytest.mark.parametrize("wrong", ["numpy>=99", "not-a-package-of-ours>=1", "torch<2.13"])
def test_a_requirement_without_its_pin_is_noticed(wrong: str) -> None:
    """A check that never fails: wrong twins, too new, absent and too old."""
    assert unsatisfied([wrong], PINS) == [wrong]


def test_torch_is_pinned_without_a_build_tag() -> None:
    """CUDA by accident, or a pin that no other platform can meet: 2.13.0 and no +cpu."""
    assert re.findall(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text(), re.M) == ["2.13.0"]
    assert "torch==2.13.0" in PROJECT["project"]["optional-dependencies"]["torch"]


def test_constraints_hold_nothing_but_pins() -> None:
    """A range, an index or a URL in constraints.txt: each line is one name and one version."""
    with pytest.raises(AssertionError):
        read_pins("numpy>=2.1")
    assert len(PINS) > 100


def test_the_all_extra_is_all_of_them() -> None:
    """An extra that nobody installs, so that its tests fail on a fresh clone only."""
    extras = PROJECT["project"]["optional-dependencies"]
    [everything] = extras["all"]
    assert Requirement(everything).extras == set(extras) - {"all"}


def wanted_here(requirements: list[str], environment: dict[str, str] | None = None) -> set[str]:
    """Names of the requirements whose marker holds on this system, or in `environment`."""
    parsed = [Requirement(text) for text in requirements]
    return {canonical(r.name) for r in parsed if r.marker is None or r.marker.evaluate(environment)}


def test_this_interpreter_has_the_pinned_versions() -> None:
    """An environment that drifted from its pins: numbers of another numpy or torch."""
    from importlib.metadata import version

    required = wanted_here(all_requirements())
    installed = {name: Version(version(name)).public for name in required}
    assert installed == {name: str(PINS[name]) for name in required}


def unpinned_below(name: str, pins: dict[str, Version]) -> set[str]:
    """Installed distributions that `name` pulls in, directly or not, and that have no pin."""
    from importlib.metadata import requires

    found: set[str] = set()
    waiting = [(name, frozenset({"all"}) if name == NAME else frozenset())]
    done = set()
    while waiting:
        parent, extras = waiting.pop()
        if (parent, extras) in done:
            continue
        done.add((parent, extras))
        for requirement in map(Requirement, requires(parent) or []):
            chosen = [{"extra": extra} for extra in extras] or [{"extra": ""}]
            if requirement.marker is None or any(map(requirement.marker.evaluate, chosen)):
                child = canonical(requirement.name)
                waiting.append((child, frozenset(requirement.extras)))
                found |= {child} - pins.keys() - {NAME}
    return found


def reachable(requirements: list[str]) -> set[str]:
    """Names that an installation may ask for on any system: of the markers only the extras count."""
    from importlib.metadata import PackageNotFoundError, requires

    waiting = [Requirement(text) for text in requirements]
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        asked = waiting.pop()
        name, extras = canonical(asked.name), frozenset(asked.extras)
        if (name, extras) in done:
            continue
        done.add((name, extras))
        try:
            below = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:  # of another system
            continue
        for requirement in below:
            only_for = re.findall(r"extra == [\"']([^\"']+)", str(requirement.marker))
            if not only_for or extras & set(only_for):
                waiting.append(requirement)
    return {name for name, _ in done}


def test_no_pin_is_left_over() -> None:
    """Pins of packages that nothing asks for: they age, alarm scanners, and are installed by nobody."""
    needed = reachable([*all_requirements(), *PROJECT["build-system"]["requires"]])
    assert PINS.keys() - needed - {"pip"} == set()
    assert "gguf" not in needed


def test_everything_below_the_requirements_is_pinned_too() -> None:
    """A pin that stops at the first level: a dependency of a dependency may change results as well."""
    assert unpinned_below(NAME, PINS) == set()
    pins = {name: pin for name, pin in PINS.items() if name != "antlr4-python3-runtime"}
    assert unpinned_below(NAME, pins) == {"antlr4-python3-runtime"}


@pytest.mark.parametrize(
    ("system", "machine", "is_wanted"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", True),
        ("linux", "riscv64", False),
        ("darwin", "arm64", False),
        ("win32", "AMD64", False),
    ],
)
def test_a_sandbox_for_linux_is_asked_for_on_linux_only(system: str, machine: str, is_wanted: bool) -> None:
    """An install that fails on a Mac: sandlock has wheels for two Linux processors and no other."""
    wanted = wanted_here(all_requirements(), {"sys_platform": system, "platform_machine": machine})
    assert ("sandlock" in wanted) is is_wanted
    assert {"python-flint", "pydantic-monty", "trl"} <= wanted


def test_conda_environment_installs_through_the_constraints() -> None:
    """A conda user with other versions than everybody else."""
    [pip_part] = [part["pip"] for part in ENVIRONMENT["dependencies"] if isinstance(part, dict)]
    assert pip_part == ["-c constraints.txt", "-e .[all]"]
    assert ENVIRONMENT["name"] == NAME
    assert ENVIRONMENT["channels"] == ["conda-forge"]
    assert {"python=3.11", "pip"} <= {p for p in ENVIRONMENT["dependencies"] if isinstance(p, str)}


def project_files() -> list[Path]:
    """Text files that are tracked or about to be, without the tests; the whole tree where git is not."""
    if (ROOT / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [ROOT / line for line in listed.stdout.splitlines()]
    else:
        paths = [path for path in ROOT.rglob("*") if ROOT / ".venv" not in path.parents]
    return [path for path in paths if is_text(path) and ROOT / "tests" not in path.parents]


def is_text(path: Path) -> bool:
    """Whether a file is UTF-8 text, and not a built notebook."""
    if not path.is_file() or path.suffix == ".ipynb":
        return False
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def test_every_install_line_uses_the_constraints() -> None:
    """The CUDA trap: one unpinned `pip install` anywhere pulls another torch and gigabytes."""
    files = project_files()
    assert ROOT / "README.md" in files and ROOT / "tools" / "bootstrap.py" in files
    found = {str(path.relative_to(ROOT)): unconstrained(path.read_text()) for path in files}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("line", "is_wrong"),
    [
        ("pip install torch", True),
        ("run: python -m pip  install -U k2repro", True),
        ("pip3 install -e .[all]", True),
        ("pip install -c constraints.txt -e .[all]", False),
        ("pip install --constraint=../constraints.txt torch", False),
        ("what pip installed", False),
    ],
)
def test_install_lines_are_recognised(line: str, is_wrong: bool) -> None:
    """A pattern that sees no install line at all: wrong and right twins."""
    assert bool(unconstrained(line)) is is_wrong


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def loose_actions(text: str) -> list[str]:
    """Actions that are named by a tag, which their owner may move, and not by a commit."""
    return [used for used in re.findall(r"uses:\s*(\S+)", text) if not re.search(r"@[0-9a-f]{40}$", used)]


def test_every_action_of_the_workflows_is_pinned_to_a_commit() -> None:
    """A tag that is moved to other code, which then runs with this repository's token."""
    assert WORKFLOWS
    assert {path.name: loose_actions(path.read_text()) for path in WORKFLOWS} == {"ci.yml": []}
    assert loose_actions("- uses: actions/checkout@v6") == ["actions/checkout@v6"]
    assert loose_actions(f"- uses: actions/checkout@{'a' * 40}  # v6") == []


def test_no_workflow_leaves_its_token_in_the_checkout() -> None:
    """A script of a pull request that reads the token from .git/config."""
    jobs = [job for path in WORKFLOWS for job in yaml.safe_load(path.read_text())["jobs"].values()]
    checkouts = [s for job in jobs for s in job["steps"] if s.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(jobs)
    assert {step["with"]["persist-credentials"] for step in checkouts} == {False}


def test_workflow_runs_the_common_script_and_keeps_the_build() -> None:
    """A CI that checks something else than what everybody runs, or loses the evidence."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert set(workflow["jobs"]) == {"run", "laptop"}
    [weekly] = [step["run"] for step in workflow["jobs"]["laptop"]["steps"] if "run" in step]
    assert weekly == "make reproduce PROFILE=laptop"
    assert workflow[True]["schedule"], "YAML reads the key `on` as true"
    job = workflow["jobs"]["run"]
    steps = job["steps"]
    assert job["runs-on"] == "ubuntu-latest"
    assert [step["run"] for step in steps if "run" in step] == ["bash .ci/run"]
    [python] = [s["with"] for s in steps if s.get("uses", "").startswith("actions/setup-python@")]
    assert python["python-version"] == "3.11"
    assert (ROOT / python["cache-dependency-path"]).is_file()
    [upload] = [s for s in steps if s.get("uses", "").startswith("actions/upload-artifact@")]
    assert upload["if"] == "failure()"
    assert "build/" in upload["with"]["path"]
    assert workflow["permissions"] == {"contents": "read"}


def test_citation_fits_the_project() -> None:
    """A citation of another version or licence than the one in hand."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]
    assert "Apache License" in (ROOT / "LICENSE").read_text().splitlines()[1]


def test_version_is_the_same_everywhere() -> None:
    """Two version numbers: the package says what pyproject.toml says."""
    code = "import k2repro; print(k2repro.__version__)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == PROJECT["project"]["version"]
