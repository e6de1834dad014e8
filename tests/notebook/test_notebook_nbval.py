"""nbval must compare: a committed table that was altered by one digit has to fail."""

import subprocess
import sys

import nbformat
import pytest

from k2repro.results import Places


@pytest.mark.slow
def test_nbval_fails_on_an_altered_result_table(tmp_path):
    """Catches nbval passing vacuously: stripped outputs, a blanket ignore tag, a lax mode."""
    path = Places.find().notebooks / "00_start_here.ipynb"
    notebook = nbformat.read(path, as_version=4)
    altered = alter_first_compared_table(notebook)
    nbformat.write(notebook, tmp_path / path.name)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbval",
            "-q",
            "-p",
            "no:cacheprovider",
            str(tmp_path / path.name),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert run.returncode == 1, run.stdout[-2000:]
    assert f"::Cell {altered}" in run.stdout


def alter_first_compared_table(notebook):
    """Change one digit in the first compared table; returns the number of the code cell."""
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code_cells):
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            continue
        for output in cell.outputs:
            text = output.get("data", {}).get("text/plain", "")
            digits = [place for place, letter in enumerate(text) if letter.isdigit()]
            if output.output_type == "display_data" and digits:
                place = digits[-1]
                wrong = str((int(text[place]) + 1) % 10)
                output.data["text/plain"] = text[:place] + wrong + text[place + 1 :]
                return number
    raise AssertionError("no cell of the notebook is compared by nbval")


def test_every_cell_that_prints_has_an_output_to_compare():
    """Catches committed notebooks without outputs, on which nbval passes and checks nothing."""
    for path in sorted(Places.find().notebooks.glob("*.ipynb")):
        code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        assert all(cell.execution_count for cell in code), path.name
        compared = [
            cell
            for cell in code
            if cell.outputs and "nbval-ignore-output" not in cell.metadata.get("tags", [])
        ]
        assert compared, f"{path.name}: nothing is compared"
