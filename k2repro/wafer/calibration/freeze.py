"""`python -m k2repro.wafer.calibration.freeze YYYY-MM-DD`: refit on the shipped rows, write the frozen file.

Deterministic: the same rows give the same file, byte for byte. The date is an argument, because a
clock would make two runs differ.
"""

import datetime as dt
import hashlib
import sys
from importlib import resources
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.wafer.calibration.baselines import fit_family_efficiencies
from k2repro.wafer.calibration.fit import fit_parameters, fitting_rows, make_sample
from k2repro.wafer.calibration.mesh_fit import fit_mesh
from k2repro.wafer.calibration.rates import Rate, load_rates
from k2repro.wafer.calibration.widths import calibrate
from k2repro.wafer.model.intervals import LEVEL, NOVELTIES
from k2repro.wafer.model.parameters import PRIORS


def _list(name: str, values: list[str], per_line: int = 12) -> str:
    chunks = [values[i : i + per_line] for i in range(0, len(values), per_line)]
    lines = ",\n".join("    " + ", ".join(f'"{value}"' for value in chunk) for chunk in chunks)
    return f"{name} = [\n{lines},\n]\n"


def hash_rows(rows: list[Rate]) -> str:
    """SHA-256 over id and every number that the fit used, in id order."""
    text = "\n".join(
        f"{row.id} {row.tokens_per_second!r} {row.workload()!r}"
        for row in sorted(rows, key=lambda row: row.id)
    )
    return hashlib.sha256(text.encode()).hexdigest()


def render(date: str) -> str:
    """The text of `parameters.toml`: parameters, interval widths, mesh, and what they saw."""
    table = load_rates()
    rows = fitting_rows(table)
    wafer_rows = [row for row in table.rates if row.device.name == "WSE-2"]
    sample = make_sample(rows)
    parameters = fit_parameters(sample)
    widths = calibrate(sample, parameters)
    mesh = fit_mesh(wafer_rows)
    values = parameters.as_dict()
    out = [
        "# Written by `python -m k2repro.wafer.calibration.freeze`; do not edit by hand.\n",
        f'date = "{date}"\nlevel = {LEVEL}\n',
        "\n[roofline]\n",
    ]
    for prior in PRIORS:
        out.append(
            f"# {prior.meaning} [{prior.unit}]; prior {prior.value:g}\n"
            f'"{prior.name}" = {values[prior.name]:.6g}\n'
        )
    out.append("\n# Half-widths of log(rate) at that level, in uncertainty scales.\n[interval]\n")
    out += [f"{name} = {widths.by_novelty[name]:.6g}\n" for name in NOVELTIES]
    for part, families in (("new_source", widths.new_source), ("known_source", widths.known_source)):
        out.append(f"[interval.family_{part}]\n")
        out += [f"{name} = {value:.6g}\n" for name, value in sorted(families.items())]
    out.append("\n# The simple model: share of bandwidth by family, nothing else.\n[simple]\n")
    simple = fit_family_efficiencies(sample)
    out += [f"{name} = {value:.6g}\n" for name, value in sorted(simple.items())]
    out.append(
        "\n# WSE-2 rows only; WSE-3 rates are predicted, never fitted.\n[mesh]\n"
        f"start_s = {mesh.start_s:.6g}\nhop_s = {mesh.hop_s:.6g}\n"
        f"load_s_per_kb = {mesh.load_s_per_kb:.6g}\n"
    )
    out.append(
        f'\n[fitted_on]\nrows_sha256 = "{hash_rows(rows)}"\n'
        f'mesh_rows_sha256 = "{hash_rows(wafer_rows)}"\nrow_count = {len(rows)}\n'
    )
    out.append(_list("sources", sorted({row.source for row in rows}), 4))
    out.append(_list("rows", sorted(row.id for row in rows)))
    out.append(_list("mesh_rows", sorted(row.id for row in wafer_rows)))
    return "".join(out)


def main(arguments: list[str]) -> int:
    """Write the file; returns the exit code."""
    try:
        dt.date.fromisoformat(arguments[0])
    except (IndexError, ValueError):
        sys.stderr.write("usage: python -m k2repro.wafer.calibration.freeze YYYY-MM-DD\n")
        return 2
    path = Path(str(resources.files("k2repro.wafer").joinpath("data/parameters.toml")))
    try:
        text = render(arguments[0])
    except K2ReproError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    partial = path.with_suffix(".toml.part")
    partial.write_text(text, "utf-8")
    partial.replace(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
