"""`k2repro measure`: learn the machine, predict its decode rates, then measure them.

The order is fixed: micro-benchmarks (`machine-Nt.json`), predictions of all models
(`predictions.csv`), and only then the first decode (`rates.csv`, one row at a time). A run that was
stopped goes on where it was. Predictions on file are rewritten only when the machine was measured
anew, and then every model is measured anew as well.
"""

import hashlib
import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.measure.ladder import measured_shapes
from k2repro.measure.learn import (
    CONTEXT,
    LEARNING_STEPS,
    Progress,
    Runner,
    Tell,
    available_bytes,
    learn_machine,
    now,
)
from k2repro.measure.machine import ENGINE, MeasuredMachine, load_machine
from k2repro.measure.rows import (
    EXTRA,
    PREDICTION_COLUMNS,
    SCHEMA,
    PlannedRow,
    append_row,
    read_table,
    write_table,
)
from k2repro.measure.worker import run_in_process
from k2repro.wafer.model.prediction import predict
from k2repro.wafer.model.shapes import ModelShape

# Largest footprint of a model, next to which its largest matrix is held twice for a moment.
_BUILDING_ROOM = 1.3
_PROBE_MEGABYTES = 256
# A run takes about this long, within limits on its tokens.
_RUN_SECONDS, _LEAST_TOKENS, _MOST_TOKENS = 0.4, 8, 128
_KEY_VALUE_BYTES = 4


@dataclass(frozen=True)
class MachineReport:
    """What `measure_machine` found: the machine, its rows of `rates.csv`, and what was left out.

    skipped: one sentence per model that this machine could not run.
    """

    machine: MeasuredMachine
    rows: tuple[dict[str, str], ...]
    skipped: tuple[str, ...]
    folder: Path

    @property
    def median_error_percent(self) -> float | None:
        """Median absolute error of the predictions, or None without rows."""
        errors = [abs(float(row["error_percent"])) for row in self.rows]
        return statistics.median(errors) if errors else None

    def largest(self, precision: str) -> dict[str, str] | None:
        """The row of the largest model that was measured in a precision."""
        rows = [row for row in self.rows if row["precision"] == precision]
        return max(rows, key=lambda row: float(row["params_b"])) if rows else None


def measure_machine(
    out: Path,
    *,
    threads: int,
    quick: bool = False,
    progress: Progress = lambda done, total, text: None,
    run: Runner = run_in_process,
) -> MachineReport:
    """Measure this machine into the folder `out` and report.

    threads: processor threads of every measurement. quick: fewer repeats, models up to 150M.
    progress: called with (finished steps, all steps, what is going on). run: how a job is run;
    by default in a process of its own.
    Raises K2ReproError for threads < 1, for a folder that cannot be written, before anything is measured,
    and when a measurement fails; finished rows stay.
    """
    if threads < 1:
        raise K2ReproError(f"threads = {threads!r} must be at least 1")
    _check_folder(out)
    machine, digest = _learn_or_load(out, threads, quick, progress, run)
    plans = _predict_all(out, machine, digest, measured_shapes(quick))
    measured = {
        row["id"]: row for row in read_table(out / "rates.csv", (*SCHEMA, *EXTRA)) if row["machine"] == digest
    }
    rows, skipped = [], []
    total = LEARNING_STEPS + len(plans)
    for index, (shape, plan) in enumerate(plans):

        def tell(text: str, done: int = LEARNING_STEPS + index) -> None:
            progress(done, total, text)

        tell(f"{plan.model}, {plan.precision}")
        if plan.id not in measured:
            reason = _too_large(machine, shape, plan.precision)
            if reason:
                skipped.append(reason)
                continue
            measured[plan.id] = _measure(machine, shape, plan, tell, run)
            append_row(out / "rates.csv", measured[plan.id])
        rows.append(measured[plan.id])
    progress(total, total, "done")
    return MachineReport(machine, tuple(rows), tuple(skipped), out)


