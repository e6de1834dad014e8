"""The parameters cell: an edit counts, a profile brings its sizes, a slip is named."""

import ast
import re
import subprocess
import sys

import nbformat
import pytest

from k2repro.errors import K2ReproError
from k2repro.notebook.build import build
from k2repro.notebook.parameters import Parameter, checked_parameters, declared, fold, parameters_cell
from k2repro.notebook.source import read_source, source_names
from k2repro.results import Places
from k2repro.results.profiles import NotebookPlan, Profile

PLACES = Places.find()
NAMES = source_names(PLACES)
SIZES = [(name, parameter) for name in NAMES for parameter in declared(PLACES.sources / f"{name}.py")]


def values_of(name: str, cell: str) -> dict:
    namespace: dict = {}
    for node in ast.parse(cell).body:
        namespace[node.targets[0].id] = ast.literal_eval(node.value)
    return checked_parameters(name, namespace)


def another(parameter: Parameter):
    """A value inside the range that is not the default."""
    default = parameter.default
    if isinstance(default, list):
        return default[:-1]
    return parameter.low if default != parameter.low else parameter.high


@pytest.mark.parametrize(("name", "changed"), [case for case in SIZES if case[1] != "profile"])
def test_an_edit_of_the_cell_is_what_counts(name, changed):
    """Catches a cell that looks like a control and is overridden afterwards."""
    path = PLACES.sources / f"{name}.py"
    cell, parameter = parameters_cell(path), declared(path)[changed]
    value = type(parameter.default)(another(parameter))
    values = values_of(name, fold(cell, {changed: value}))
    assert values[changed] == value != parameter.default
    assert values == values_of(name, cell) | {changed: value}


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_asks_for_its_own_parameters_and_uses_them(name):
    """Catches a copied cell that checks another notebook, a parameter that nothing reads, a missing range."""
    path = PLACES.sources / f"{name}.py"
    code = "\n".join(cell.source for cell in read_source(path).cells if cell.cell_type == "code")
    assert f'globals().update(checked_parameters("{name}", globals()))' in code
    after = code.split("checked_parameters(")[-1]
    for parameter in declared(path).values():
        assert parameter.name in after, f"{parameter.name} is never used"
        assert parameter.name == "profile" or parameter.high < float("inf"), f"{parameter.name} has no range"


@pytest.fixture
def planned(monkeypatch):
    """A profile `smoke` that plans a shorter context for notebook 01."""
    plan = NotebookPlan(60, 2000, parameters={"context_length": 2048, "batch_size": 2})
    profile = Profile("smoke", "test", 1, {"01_architecture": plan})
    monkeypatch.setattr("k2repro.notebook.parameters.load_profile", lambda name: profile)


def test_another_profile_brings_its_sizes_and_an_edit_goes_first(planned):
    """Catches `-p profile smoke` that runs the laptop's sizes under the name of smoke."""
    cell = parameters_cell(PLACES.sources / "01_architecture.py")
    smoke = values_of("01_architecture", fold(cell, {"profile": "smoke"}))
    assert (smoke["context_length"], smoke["batch_size"]) == (2048, 2)
    edited = values_of("01_architecture", fold(cell, {"profile": "smoke", "batch_size": 7}))
    assert (edited["context_length"], edited["batch_size"]) == (2048, 7)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch_size": "many"}, "is str, its default 1 is int"),
        ({"batch_size": 2.5}, "is float"),
        ({"batch_size": 0}, "0 is outside 1 .. 1024"),
        ({"batch_size": True}, "is bool"),
        ({"profile": "laptp"}, "did you mean 'laptop'"),
    ],
)
def test_a_slip_is_refused_with_its_name(change, named):
    """Catches a wrong value that surfaces an hour later, or is taken for another one."""
    known = declared(PLACES.sources / "01_architecture.py")
    namespace = {name: parameter.default for name, parameter in known.items()} | change
    with pytest.raises(K2ReproError, match=re.escape(named)):
        checked_parameters("01_architecture", namespace)


@pytest.mark.parametrize(
    ("default", "value", "named"),
    [
        ([0, 1], [], "is empty"),
        ([0, 1], [0, "1"], "member '1' is str"),
        ([0, 1], [-1], "-1 is outside"),
        (0.5, 1.5, "1.5 is outside"),
        (0.5, float("nan"), "nan is outside"),
        (0.5, 1, None),
    ],
)
def test_lists_and_shares_are_checked_member_by_member(default, value, named):
    """Catches a range that looks at a list as a whole, and NaN, which is outside of nothing."""
    parameter = Parameter("x", default, 0, 1)
    if named is None:
        assert parameter.check(value, "02") == value
        return
    with pytest.raises(K2ReproError, match=re.escape(named)):
        parameter.check(value, "02")


def test_a_cell_that_was_not_run_is_named():
    """Catches a NameError for somebody who restarted the kernel and ran the second cell."""
    with pytest.raises(K2ReproError, match="Run the parameters cell first"):
        checked_parameters("01_architecture", {"profile": "laptop"})


SOURCE_CELL = """
from k2repro.notebook.parameters import checked_parameters
from k2repro.results import Fingerprint, Row, write_rows
import os
from pathlib import Path
row = Row("demo.size", size, "count", None, None, None, (), profile, "0"*16,
          "1"*16, "2"*16, Fingerprint("3.11", "2.13.0", "AVX2", 1), "exact")
write_rows(Path(os.environ.get("K2REPRO_RUN", ".")) / "rows" / "01_demo.jsonl", [row])
print("size", size)
"""


def text_of(path) -> str:
    cells = nbformat.read(path, as_version=4).cells
    return "".join(o.get("text", "") for c in cells if c.cell_type == "code" for o in c.outputs)


@pytest.mark.slow
def test_a_built_notebook_holds_its_values_and_papermill_runs_it_on(checkout, write_source):
    """Catches papermill's injected copy, which overrides whatever a reader changes above it."""
    write_source("01_demo", SOURCE_CELL, parameters='profile = "laptop"\nsize = 4  # 1 .. 9')
    profile = Profile("laptop", "test", 1, {"01_demo": NotebookPlan(60, 2000, parameters={"size": 7})})
    folder = checkout.root / "build"
    build("01", profile, checkout, folder, progress=False)
    built = folder / "notebooks" / "01_demo.ipynb"
    cells = nbformat.read(built, as_version=4).cells
    assert [c.source for c in cells if "parameters" in c.metadata.get("tags", [])] == [
        'profile = "laptop"\nsize = 7  # 1 .. 9'
    ]
    assert not any("injected-parameters" in c.metadata.get("tags", []) for c in cells)
    assert "size 7" in text_of(built)
    command = [sys.executable, "-m", "papermill", str(built), "out.ipynb", "-p", "size", "9"]
    subprocess.run(command, check=True, capture_output=True, cwd=checkout.root)
    assert "size 9" in text_of(checkout.root / "out.ipynb")
