"""Calibrating the widths of `model/intervals.py` on rows that were left out of the fit."""

from dataclasses import replace

import numpy as np

from k2repro.wafer.calibration import fit
from k2repro.wafer.calibration.fit import Sample, leave_out, make_sample
from k2repro.wafer.calibration.rates import Rate
from k2repro.wafer.model import engines
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.engines import find_engine
from k2repro.wafer.model.intervals import LEVEL, NOVELTIES, Widths, uncertainty_scale
from k2repro.wafer.model.parameters import FloatArray, Parameters
from k2repro.wafer.model.roofline import break_down

# Scales where fewer than two sources leave nothing to calibrate on.
_DECLARED_WIDTH = 1.5


def scaled_residuals(sample: Sample, parameters: Parameters) -> FloatArray:
    """log(predicted / measured) over the uncertainty scale, shape (n,)."""
    breakdown = break_down(sample.work, parameters)
    return fit.log_residuals(sample, parameters) / uncertainty_scale(breakdown)


def weighted_quantile(values: FloatArray, weights: FloatArray, level: float) -> float:
    """The smallest value at which the cumulated weight reaches the level."""
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulated, level * cumulated[-1])])


def _forget_engine(row: Rate) -> Rate:
    """The row as if no rule had recognised its software."""
    name = "software that no rule knows"
    return replace(row, engine=find_engine(name, row.device.device_class, row.device.vendor))


def _forget_device(row: Rate) -> Rate:
    """The row as if its device were not in the table: its kind and bandwidth are all there is."""
    known = row.device
    stand_in = Device(
        name=row.hardware,
        device_class=known.device_class,
        bandwidth_gbs=row.bandwidth_gbs,
        capacity_gb=np.inf,
    )
    return replace(row, device=stand_in, device_known=False)


def _held_out(
    sample: Sample, labels: np.ndarray, start: Parameters, shown: Sample | None = None
) -> FloatArray:
    """Scaled residuals of every row, each predicted without its label; `shown` replaces rows."""
    shown = sample if shown is None else shown
    residuals = np.zeros(len(sample.rows))
    for held, parameters in leave_out(sample, labels, start).values():
        residuals[held] = scaled_residuals(shown.keep(held), parameters)
    return residuals


def _source_stays(sample: Sample) -> np.ndarray:
    """Rows whose source still has rows when their device is left out, shape (n,)."""
    pairs = list(zip(sample.sources.tolist(), sample.devices.tolist(), strict=True))
    devices: dict[str, set[str]] = {}
    for source, device in pairs:
        devices.setdefault(source, set()).add(device)
    return np.array([len(devices[source]) > 1 for source, _ in pairs])


def calibrate(sample: Sample, start: Parameters, *, with_novelty: bool = True) -> Widths:
    """Widths from residuals of rows that were left out of the fit.

    with_novelty: also measure unknown engines and devices (three times the work); without it they
    get the width of a new source. The known-source width counts only rows whose source kept other
    devices in the fit; where there are none it is the width of a new source. Fewer than two
    sources leave nothing to calibrate on: a declared width.
    """
    scored = np.array([row.purpose == 1 for row in sample.rows])

    def width(residuals: FloatArray, rows: np.ndarray) -> float:
        sizes = np.abs(residuals[rows])
        return weighted_quantile(sizes, np.ones(len(sizes)), LEVEL)

    if len(set(sample.sources[scored].tolist())) < 2:
        return Widths(*[_DECLARED_WIDTH] * len(NOVELTIES))
    new = width(_held_out(sample, sample.sources, start), scored)
    stays = scored & _source_stays(sample)
    known = width(_held_out(sample, sample.devices, start), stays) if stays.any() else new
    if not with_novelty:
        return Widths(known, new, new, new)
    no_engine = make_sample(
        [_forget_engine(row) if row.engine.class_code != engines.EAGER else row for row in sample.rows]
    )
    no_device = make_sample([_forget_device(row) for row in sample.rows])
    return Widths(
        known,
        new,
        max(new, width(_held_out(sample, sample.sources, start, no_engine), scored)),
        max(new, width(_held_out(sample, sample.sources, start, no_device), scored)),
    )