def _check_folder(out: Path) -> None:
    """Refuse a folder that cannot take the results now, not after minutes of measuring."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise K2ReproError(
            f"cannot write into {out}: {error.strerror}. Give a folder of your own with --out"
        ) from None


def _learn_or_load(
    out: Path, threads: int, quick: bool, progress: Progress, run: Runner
) -> tuple[MeasuredMachine, str]:
    """The machine on file or, without one, a new measurement; and the hash of its file."""
    kind = "-quick" if quick else ""
    path = out / f"machine-{threads}t{kind}.json"
    if not path.exists():
        learn_machine(threads=threads, quick=quick, progress=progress, run=run).save(path)
    return load_machine(path), hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _row_id(machine: MeasuredMachine, shape: ModelShape, precision: str) -> str:
    return f"own-{machine.threads}t-{precision}-{shape.name.lower()}"


def _predict_all(
    out: Path, machine: MeasuredMachine, digest: str, shapes: tuple[ModelShape, ...]
) -> list[tuple[ModelShape, PlannedRow]]:
    """Predict every model and write all predictions down, or read those that are on file."""
    path = out / "predictions.csv"
    on_file = read_table(path, PREDICTION_COLUMNS)
    current = {line["id"]: line for line in on_file if line["machine"] == digest}
    plans = []
    for shape in shapes:
        for precision in machine.precisions():
            line = current.get(_row_id(machine, shape, precision))
            found = PlannedRow.from_cells(line) if line else _predict_one(machine, digest, shape, precision)
            plans.append((shape, found))
    ours = {plan.id for _, plan in plans}
    others = [line for line in on_file if line["id"] not in ours]
    write_table(path, PREDICTION_COLUMNS, [*others, *(plan.as_cells() for _, plan in plans)])
    return plans


def _predict_one(machine: MeasuredMachine, digest: str, shape: ModelShape, precision: str) -> PlannedRow:
    found = predict(
        shape,
        machine.device(shape, precision),
        precision=precision,
        batch_size=1,
        context_length=CONTEXT,
        devices=1,
        engine=ENGINE,
    )
    return PlannedRow(
        _row_id(machine, shape, precision),
        shape.name,
        precision,
        CONTEXT,
        found.tokens_per_second,
        found.low,
        found.high,
        now(),
        digest,
    )


def _too_large(machine: MeasuredMachine, shape: ModelShape, precision: str) -> str:
    """Why a model is left out, or an empty string."""
    needed = machine.footprint(shape, precision) * _BUILDING_ROOM
    free = available_bytes()
    if needed < free:
        return ""
    return (
        f"{shape.name} in {precision} needs {needed / 1e9:.1f} GB while it is built and "
        f"{free / 1e9:.1f} GB are free"
    )


def _measure(
    machine: MeasuredMachine, shape: ModelShape, plan: PlannedRow, tell: Tell, run: Runner
) -> dict[str, str]:
    """Decode one model and return its row."""
    tokens = int(min(max(_RUN_SECONDS * plan.predicted_tok_s, _LEAST_TOKENS), _MOST_TOKENS))
    request: dict[str, Any] = {
        "job": "decode",
        "shape": asdict(shape),
        "precision": plan.precision,
        "products": [asdict(cost) for cost in machine.products[plan.precision]],
        "context": plan.context,
        "tokens": tokens,
        "runs": 3 if machine.quick else 7,
        "probe_megabytes": _PROBE_MEGABYTES,
    }
    found = run(request, machine.threads, tell)
    # The columns of `decode_rates.csv` and the prediction that was on file.
    return _setting_columns(machine, shape, plan, tokens, found) | _rate_columns(machine, plan, found)


def _reference_gbs(machine: MeasuredMachine, found: dict[str, Any]) -> float:
    """The fastest read seen, in the micro-benchmarks or between the runs."""
    return max(machine.read_gbs, *found["reads_gbs"])


def _setting_columns(
    machine: MeasuredMachine, shape: ModelShape, plan: PlannedRow, tokens: int, found: dict[str, Any]
) -> dict[str, str]:
    """What was run, the first columns of `decode_rates.csv`."""
    return {
        "id": plan.id,
        "model": shape.name,
        "params_b": f"{shape.parameters / 1e9:.4g}",
        "active_params_b": f"{shape.parameters / 1e9:.4g}",
        "precision": plan.precision,
        "weight_read_gb": f"{found['read_bytes'] / 1e9:.4g}",
        "weight_basis": "all blocks + output head, counted",
        "kv_bytes_per_token": f"{shape.kv_bytes_per_token(_KEY_VALUE_BYTES):.0f}",
        "batch": "1",
        "context_in": str(plan.context),
        "context_out": str(tokens),
        "mean_context": f"{plan.context + tokens / 2:.1f}",
        "hardware": machine.name,
        "n_devices": "1",
        "bandwidth_gbs_per_device": f"{_reference_gbs(machine, found):.4g}",
        "parallelism": "single",
        "framework": f"{ENGINE}, {machine.threads} threads",
        "metric_kind": "pure_decode",
        "spec_decode": "0",
    }


def _rate_columns(machine: MeasuredMachine, plan: PlannedRow, found: dict[str, Any]) -> dict[str, str]:
    """What came out, and what had been predicted."""
    rate, read = max(found["rates"]), found["read_bytes"]
    # The share of one run is taken of the read right before it: both had the same neighbours.
    shares = [
        tokens_s * read / (gbs * 1e9)
        for tokens_s, gbs in zip(found["rates"], found["reads_gbs"], strict=True)
    ]
    others = found["others_cores"]
    kernels = ", ".join(f"{name} x{count}" for name, count in sorted(found["kernels"].items()))
    return {
        "tok_s_per_user": f"{rate:.4g}",
        "tok_s_total": f"{rate:.4g}",
        "roofline_fraction": f"{rate * read / _reference_gbs(machine, found) / 1e9:.4f}",
        "source": "k2repro measure",
        "source_url": "",
        "source_locator": "this machine",
        "confidence": "measured",
        "use_for_scoring": "1",
        "note": f"random weights; best of {len(found['rates'])} runs, median "
        f"{statistics.median(found['rates']):.4g}; kernels: {kernels}",
        **{name: cell for name, cell in plan.as_cells().items() if name.startswith("predicted_")},
        "measured_at": now(),
        "error_percent": f"{100 * (plan.predicted_tok_s / rate - 1):.2f}",
        "share_of_read_percent": f"{100 * statistics.median(shares):.1f}",
        "others_cores": "" if others is None else f"{others:.2f}",
        "machine": plan.machine,
    }
