"""The named physical parameters of the roofline: meaning, unit, prior, and the frozen values.

Every parameter is positive and lives on a log scale. Its prior is what hardware documents and
published profiles say before any row is seen; `fit.py` moves it as far as the rows insist. A
parameter about which the rows say nothing (a kernel that no source measured) stays at its prior.
The frozen values are in `data/parameters.toml`, with the date and the rows they were fitted on.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.reading import shipped_toml

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
PRIORS = (
    Prior(
        "memory.efficiency",
        0.90,
        0.05,
        "1",
        "share of nominal HBM or GDDR bandwidth that a long stream reaches",
    ),
    Prior("memory.efficiency_lpddr", 0.80, 0.08, "1", "the same for LPDDR that a GPU shares with a CPU"),
    Prior("memory.efficiency_cpu", 0.65, 0.20, "1", "the same for a CPU with nominal DDR bandwidth"),
    Prior(
        "memory.efficiency_sustained",
        0.95,
        0.05,
        "1",
        "share of a measured (sustained) bandwidth that decode reaches",
    ),
    Prior(
        "memory.kv_efficiency",
        0.70,
        0.30,
        "1",
        "share of bandwidth that attention reaches on the key-value cache",
    ),
    Prior("memory.native_narrow", 0.90, 0.10, "1", "what fp8 and fp4 kernels reach of that share"),
    Prior(
        "unit.bytes_per_cycle",
        8.0,
        0.40,
        "B/cycle",
        "weight bytes that one SM, CU or GPU core takes in per cycle with ggml kernels",
    ),
    Prior(
        "unit.cpu_bytes_per_cycle",
        2.5,
        0.40,
        "B/cycle",
        "weight bytes that one CPU core with 256-bit vectors unpacks per cycle",
    ),
    Prior(
        "unit.vector_flops",
        128.0,
        0.50,
        "FLOP/cycle",
        "arithmetic of one SM or GPU core in ggml kernels that take several sequences",
    ),
    Prior("layer.compiled", 40e-6, 0.5, "s", "overhead per layer of compiled engines"),
    Prior("layer.serving", 60e-6, 0.5, "s", "overhead per layer of serving engines"),
    Prior("layer.ggml", 100e-6, 0.5, "s", "overhead per layer of ggml on a GPU, kernels launched one by one"),
    Prior("layer.ggml_graph", 40e-6, 0.5, "s", "overhead per layer of ggml replaying a CUDA graph"),
    Prior("layer.ggml_cpu", 60e-6, 0.5, "s", "thread barriers per layer of ggml on a CPU of up to 8 cores"),
    Prior("layer.eager", 800e-6, 0.5, "s", "host time per layer of eager Python engines"),
    Prior("layer.torch_cpu", 200e-6, 0.5, "s", "dispatch time per layer of PyTorch on a CPU"),
    Prior(
        "layer.tiled",
        400e-6,
        0.5,
        "s",
        "dispatch of about twenty operations per layer on a grid of RISC-V cores",
    ),
    Prior("layer.uncaptured", 1.0, 0.5, "1", "serving without graph capture, against sqrt(serving x eager)"),
    Prior("layer.packed", 15e-6, 0.5, "s", "extra per layer for unpacking kernels, serving"),
    Prior("layer.experts", 0.5, 0.5, "1", "extra overhead of a layer with experts: router, gather, scatter"),
    Prior(
        "experts.independence",
        0.80,
        0.10,
        "1",
        "exponent of the batch when experts are counted: 1 if all sequences chose independently",
    ),
    *(
        Prior(f"software.{name}", 1.0, 0.30, "1", f"overhead of {name} against its class")
        for name in SOFTWARE
    ),
    Prior("step.compiled", 0.3e-3, 0.7, "s", "overhead per step of compiled engines"),
    Prior("step.serving", 1.0e-3, 0.7, "s", "scheduling and sampling per step, serving"),
    Prior("step.ggml", 0.3e-3, 0.7, "s", "overhead per step of ggml on a GPU"),
    Prior("step.tensor_parallel", 1.0e-3, 0.7, "s", "serving: waking the other workers, per step"),
    Prior("step.sequence", 20e-6, 0.7, "s", "serving: host work per sequence and step, up to 256 sequences"),
    Prior("link.latency", 20e-6, 0.5, "s", "two all-reduces per layer, empty, inside a node"),
    Prior("link.node_latency", 40e-6, 0.5, "s", "the same between nodes, per doubling of nodes"),
    Prior("link.efficiency", 0.20, 0.5, "1", "share of link bandwidth in small all-reduces"),
    Prior(
        "decode.utilisation", 0.60, 0.15, "1", "share of peak arithmetic that padded decode products reach"
    ),
    Prior("prefill.matrix", 0.60, 0.15, "1", "model FLOP utilisation of prefill matrix products"),
    Prior("prefill.attention", 0.40, 0.30, "1", "the same for attention over long prompts"),
)
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
