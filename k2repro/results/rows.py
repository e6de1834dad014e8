"""Rows: a number exists in this project only as a row with its provenance (DESIGN section 4).

A file of rows is JSON lines, sorted by id, one canonical spelling per row, so that two runs can be
compared by their bytes. Wall times never enter a row; they go to `timings.jsonl`.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from k2repro.errors import K2ReproError
from k2repro.reading import read_text
from k2repro.results.atomic import canonical_json, write_text
from k2repro.results.fingerprint import Fingerprint

Scale = Literal["exact", "mini", "real"]
ROW_ID = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
HASH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Row:
    """One number that this repository measured or recomputed.

    id               dotted path that starts with the room: `architecture.k2-think.parameters.total`
    value, unit      finite int or float, and what it counts
    n                how many independent items stand behind it; None for exact quantities
    interval         (low, high) in the unit of `value`, with the method and level that gave it
    seeds            every seed that took part
    by_seed          the same number for each seed alone, in the order of `seeds`; empty where there is none
    params_hash      of the parameters; code_hash of the sources; data_hash of the inputs
    scale            "exact" recomputed from facts, "mini" measured on mini-K2, "real" on real weights
    paper_ref        the published statement that it stands beside
    """

    id: str
    value: int | float
    unit: str
    n: int | None
    interval: tuple[float, float] | None
    interval_method: str | None
    seeds: tuple[int, ...]
    profile: str
    params_hash: str
    code_hash: str
    data_hash: str
    fingerprint: Fingerprint
    scale: Scale
    paper_ref: str | None = None
    by_seed: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        _check_row(self)

    def as_dict(self) -> dict[str, Any]:
        record = asdict(self)
        if not self.by_seed:
            del record["by_seed"]
        return record

    def as_line(self) -> str:
        """The row's only spelling on disk."""
        return canonical_json(self.as_dict())

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Row":
        """Inverse of `as_dict`; raises K2ReproError that names the missing, unknown or wrong field."""
        if not isinstance(record, Mapping):
            raise K2ReproError(f"{record!r} is not a row: a JSON object is needed")
        names = {field.name for field in fields(cls)}
        missing, extra = sorted(names - {"by_seed"} - set(record)), sorted(set(record) - names)
        if missing or extra:
            raise K2ReproError(f"row {record.get('id')!r}: missing fields {missing}, unknown fields {extra}")
        values = dict(record)
        try:
            values["fingerprint"] = Fingerprint(**record["fingerprint"])
        except TypeError as error:
            raise K2ReproError(
                f"row {record['id']!r}: fingerprint {record['fingerprint']!r}: {error}"
            ) from None
        values["seeds"] = tuple(record["seeds"])
        values["by_seed"] = tuple(record.get("by_seed", ()))
        if record["interval"] is not None:
            values["interval"] = tuple(record["interval"])
        return cls(**values)


def _is_finite_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_row(row: Row) -> None:
    """Each rule with the value that breaks it; a bad row is never written."""
    low_high = row.interval
    rules = [
        (
            isinstance(row.id, str) and ROW_ID.fullmatch(row.id),
            f"id {row.id!r} is not a dotted lower-case path",
        ),
        (_is_finite_number(row.value), f"value {row.value!r} is not a finite number"),
        (
            isinstance(row.unit, str) and row.unit,
            f"unit {row.unit!r} is empty; write 'count' or 'ratio' at least",
        ),
        (row.n is None or (type(row.n) is int and row.n > 0), f"n {row.n!r} is not a positive integer"),
        (row.scale in get_args(Scale), f"scale {row.scale!r}; choose from {', '.join(get_args(Scale))}"),
        ((low_high is None) == (row.interval_method is None), "interval and interval_method go together"),
        (
            low_high is None
            or (len(low_high) == 2 and all(map(_is_finite_number, low_high)) and low_high[0] <= low_high[1]),
            f"interval {low_high!r} is not a finite (low, high)",
        ),
        (all(type(seed) is int for seed in row.seeds), f"seeds {row.seeds!r} are not integers"),
        (
            not row.by_seed
            or len(row.by_seed) == len(row.seeds)
            and all(map(_is_finite_number, row.by_seed)),
            f"by_seed {row.by_seed!r} is not one finite number for each of the seeds {row.seeds!r}",
        ),
        (row.scale == "exact" or row.n is not None, "a measured row needs n, the number of items behind it"),
        (
            all(
                isinstance(h, str) and HASH.fullmatch(h)
                for h in (row.params_hash, row.code_hash, row.data_hash)
            ),
            "params_hash, code_hash and data_hash are 16 hexadecimal digits each",
        ),
    ]
    for holds, complaint in rules:
        if not holds:
            raise K2ReproError(f"row {row.id!r}: {complaint}")


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """Write rows sorted by id, whole or not at all; raises K2ReproError on an id that stands twice."""
    ordered = sorted(rows, key=lambda row: row.id)
    for first, second in zip(ordered, ordered[1:], strict=False):
        if first.id == second.id:
            raise K2ReproError(f"row {first.id!r} stands twice; an id names one number")
    return write_text(path, "".join(row.as_line() + "\n" for row in ordered))


def read_rows(path: Path) -> dict[str, Row]:
    """Rows of one file by id; a broken line is named by file and number, nothing is overwritten."""
    return rows_of_text(read_text(path), path.name)


def rows_of_text(text: str, name: str) -> dict[str, Row]:
    """Rows by id from the lines of a file called `name`, as `read_rows`."""
    rows: dict[str, Row] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            row = Row.from_dict(json.loads(line))
        except (json.JSONDecodeError, K2ReproError, TypeError, RecursionError) as error:
            raise K2ReproError(
                f"{name} line {number}: {error}. Usual cause: a run that was stopped by hand or a "
                "merge conflict. Move the file aside and rebuild the notebook"
            ) from None
        if row.id in rows:
            raise K2ReproError(f"{name} line {number}: row {row.id!r} stands twice")
        rows[row.id] = row
    return rows


def load_rows(place: Path) -> dict[str, Row]:
    """Rows of a file, or of every `*.jsonl` in a folder; an id may come from one notebook only."""
    if place.is_file():
        return read_rows(place)
    rows: dict[str, Row] = {}
    for path in sorted(place.glob("*.jsonl")):
        found = read_rows(path)
        twice = sorted(set(found) & set(rows))
        if twice:
            raise K2ReproError(f"{path.name}: row {twice[0]!r} is already written by another notebook")
        rows.update(found)
    return rows
