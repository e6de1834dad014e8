"""The named physical parameters of the roofline: meaning, unit, prior, and the frozen values.

Every parameter is positive and lives on a log scale. Its prior is what hardware documents and
published profiles say before any row is seen (`data/priors.csv`); `fit.py` moves it as far as the rows
insist. A parameter about which the rows say nothing (a kernel that no source measured) stays at its prior.
The frozen values are in `data/parameters.toml`, with the date and the rows they were fitted on.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.reading import shipped_lines, shipped_toml

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """One parameter before any row: value, spread (standard deviation of its log), meaning."""

    name: str
    value: float
    spread: float
    unit: str
    meaning: str


# Times are given for a clock of 1.7 GHz: ramp and drain of a kernel are counted in cycles.
REFERENCE_CLOCK_GHZ = 1.7
SOFTWARE = ("vllm", "sglang", "tensorrt", "gpt-fast")


def _read_prior(line: dict[str, str]) -> Prior:
    return Prior(line["name"], float(line["value"]), float(line["spread"]), line["unit"], line["meaning"])


PRIORS = tuple(shipped_lines("k2repro.wafer", "data/priors.csv", _read_prior))
NAMES = tuple(prior.name for prior in PRIORS)
_INDEX = {name: i for i, name in enumerate(NAMES)}


@dataclass(frozen=True)
class Parameters:
    """Logarithms of all parameters, shape (P,), or (K, P) for K variants at once.

    Variants make a numerical Jacobian one vectorised call.
    """

    log_values: FloatArray

    def value(self, name: str) -> Any:
        """The parameter, a float, or shape (K, 1) for variants."""
        if self._values.ndim == 1:
            return float(self._values[_INDEX[name]])
        return self._values[:, _INDEX[name], None]

    def choose(self, names: tuple[str, ...], codes: NDArray[np.intp]) -> Any:
        """One of several parameters per row: shape of codes, or (K, *codes) for variants.

        A code of -1 chooses the neutral value 1.
        """
        columns = _columns(names)
        return np.where(codes < 0, 1.0, self._values[..., columns[codes]])

    @functools.cached_property
    def _values(self) -> FloatArray:
        return np.asarray(np.exp(self.log_values))

    def as_dict(self) -> dict[str, float]:
        """Values by name (single parameter set only)."""
        return {name: float(v) for name, v in zip(NAMES, np.exp(self.log_values), strict=True)}


@functools.cache
def _columns(names: tuple[str, ...]) -> NDArray[np.intp]:
    return np.array([_INDEX[name] for name in names], dtype=np.intp)


def prior_logs() -> tuple[FloatArray, FloatArray]:
    """Log of every prior value and its spread, both shape (P,)."""
    return (np.log([prior.value for prior in PRIORS]), np.array([p.spread for p in PRIORS]))


@functools.cache
def read_frozen() -> dict[str, Any]:
    """The content of `data/parameters.toml`."""
    sections = ("date", "level", "roofline", "interval", "simple", "mesh", "fitted_on")
    return shipped_toml("k2repro.wafer", "data/parameters.toml", sections)


@functools.cache
def load_parameters() -> Parameters:
    """The frozen parameters; K2ReproError when the file does not hold exactly the known names."""
    values = read_frozen()["roofline"]
    if set(values) != set(NAMES):
        different = ", ".join(sorted(set(values) ^ set(NAMES)))
        raise K2ReproError(
            f"parameters.toml: names do not match the model ({different}); "
            "run `python -m k2repro.wafer.calibration.freeze DATE` to refit"
        )
    return Parameters(np.log([float(values[name]) for name in NAMES]))
