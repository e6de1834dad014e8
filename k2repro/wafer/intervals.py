"""How sure a prediction is: 80 % intervals calibrated on rows that the fit had not seen.

Two ideas. A step dominated by streaming weights is better known than one dominated by overhead,
all-reduces or prefill, so the half-width of log(rate) scales with how the step time is shared
(`uncertainty_scale`). How many such scales make 80 % is measured by leaving sources (or devices)
out of the fit, for every degree of novelty: a device never seen from a source that was fitted
("known_source"), a source never seen ("new_source"), software that no rule recognises
("new_engine"), a device that the table lacks ("new_device").
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from k2repro.wafer import engines, fit
from k2repro.wafer.devices import Device
from k2repro.wafer.engines import find_engine
from k2repro.wafer.fit import Sample, leave_out, make_sample
from k2repro.wafer.parameters import FloatArray, Parameters, read_frozen
from k2repro.wafer.rates import Rate
from k2repro.wafer.roofline import break_down

LEVEL = 0.8
NOVELTIES = ("known_source", "new_source", "new_engine", "new_device")
# Declared spread (of the log) of each cause; a floor for what no cause explains.
_SPREAD = {
    "bandwidth": 0.10,
    "unit_wall": 0.25,
    "compute": 0.25,
    "kv_cache": 0.25,
    "layer_overhead": 0.25,
    "step_overhead": 0.25,
    "communication": 0.25,
    "queueing": 0.40,
    "prefill": 0.25,
}
_FLOOR = 0.05
# Scales where fewer than two sources leave nothing to calibrate on.
_DECLARED_WIDTH = 1.5


@dataclass(frozen=True)
class Widths:
    """Half-width of the 80 % interval of log(rate), in uncertainty scales, by novelty."""

    known_source: float
    new_source: float
    new_engine: float
    new_device: float

    def choose(self, *, source_known: bool, engine_known: bool, device_known: bool) -> float:
        """The widest that applies."""
        widths = [self.known_source if source_known else self.new_source]
        if not engine_known:
            widths.append(self.new_engine)
        if not device_known:
            widths.append(self.new_device)
        return max(widths)


def load_widths() -> Widths:
    """The frozen widths of `data/parameters.toml`."""
    table = read_frozen()["interval"]
    return Widths(**{name: float(table[name]) for name in NOVELTIES})


def uncertainty_scale(breakdown: dict[str, Any]) -> Any:
    """Root of the summed squares of (share of step time x declared spread), with a floor."""
    total = 0.0
    for seconds in breakdown.values():
        total = total + seconds
    variance = _FLOOR**2
    for cause, seconds in breakdown.items():
        variance = variance + (_SPREAD[cause] * seconds / total) ** 2
    return np.sqrt(variance)


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
