"""`score_rates`: the emulator against measured rates, frozen and with parts left out.

Any file with the columns of `decode_rates.csv`. *Frozen* uses `data/parameters.toml` as it is (rows
of the shipped sources were part of that fit; rows of other sources are a clean test). *Leave one
source out* and *leave one hardware out* refit everything on the other rows of the file.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.wafer.calibration import baselines, flags, mesh_fit
from k2repro.wafer.calibration.fit import Sample, fitting_rows, make_sample
from k2repro.wafer.calibration.held_out import Forecast, Progress, forecast, forecast_held_out
from k2repro.wafer.calibration.rates import Rate, RateTable, load_rates, read_rates
from k2repro.wafer.calibration.units import refuse_wrong_units
from k2repro.wafer.model.intervals import load_widths
from k2repro.wafer.model.parameters import load_parameters, read_frozen

WITHIN = 0.20
# Labels beyond these many are left out in groups: a fit per group, not per label.
_SOURCE_FOLDS, _DEVICE_FOLDS = 20, 12
_BY_SOURCE, _BY_DEVICE = _HELD_OUT = ("leave one source out", "leave one hardware out")
_SIZES = (
    (1.0, "below 1B"),
    (4.0, "1B to 4B"),
    (10.0, "4B to 10B"),
    (40.0, "10B to 40B"),
    (math.inf, "above 40B"),
)


@dataclass(frozen=True)
class Score:
    """Errors of one set of rows. Error is |predicted / measured - 1|; nan without rows.

    coverage: share of rows inside their 80 % interval, None for methods without intervals.
    """

    name: str
    rows: int
    median_error: float
    ninetieth_error: float
    within_20_percent: float
    coverage: float | None = None


@dataclass(frozen=True)
class WaferScore:
    """The mesh: WSE-2 rows with their model left out; other wafers with the frozen parameters.

    other_wafers: (row id, predicted, measured, predicted / measured) of no-draft rows.
    """

    wse2_rows: int
    wse2_median_error: float
    wse2_worst_error: float
    other_wafers: tuple[tuple[str, float, float, float], ...]


@dataclass(frozen=True)
class ScoreReport:
    """Everything that `k2repro score-rates` says; `render.py` writes it as text or JSON.

    points: (row id, predicted, measured, half-width of the interval of log(rate)) with the frozen
    parameters; held_out_points: the same with each row's source left out.
    """

    file: str
    parameters_date: str
    rows_read: int
    refused: tuple[str, ...]
    overall: tuple[Score, ...]
    baselines: tuple[Score, ...]
    breakdowns: dict[str, tuple[Score, ...]]
    wafer: WaferScore | None
    flags: tuple[flags.Flag, ...]
    flagged_scored_rows: int
    points: tuple[tuple[str, float, float, float], ...] = ()
    held_out_points: tuple[tuple[str, float, float, float], ...] = ()


def measure_errors(
    name: str, predicted: np.ndarray, measured: np.ndarray, half_widths: np.ndarray | None = None
) -> Score:
    """The `Score` of predictions, all of shape (n,); rows predicted as nan are left out."""
    known = np.isfinite(predicted)
    ratio = predicted[known] / measured[known]
    if not len(ratio):
        return Score(name, 0, math.nan, math.nan, math.nan, None)
    error = np.abs(ratio - 1.0)
    coverage = None
    if half_widths is not None:
        coverage = float(np.mean(np.abs(np.log(ratio)) <= half_widths[known]))
    return Score(
        name,
        len(ratio),
        float(np.median(error)),
        float(np.quantile(error, 0.9)),
        float(np.mean(error <= WITHIN)),
        coverage,
    )


def _by(labels: Sequence[str], predicted: Forecast, measured: np.ndarray) -> tuple[Score, ...]:
    """One score per label, in alphabetical order."""
    array = np.array(labels)
    return tuple(
        measure_errors(
            name,
            predicted.rates[array == name],
            measured[array == name],
            predicted.half_widths[array == name],
        )
        for name in sorted(set(labels))
    )


def _size(rate: Rate) -> str:
    billions = rate.shape.parameters / 1e9
    return next(name for limit, name in _SIZES if billions < limit)


def _source_held_out(sample: Sample, predict: Callable[[Sample, Sample], np.ndarray]) -> np.ndarray:
    """What `predict(seen, held)` says of the rows of each source, fitted on all others, shape (n,)."""
    found = np.full(len(sample.rates), np.nan)
    for source in set(sample.sources.tolist()):
        held = sample.sources == source
        if not held.all():
            found[held] = predict(sample.keep(~held), sample.keep(held))
    return found


def _one_efficiency(seen: Sample, held: Sample) -> np.ndarray:
    return baselines.plain_roofline(held) * baselines.fit_one_efficiency(seen)


def _simple(seen: Sample, held: Sample) -> np.ndarray:
    return baselines.simple_rates(held, baselines.fit_family_efficiencies(seen))


def _score_wafers(rates: Sequence[Rate]) -> WaferScore | None:
    """WSE-2 leave-one-model-out, and other wafers; None when there are no wafer rows."""
    wafers = [
        rate
        for rate in rates
        if rate.device.device_class == "wafer" and not rate.speculative and rate.shape_known
    ]
    fitted = [rate for rate in wafers if rate.device.name == "WSE-2"]
    others = []
    for rate in wafers:
        if rate.device.name != "WSE-2":
            predicted = 1.0 / flags.predict_rate(rate).step_seconds
            others.append((rate.id, predicted, rate.tokens_per_second, predicted / rate.tokens_per_second))
    if len({rate.model for rate in fitted}) < 3:
        return WaferScore(0, math.nan, math.nan, tuple(others)) if others else None
    errors = np.abs(np.array(list(mesh_fit.leave_one_model_out(fitted).values())) - 1.0)
    return WaferScore(len(errors), float(np.median(errors)), float(errors.max()), tuple(others))


def _held_out(rates: Sequence[Rate], by_device: bool, progress: Progress) -> Forecast:
    """Forecast of the scored rows of a table; shipped rows of other sources help to fit.

    Rows that only help (eager hosts, shipped rows) are not scored. Shipped rows of a source that
    the table holds are left away: the table has its own.
    """
    rows = fitting_rows(RateTable(tuple(rates), ()))
    own = {row.source for row in rates}
    helpers = [row for row in fitting_rows(load_rates()) if row.source not in own]
    sample = make_sample([*rows, *helpers])
    labels, most = (sample.devices, _DEVICE_FOLDS) if by_device else (sample.sources, _SOURCE_FOLDS)
    found = forecast_held_out(sample, labels, most, progress)
    scored = np.array([row.purpose == 1 for row in rows])
    return Forecast(found.rates[: len(rows)][scored], found.half_widths[: len(rows)][scored])


def score_table(
    table: RateTable,
    name: str,
    *,
    held_out: bool = True,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> ScoreReport:
    """Score every scored row of a table; `held_out` adds the two leave-one-out scores.

    Raises K2ReproError when no scored row is left.
    """
    table = refuse_wrong_units(table)
    rows = _scored_rows(table, name)
    sample = make_sample(rows)
    seen = set(read_frozen()["fitted_on"]["sources"])
    frozen = forecast(sample, load_parameters(), load_widths(), seen)
    overall = _score_frozen(frozen, sample, np.array([row.source not in seen for row in rows]))
    apart: dict[str, Forecast] = {}
    for label in _HELD_OUT if held_out else ():

        def tell(done: int, total: int, label: str = label) -> None:
            progress(label, done, total)

        found = apart[label] = _held_out(table.rates, label == _BY_DEVICE, tell)
        overall.append(measure_errors(label, found.rates, sample.rates, found.half_widths))
    found_flags = tuple(flags.flag_rates(table.rates))
    scored = {(row.id, row.line) for row in rows}
    return ScoreReport(
        file=name,
        parameters_date=str(read_frozen()["date"]),
        rows_read=len(table.rates),
        refused=table.refused,
        overall=tuple(overall),
        baselines=_score_baselines(sample),
        breakdowns=_breakdowns(rows, frozen, sample.rates),
        wafer=_score_wafers(table.rates),
        flags=found_flags,
        flagged_scored_rows=sum((flag.id, flag.line) in scored for flag in found_flags),
        points=_points(rows, frozen),
        held_out_points=_points(rows, apart[_BY_SOURCE]) if held_out else (),
    )


def _scored_rows(table: RateTable, name: str) -> list[Rate]:
    """The scored rows, the same in the same order as the leave-one-out sample will hold."""
    rows = [row for row in table.scored() if row.device.device_class not in ("wafer", "lpu")]
    if not rows:
        raise K2ReproError(
            f"{name}: no scored row (use_for_scoring = 1) is left"
            + (f"; first refusal: {table.refused[0]}" if table.refused else "")
        )
    return rows


def _score_frozen(frozen: Forecast, sample: Sample, new: np.ndarray) -> list[Score]:
    """Errors of the shipped fit on all rows, and on those of sources it never saw (`new`, if any)."""
    overall = [measure_errors("frozen", frozen.rates, sample.rates, frozen.half_widths)]
    if new.any():
        overall.append(
            measure_errors(
                "frozen, sources not fitted", frozen.rates[new], sample.rates[new], frozen.half_widths[new]
            )
        )
    return overall


def _breakdowns(
    rows: Sequence[Rate], predicted: Forecast, measured: np.ndarray
) -> dict[str, tuple[Score, ...]]:
    labels = {
        "source": [row.source for row in rows],
        "device": [row.hardware for row in rows],
        "engine": [row.engine.engine_class for row in rows],
        "size": [_size(row) for row in rows],
    }
    return {name: _by(of_rows, predicted, measured) for name, of_rows in labels.items()}


def _points(rows: Sequence[Rate], found: Forecast) -> tuple[tuple[str, float, float, float], ...]:
    return tuple(
        (row.id, float(rate), row.tokens_per_second, float(half))
        for row, rate, half in zip(rows, found.rates, found.half_widths, strict=True)
    )


def _score_baselines(sample: Sample) -> tuple[Score, ...]:
    predicted = {
        "plain roofline": baselines.plain_roofline(sample),
        "roofline x one efficiency, leave one source out": _source_held_out(sample, _one_efficiency),
        "simple model, leave one source out": _source_held_out(sample, _simple),
        "LLM-Viewer formulas": baselines.llm_viewer(sample),
    }
    return tuple(measure_errors(name, rates, sample.rates) for name, rates in predicted.items())


def score_rates(
    path: str | Path | None = None,
    *,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> ScoreReport:
    """Score a rates file (the shipped one when no path is given).

    Raises K2ReproError when the file cannot be read, lacks columns or holds no scored row.
    Rows that cannot be read are listed in `refused` with their line numbers.
    """
    table = load_rates() if path is None else read_rates(path)
    return score_table(table, "decode_rates.csv" if path is None else str(path), progress=progress)
