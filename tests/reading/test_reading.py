"""Damaged files of the package: one line that names the file, never a traceback, never a silent answer."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import k2repro
from k2repro.errors import K2ReproError
from k2repro.reading import read_text, shipped_lines

PACKAGE = Path(k2repro.__file__).parent
EMULATE = ("emulate", "--model", "k2-think", "--device", "H100-SXM")
FILES = {
    "wafer/data/parameters.toml": EMULATE,
    "wafer/data/hardware.csv": EMULATE,
    "wafer/data/model_shapes.csv": EMULATE,
    "wafer/data/precisions.csv": EMULATE,
    "wafer/data/names.toml": EMULATE,
    "wafer/data/families.toml": EMULATE,
    "wafer/data/priors.csv": EMULATE,
    "wafer/data/decode_rates.csv": ("score-rates",),
    "paper/claims.toml": ("claims",),
    "paper/data/table1_main_results.csv": ("claims",),
    "paper/data/fig4_rl_curves_digitised.csv": ("claims",),
}
DAMAGES = {
    "emptied": lambda content: b"",
    "cut in the second line": lambda content: content[: content.index(b"\n") + 30],
    "cut after the first line": lambda content: content.split(b"\n")[0] + b"\n",
    "one byte of another encoding": lambda content: content[:200] + b"\xe4" + content[200:],
    "deleted": lambda content: None,
}


@pytest.fixture(scope="module")
def installation(tmp_path_factory) -> Path:
    """A copy of the package as a wheel would install it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(PACKAGE, folder / "k2repro", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(installation: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(installation), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "k2repro", *arguments],
        capture_output=True,
        text=True,
        cwd=installation,
        env=environment,
    )


@pytest.mark.parametrize("command", sorted(set(FILES.values())), ids=" ".join)
def test_an_undamaged_installation_answers(installation, command):
    """Catches a copy that proves nothing below: every command works before anything is damaged."""
    result = run(installation, *command)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named(installation, name, damage):
    """Catches sixteen tracebacks from damaged data, and a number computed from half a table."""
    path = installation / "k2repro" / name
    before = path.read_bytes()
    after = DAMAGES[damage](before)
    try:
        if after is None:
            path.unlink()
        else:
            path.write_bytes(after)
        result = run(installation, *FILES[name])
    finally:
        path.write_bytes(before)
    assert "Traceback" not in result.stderr
    assert result.returncode == 2, result.stdout[-300:]
    assert path.name in result.stderr or path.stem in result.stderr, result.stderr


def test_a_file_in_another_encoding_says_what_to_do(tmp_path):
    """Catches a UnicodeDecodeError for rows that a spreadsheet saved."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes("Zürich".encode("latin-1"))
    with pytest.raises(K2ReproError, match=r"rows\.jsonl is not UTF-8 text \(byte 1\).*spreadsheet"):
        read_text(path)


def test_a_line_that_cannot_be_read_is_named_with_its_number(monkeypatch):
    """Catches `float('')` told without file and line."""
    monkeypatch.setattr("k2repro.reading.shipped_text", lambda package, name: "a,b\n1,2\n,3\n")
    with pytest.raises(K2ReproError, match=r"data/x\.csv line 3: could not convert"):
        shipped_lines("k2repro.wafer", "data/x.csv", lambda line: float(line["a"]))


def test_nested_json_is_no_crash(tmp_path):
    """Catches a RecursionError from a row file or a config of brackets alone."""
    from k2repro.architecture import ModelConfig
    from k2repro.results.rows import read_rows

    path = tmp_path / "config.json"
    path.write_text("[" * 200_000, encoding="utf-8")
    for read in (read_rows, ModelConfig.from_file):
        with pytest.raises(K2ReproError, match=r"config\.json"):
            read(path)
    assert json.loads("[[]]") == [[]]
