"""Catches a row that names the machine of its reader: "same fingerprint: identical" would promise nothing.

What trained models answered was decided where they were trained. A notebook opened elsewhere reads those
artifacts and computes the same numbers, so its rows have to carry the other machine.
"""

import json
from pathlib import Path

from k2repro.results.fingerprint import Fingerprint
from k2repro.results.provenance import made_on
from k2repro.results.rowbook import RowBook

HERE = Fingerprint(python="3.11", torch="2.13.0", cpu_capability="AVX2", threads=2)
ELSEWHERE = {"python": "3.12", "torch": "2.12.0", "cpu_capability": "AVX512"}


def artifact(folder: Path, name: str, **provenance: str) -> Path:
    (folder / name).mkdir()
    (folder / name / "manifest.json").write_text(json.dumps({"provenance": provenance}))
    return folder / name


def book(folder: Path) -> RowBook:
    return RowBook(
        "02_sft",
        profile="laptop",
        params_hash="a" * 16,
        code="b" * 16,
        data="c" * 16,
        where=HERE,
        folder=folder,
    )


def test_rows_of_models_carry_the_machine_that_made_them(tmp_path):
    """Catches a rebuilt notebook that claims shipped models for its own machine."""
    rows = book(tmp_path)
    rows.rest_on(made_on([artifact(tmp_path, "a", **ELSEWHERE)]))
    rows.add("sft.drawn", 0.5, unit="fraction", of_models=True)
    rows.add("sft.live", 0.5, unit="fraction")
    assert rows["sft.drawn"].fingerprint == Fingerprint(**ELSEWHERE, threads=HERE.threads)
    assert rows["sft.live"].fingerprint == HERE


def test_two_machines_equal_no_single_one(tmp_path):
    """Catches a mixed campaign, half shipped and half made here, that passes for one of the two."""
    folders = [
        artifact(tmp_path, "a", **ELSEWHERE),
        artifact(tmp_path, "b", **{**ELSEWHERE, "cpu_capability": "AVX2"}),
    ]
    assert made_on(folders)["cpu_capability"] == "AVX2+AVX512"
    assert made_on(folders)["torch"] == "2.12.0"


def test_an_artifact_without_a_machine_decides_nothing(tmp_path):
    """Catches a crash on artifacts from before manifests named a machine."""
    rows = book(tmp_path)
    rows.rest_on(made_on([artifact(tmp_path, "old")]))
    rows.add("sft.drawn", 0.5, unit="fraction", of_models=True)
    assert rows["sft.drawn"].fingerprint == HERE


def test_every_shipped_artifact_names_its_machine():
    """Catches an artifact that ships without saying where its bits come from."""
    for manifest in (Path(__file__).parents[2] / "artifacts").glob("*/*/*/manifest.json"):
        assert set(made_on([manifest.parent])) == {"python", "torch", "cpu_capability"}, manifest
