"""Measured rates as rows: the columns of `decode_rates.csv`, then what was predicted beforehand.

Two files, and their order is the point. `predictions.csv` is written, whole, before the first
model is decoded. `rates.csv` gets one row per finished measurement, and repeats the prediction that
was already on file.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.results.atomic import write_text

_SCHEMA = """
id model params_b active_params_b precision weight_read_gb weight_basis kv_bytes_per_token batch context_in
context_out mean_context hardware n_devices bandwidth_gbs_per_device parallelism framework metric_kind
spec_decode tok_s_per_user tok_s_total roofline_fraction source source_url source_locator confidence
use_for_scoring note
"""
_EXTRA = """
predicted_tok_s predicted_low predicted_high predicted_at measured_at error_percent share_of_read_percent
others_cores machine
"""
SCHEMA, EXTRA = tuple(_SCHEMA.split()), tuple(_EXTRA.split())


@dataclass(frozen=True)
class PlannedRow:
    """A prediction that is on file: tokens/s with its 80 % interval, when, and for which machine.

    The fields are the columns of `predictions.csv`. machine: first digits of the hash of the machine file
    that it was computed from.
    """

    id: str
    model: str
    precision: str
    context: int
    predicted_tok_s: float
    predicted_low: float
    predicted_high: float
    predicted_at: str
    machine: str

    def as_cells(self) -> dict[str, str]:
        """The cells of a line of `predictions.csv`."""
        return {
            name: f"{value:.4g}" if isinstance(value, float) else str(value)
            for name, value in vars(self).items()
        }

    @staticmethod
    def from_cells(line: Mapping[str, str]) -> "PlannedRow":
        """The prediction of such a line."""
        return PlannedRow(
            line["id"],
            line["model"],
            line["precision"],
            int(line["context"]),
            float(line["predicted_tok_s"]),
            float(line["predicted_low"]),
            float(line["predicted_high"]),
            line["predicted_at"],
            line["machine"],
        )


PREDICTION_COLUMNS = tuple(field.name for field in fields(PlannedRow))


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> Path:
    """Write a CSV file, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_text(path, text.getvalue())


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The lines of a CSV file, none when it does not exist; K2ReproError without the columns."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise K2ReproError(
                f"{path.name} lacks the column(s) {', '.join(missing)}; it was not "
                "written by `k2repro measure`: move it away"
            )
        return list(reader)


def append_row(path: Path, row: Mapping[str, str]) -> None:
    """Add a row to `rates.csv`, in place of an older one with the same id."""
    columns = (*SCHEMA, *EXTRA)
    kept = [old for old in read_table(path, columns) if old["id"] != row["id"]]
    write_table(path, columns, [*kept, row])
