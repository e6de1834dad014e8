"""How sure a prediction is: the width of its 80 % interval.

A step dominated by streaming weights is better known than one dominated by overhead, all-reduces
or prefill, so the half-width of log(rate) scales with how the step time is shared
(`uncertainty_scale`). How many such scales make 80 % is measured on rows that the fit had not
seen (`calibration/widths.py`), for every degree of novelty: a device never seen from a source
that was fitted ("known_source"), a source never seen ("new_source"), software that no rule
recognises ("new_engine"), a device that the table lacks ("new_device").
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from k2repro.wafer.model.parameters import read_frozen

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
