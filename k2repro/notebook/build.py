"""Source -> executed -> normalised -> stamped, one notebook at a time, resumable.

build/<profile>/notebooks/NN_name.ipynb   executed, normalised, stamped
                rows/NN_name.jsonl        the numbers it gave
                records/NN_name.json      stamp, hashes, seconds, memory, last error
                failed/NN_name.ipynb      with the traceback, after a failure
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import nbformat

from k2repro.errors import K2ReproError
from k2repro.notebook.execute import NotebookFailed, RunCost, execute
from k2repro.notebook.normalise import as_bytes, normalise
from k2repro.notebook.parameters import resolve_parameters
from k2repro.notebook.source import find_source, read_source
from k2repro.notebook.stamp import KEY, Stamp, make_stamp
from k2repro.notebook.student import without_markers
from k2repro.results.atomic import write_bytes, write_text
from k2repro.results.hashing import hash_file
from k2repro.results.places import Places
from k2repro.results.profiles import NotebookPlan, Profile
from k2repro.results.rows import read_rows

# Machines differ and neighbours are noisy: a run fails only this far beyond its budget.
TOLERANCE = 1.5


@dataclass(frozen=True)
class BuildRecord:
    """What one build left behind; `error` is None exactly when it succeeded."""

    notebook: str
    profile: str
    stamp: dict[str, str]
    notebook_hash: str | None
    rows_hash: str | None
    rows: int
    seconds: float
    peak_memory_mb: float
    finished: str
    error: str | None


def failed_path(folder: Path, name: str) -> Path:
    return folder / "failed" / f"{name}.ipynb"


def record_path(folder: Path, name: str) -> Path:
    return folder / "records" / f"{name}.json"


def read_record(folder: Path, name: str) -> BuildRecord | None:
    """The record of the last build, or None; an unreadable one counts as none and is rebuilt."""
    path = record_path(folder, name)
    if not path.is_file():
        return None
    try:
        return BuildRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        return None


def is_fresh(folder: Path, stamp: Stamp) -> bool:
    """Whether the build folder holds exactly what `stamp` asks for, undamaged."""
    record = read_record(folder, stamp.notebook)
    if record is None or record.error is not None or record.stamp != stamp.as_dict():
        return False
    notebook = folder / "notebooks" / f"{stamp.notebook}.ipynb"
    rows = folder / "rows" / f"{stamp.notebook}.jsonl"
    return (
        notebook.is_file()
        and rows.is_file()
        and hash_file(notebook) == record.notebook_hash
        and hash_file(rows) == record.rows_hash
    )


def build(name: str, profile: Profile, places: Places, folder: Path, *, progress: bool = True) -> BuildRecord:
    """Build one notebook into `folder` unless it is fresh there; returns its record.

    Raises NotebookFailed when a cell raises, K2ReproError when a budget or an expected row is missed.
    In both cases the record says so and everything computed stays on disk.
    """
    source = find_source(places, name)
    plan = profile.plan(source.stem)
    parameters = resolve_parameters(source, profile.name, plan.parameters)
    stamp = make_stamp(source, places, profile.name, parameters, folder / "rows")
    if is_fresh(folder, stamp):
        record = read_record(folder, source.stem)
        assert record is not None
        return record
    (folder / "rows" / f"{source.stem}.jsonl").unlink(missing_ok=True)
    # `notebook why` must never show the failure of an older run.
    failed_path(folder, source.stem).unlink(missing_ok=True)
    try:
        executed, cost = execute(
            without_markers(read_source(source)),
            source.stem,
            parameters=parameters,
            run_folder=folder,
            threads=profile.threads,
            progress=progress,
        )
    except NotebookFailed as failure:
        write_text(failed_path(folder, source.stem), nbformat.writes(failure.executed) + "\n")
        _write_record(folder, stamp, failure.cost, failure.summary)
        raise
    executed.metadata[KEY] = stamp.as_dict()
    write_bytes(folder / "notebooks" / f"{source.stem}.ipynb", as_bytes(normalise(executed)))
    complaint = _complaint(folder, source.stem, plan, cost, profile.threads)
    record = _write_record(folder, stamp, cost, complaint)
    if complaint:
        raise K2ReproError(f"{source.stem}: {complaint}. What it trained and sampled is kept")
    return record


def _complaint(folder: Path, name: str, plan: NotebookPlan, cost: RunCost, threads: int) -> str | None:
    """What the run owes its profile: expected rows, time, memory.

    Time is processor time: a busy machine makes a run longer, but not more work.
    """
    path = folder / "rows" / f"{name}.jsonl"
    if not path.is_file():
        return "wrote no rows. Usual cause: the last cell does not call rows.save()"
    missing = sorted(set(plan.expect) - set(read_rows(path)))
    if missing:
        return f"expected rows are missing: {', '.join(missing)}"
    if cost.processor_seconds > TOLERANCE * plan.budget_seconds * threads:
        return (
            f"used {cost.processor_seconds:.0f} s of processor time, more than {threads} processors give in "
            f"{TOLERANCE} x its budget of {plan.budget_seconds} s. On a slower machine, raise budget_seconds "
            "of the notebook in profiles/"
        )
    if cost.peak_memory_mb > TOLERANCE * plan.budget_memory_mb:
        limit = f"{TOLERANCE} x its budget of {plan.budget_memory_mb} MB"
        return f"needed {cost.peak_memory_mb:.0f} MB, more than {limit}"
    return None


def _write_record(folder: Path, stamp: Stamp, cost: RunCost, error: str | None) -> BuildRecord:
    notebook = folder / "notebooks" / f"{stamp.notebook}.ipynb"
    rows = folder / "rows" / f"{stamp.notebook}.jsonl"
    record = BuildRecord(
        notebook=stamp.notebook,
        profile=stamp.profile,
        stamp=stamp.as_dict(),
        notebook_hash=hash_file(notebook) if notebook.is_file() else None,
        rows_hash=hash_file(rows) if rows.is_file() else None,
        rows=len(read_rows(rows)) if rows.is_file() else 0,
        seconds=round(cost.seconds, 1),
        peak_memory_mb=round(cost.peak_memory_mb),
        finished=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        error=error,
    )
    write_text(record_path(folder, stamp.notebook), json.dumps(asdict(record), indent=1) + "\n")
    return record
