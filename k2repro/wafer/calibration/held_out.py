"""Leave-one-source-out and leave-one-hardware-out: everything refitted, interval widths included.

For each label the parameters are fitted on the other rows, and the interval widths are calibrated
on residuals inside those other rows (a second leave-one-out within the first). Nothing of a held
row reaches its prediction or its interval.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from k2repro.wafer.calibration.fit import Sample, fit_parameters, group_labels, log_residuals
from k2repro.wafer.calibration.widths import calibrate, rate_family
from k2repro.wafer.model.intervals import Widths, uncertainty_scale
from k2repro.wafer.model.parameters import FloatArray, Parameters
from k2repro.wafer.model.roofline import break_down

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Forecast:
    """Predictions of every row of a sample, made without it (or with the frozen file).

    rates: predicted tokens/s, shape (n,). half_widths: of the 80 % interval of log(rate), (n,).
    """

    rates: FloatArray
    half_widths: FloatArray


def half_widths(
    sample: Sample, parameters: Parameters, widths: Widths, known_sources: set[str]
) -> FloatArray:
    """Half-width of every row's interval, given which sources the fit has seen, shape (n,)."""
    scale = uncertainty_scale(break_down(sample.work, parameters))
    chosen = [
        widths.choose(
            rate_family(row),
            source_known=row.source in known_sources,
            engine_known=row.engine.known,
            device_known=row.device_known,
        )
        for row in sample.rows
    ]
    return np.asarray(scale * np.array(chosen))


def forecast(sample: Sample, parameters: Parameters, widths: Widths, known_sources: set[str]) -> Forecast:
    """Predict every row with given parameters and widths."""
    rates = sample.rates * np.exp(log_residuals(sample, parameters))
    return Forecast(rates, half_widths(sample, parameters, widths, known_sources))


def forecast_held_out(
    sample: Sample, labels: np.ndarray, most: int, progress: Progress = lambda done, total: None
) -> Forecast:
    """Predict the rows of every label with a fit and widths that never saw them.

    labels: shape (n,), the source or the hardware of each row. Up to `most` labels are left out one
    by one; more are left out in that many groups, which is harder. A label that owns all rows
    cannot be left out; its rows come back as nan.
    """
    rates, halves = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    start, groups = fit_parameters(sample), group_labels(labels, most)
    for done, group in enumerate(groups):
        progress(done, len(groups))
        held = np.isin(labels, sorted(group))
        if held.all():
            continue
        rest = sample.keep(~held)
        parameters = fit_parameters(rest, start)
        widths = calibrate(rest, parameters, with_novelty=False)
        found = forecast(sample.keep(held), parameters, widths, set(rest.sources.tolist()))
        rates[held], halves[held] = found.rates, found.half_widths
    return Forecast(rates, halves)
