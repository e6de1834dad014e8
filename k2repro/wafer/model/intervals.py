"""How sure a prediction is: the width of its 80 % interval.

A step dominated by streaming weights is better known than one dominated by overhead, all-reduces
or prefill, so the half-width of log(rate) scales with how the step time is shared
(`uncertainty_scale`). How many such scales make 80 % is measured on rows that the fit had not
seen (`calibration/widths.py`), for every degree of novelty and for every family of software and
hardware: llama.cpp on a CPU is known worse than a serving engine on a data-centre GPU.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from k2repro.wafer.model.breakdown import CAUSES, total_seconds
from k2repro.wafer.model.parameters import read_frozen

LEVEL = 0.8
# A source never seen; software that no rule recognises; a device that the table lacks.
NOVELTIES = ("new_source", "new_engine", "new_device")
_PARTS = ("family_new_source", "family_known_source")
# Families of engine classes, each with its own width. A class without rows is "other".
FAMILIES = {
    "compiled": "serving",
    "serving": "serving",
    "uncaptured": "serving",
    "eager": "serving",
    "ggml": "ggml",
    "ggml-graph": "ggml-graph",
    "ggml-cpu": "cpu",
    "torch-cpu": "cpu",
}
OTHER = "other"
# A floor for what no cause explains.
_FLOOR = 0.05


def family_of(engine_class: str, device_class: str, *, mixture: bool) -> str:
    """The family whose width applies: by software, mixtures and unusual hardware apart."""
    if device_class not in ("gpu", "cpu", "soc"):
        return OTHER
    if mixture:
        return "mixture"
    return FAMILIES.get(engine_class, OTHER)


@dataclass(frozen=True)
class Widths:
    """Half-width of the 80 % interval of log(rate), in uncertainty scales.

    by_novelty: for all rows together. new_source, known_source: family by family, for rows of a
    source that was not fitted and of one that was. A family that was never calibrated takes the
    widest of all.
    """

    by_novelty: dict[str, float]
    new_source: dict[str, float]
    known_source: dict[str, float]

    def choose(self, family: str, *, source_known: bool, engine_known: bool, device_known: bool) -> float:
        """The family's width, wider by what an unknown engine or device adds, whichever is more."""
        widths = self.known_source if source_known else self.new_source
        base = widths.get(family, max(widths.values()))
        names = ["new_source"]
        names += [] if engine_known else ["new_engine"]
        names += [] if device_known else ["new_device"]
        return base * max(self.by_novelty[name] for name in names) / self.by_novelty["new_source"]


@functools.cache
def load_widths() -> Widths:
    """The frozen widths of `data/parameters.toml`."""
    table = read_frozen()["interval"]
    families = [{name: float(value) for name, value in table[part].items()} for part in _PARTS]
    return Widths({name: float(table[name]) for name in NOVELTIES}, *families)


def uncertainty_scale(breakdown: dict[str, Any]) -> Any:
    """Root of the summed squares of (share of step time x declared spread), with a floor."""
    total = total_seconds(breakdown)
    variance: Any = _FLOOR**2
    for cause, seconds in breakdown.items():
        variance = variance + (CAUSES[cause].spread * seconds / total) ** 2
    return np.sqrt(variance)
