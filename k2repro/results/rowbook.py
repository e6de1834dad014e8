"""The notebook's side of rows: open a book, add numbers, save.

    rows = open_rows("01_architecture", profile=profile, parameters={"context_length": 32768})
    rows.add("architecture.k2-think.parameters.total", 32_763_876_352, unit="parameters")
    rows.save()

Provenance (hashes, fingerprint, profile) is filled in here, so that no notebook can forget it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.results.fingerprint import Fingerprint, fingerprint
from k2repro.results.hashing import code_hash, hash_value
from k2repro.results.places import Places, rows_directory, writable_folder
from k2repro.results.profiles import load_profile
from k2repro.results.rows import Row, Scale, load_rows, read_rows, write_rows

# Whose results are measured on real weights, by `k2repro evaluate`.
REAL_PROFILE = "endpoint"


@dataclass(eq=False, repr=False)
class RowBook(Mapping[str, Row]):
    """The rows of one notebook run, by id; reads like a dictionary.

    params_hash, code, data: hashes, as in `Row`. where: this process. folder: of the run.
    """

    notebook: str
    profile: str
    params_hash: str
    code: str
    data: str
    where: Fingerprint
    folder: Path

    def __post_init__(self) -> None:
        self._models_made_on = self.where
        self._rows: dict[str, Row] = {}

    def __getitem__(self, row_id: str) -> Row:
        if row_id not in self._rows:
            raise unknown("row", row_id, self._rows)
        return self._rows[row_id]

    def get(self, row_id: str, default: Any = None) -> Any:
        """The row, or `default` without it; `rows[row_id]` raises, with the names that exist."""
        return self._rows.get(row_id, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._rows

    def rest_on(self, machine: Mapping[str, str]) -> None:
        """From here on rows `of_models` carry the machine that made the artifacts behind them.

        Their bits were decided there, not where a notebook reads them. machine: see `made_on`.
        """
        here = self.where
        self._models_made_on = replace(
            here,
            python=machine.get("python", here.python),
            torch=machine.get("torch", here.torch),
            cpu_capability=machine.get("cpu_capability", here.cpu_capability),
        )

    def add(
        self,
        row_id: str,
        value: int | float,
        *,
        unit: str,
        scale: Scale = "exact",
        n: int | None = None,
        interval: tuple[float, float] | None = None,
        interval_method: str | None = None,
        seeds: Iterable[int] = (),
        by_seed: Iterable[float] = (),
        paper_ref: str | None = None,
        data_hash: str | None = None,
        of_models: bool = False,
    ) -> None:
        """Add one number; raises K2ReproError when a rule of the schema is broken.

        Adding an id again replaces it only with the very same number: a reader may re-run a cell,
        but two different numbers under one id are an error. `data_hash` names this row's own inputs.
        of_models: it is drawn from what trained models answered, see `rest_on`.
        """
        row = Row(
            id=row_id,
            value=value,
            unit=unit,
            n=n,
            interval=interval,
            interval_method=interval_method,
            seeds=tuple(seeds),
            by_seed=tuple(by_seed),
            profile=self.profile,
            params_hash=self.params_hash,
            code_hash=self.code,
            data_hash=data_hash or self.data,
            fingerprint=self._models_made_on if of_models else self.where,
            scale=scale,
            paper_ref=paper_ref,
        )
        known = self._rows.get(row_id)
        if known is not None and known != row:
            raise K2ReproError(
                f"row {row_id!r} holds {known.value} already and shall now hold {value}. "
                "Usual cause: one id for two numbers, or a changed parameter; restart the kernel"
            )
        self._rows[row_id] = row

    def save(self) -> Path:
        """Write the book to the current run's folder and return the path."""
        return write_rows(self.folder / "rows" / f"{self.notebook}.jsonl", self._rows.values())


def reads_rows(source: Path) -> bool:
    """Whether a notebook source reads the rows of other notebooks (it calls `input_rows`)."""
    return "input_rows(" in source.read_text(encoding="utf-8")


def input_rows(profile: str) -> dict[str, Row]:
    """Rows of every notebook of this run that measures or recomputes from nothing.

    Notebooks that read rows themselves (00, 08) are left out, so that the result does not depend on
    which of them ran before. Empty on a fresh clone without results for `profile`.
    """
    sources = Places.find().sources
    rows: dict[str, Row] = {}
    for path in sorted(rows_directory(profile).glob("*.jsonl")):
        source = sources / f"{path.stem}.py"
        if source.is_file() and not reads_rows(source):
            rows.update(read_rows(path))
    return with_real_rows(rows)


def with_real_rows(rows: Mapping[str, Row]) -> dict[str, Row]:
    """`rows`, and those that somebody measured on real weights: results/endpoint/rows/*.jsonl.

    `k2repro evaluate` writes such files; whoever copies one there fills the "real" column of the tables.
    Raises K2ReproError for a row there that was not measured on real weights.
    """
    found = load_rows(Places.find().results(REAL_PROFILE) / "rows")
    for row in found.values():
        if row.scale != "real":
            raise K2ReproError(
                f"row {row.id!r} in results/{REAL_PROFILE}/rows has the scale {row.scale!r}, not real"
            )
    return {**rows, **found}


def open_rows(
    notebook: str, *, profile: str, parameters: Mapping[str, Any] | None = None, data_hash: str | None = None
) -> RowBook:
    """A book for one notebook run.

    notebook     name of the source in notebooks/src, without the ending
    parameters   every papermill parameter that shapes the numbers, JSON-like
    data_hash    hash of the inputs; default: none besides the package's own data, which code_hash covers
    """
    places = Places.find()
    source = places.sources / f"{notebook}.py"
    if not source.is_file():
        raise unknown("notebook", notebook, (path.stem for path in places.sources.glob("*.py")))
    return RowBook(
        notebook,
        profile=profile,
        params_hash=hash_value(dict(parameters or {})),
        code=code_hash(source, places.package),
        data=data_hash or hash_value("no data besides the package's own"),
        where=fingerprint(load_profile(profile).threads),
        folder=writable_folder(),
    )
