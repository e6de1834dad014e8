"""Calibrating the widths of `model/intervals.py` on rows that were left out of the fit."""

from dataclasses import replace

import numpy as np

from k2repro.wafer.calibration.fit import Linearised, Sample, derivatives, make_sample, source_weights
from k2repro.wafer.calibration.rates import Rate
from k2repro.wafer.model import engines
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.engines import find_engine
from k2repro.wafer.model.intervals import (
    FAMILIES,
    LEVEL,
    NOVELTIES,
    OTHER,
    Widths,
    family_of,
    uncertainty_scale,
)
from k2repro.wafer.model.parameters import FloatArray, Parameters
from k2repro.wafer.model.roofline import break_down

# Half-widths where fewer than two sources leave nothing to calibrate on.
_DECLARED_WIDTH = 1.5
# A family's own quantile counts as much as that of all rows once it has this many
# sources, or devices.
_FAMILY_LABELS = 4.0
# From here on a family needs no help from the others.
_MANY_LABELS = 6
# However few sources there are, no interval is asked to hold more.
_HIGHEST_LEVEL = 0.9


def weighted_quantile(values: FloatArray, weights: FloatArray, level: float) -> float:
    """The smallest value at which the cumulated weight reaches the level."""
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(cumulated, level * cumulated[-1])])


def _forget_engine(row: Rate) -> Rate:
    """The row as if no rule had recognised its software; an eager host is never taken for another."""
    if row.engine.class_code == engines.EAGER:
        return row
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
    fitted: Linearised,
    labels: np.ndarray,
    scale: FloatArray,
    shown: tuple[FloatArray, FloatArray] | None = None,
) -> FloatArray:
    """Scaled residuals of every row, each predicted without its label.

    shown: residuals and derivatives of the same rows as a stranger sees them.
    """
    residuals, jacobian = (fitted.residuals, fitted.jacobian) if shown is None else shown
    moved = residuals.copy()
    for label in sorted(set(labels.tolist())):
        held = labels == label
        if not held.all():
            moved[held] += fitted.step_without(held) @ jacobian[:, held]
    return moved / scale


def rate_family(row: Rate) -> str:
    """The family of a measured row."""
    mixture = row.shape.experts is not None
    return family_of(row.engine.engine_class, row.device.device_class, mixture=mixture)


def _width(residuals: FloatArray, labels: np.ndarray) -> float:
    """The 80 % quantile of the absolute residuals; a source of n rows weighs n^0.5.

    The next source is one more than the k that were seen, so with few of them the level is raised by
    (k + 1) / k, as in split conformal prediction (Lei et al. 2018), sources taking the part of rows.
    """
    sizes, weights = np.abs(residuals), np.ones(len(residuals))
    names = set(labels.tolist())
    for label in names:
        same = labels == label
        weights[same] = 1.0 / np.sqrt(same.sum())
    level = min(LEVEL * (len(names) + 1) / len(names), _HIGHEST_LEVEL)
    return weighted_quantile(sizes, weights, level)


def _family_widths(rows: tuple[Rate, ...], residuals: FloatArray, labels: np.ndarray) -> dict[str, float]:
    """The width of each family with rows.

    labels: the sources, or the devices, that were left out. A family of many speaks for itself, its
    labels weighing as residuals do in the fit: counted row by row, one device of a hundred rows
    decided for every device of one. A family of few is pulled to all rows.
    """
    everything = _width(residuals, labels)
    families = np.array([rate_family(row) for row in rows])
    found = {}
    for name in sorted(set(families.tolist())):
        chosen = families == name
        seen = len(set(labels[chosen].tolist()))
        if seen >= _MANY_LABELS:
            sizes = np.abs(residuals[chosen])
            found[name] = weighted_quantile(sizes, source_weights(labels[chosen]), LEVEL)
            continue
        trust = seen / (seen + _FAMILY_LABELS)
        own = _width(residuals[chosen], labels[chosen])
        found[name] = float(np.exp(trust * np.log(own) + (1 - trust) * np.log(everything)))
    return found


def calibrate(sample: Sample, parameters: Parameters, *, with_novelty: bool = True) -> Widths:
    """Widths from residuals of rows that were left out of the fit, with their source or device.

    parameters: fitted on this sample. with_novelty: also measure unknown engines and devices;
    without it they get the width of a new source. Fewer than two sources leave nothing to
    calibrate on: a declared width.
    """
    scored = np.array([row.purpose == 1 for row in sample.rows])
    sources = sample.sources[scored]
    if len(set(sources.tolist())) < 2:
        families = sorted({*FAMILIES.values(), "mixture", OTHER})
        declared = dict.fromkeys(families, _DECLARED_WIDTH)
        return Widths(dict.fromkeys(NOVELTIES, _DECLARED_WIDTH), declared, declared)
    fitted = Linearised.at(sample, parameters)
    scale = uncertainty_scale(break_down(sample.work, parameters))
    by_source = _held_out(fitted, sample.sources, scale)[scored]
    by_device = _held_out(fitted, sample.devices, scale)[scored]
    rows = tuple(row for row in sample.rows if row.purpose == 1)
    new = _width(by_source, sources)
    widths = dict.fromkeys(NOVELTIES, new)
    strangers = {"new_engine": _forget_engine, "new_device": _forget_device} if with_novelty else {}
    for name, forget in strangers.items():
        stranger = make_sample([forget(row) for row in sample.rows])
        strange_scale = uncertainty_scale(break_down(stranger.work, parameters))
        shown = derivatives(stranger, parameters)
        residuals = _held_out(fitted, sample.sources, strange_scale, shown)[scored]
        widths[name] = max(new, _width(residuals, sources))
    return Widths(
        widths,
        _family_widths(rows, by_source, sources),
        _family_widths(rows, by_device, sample.devices[scored]),
    )
