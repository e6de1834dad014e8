"""The wafer: why 21 PB/s does not mean 300,000 tokens per second.

A wafer holds all weights in the memory of its cores and maps every layer to a region of the mesh.
One token passes the regions one after the other, so one layer works at a time, and inside a region
a product needs the activation spread along one side and partial sums reduced along the other:

    seconds per layer = start + hop x side + load x (kB of weights and cache per core)

with side = sqrt(cores working on one layer). More cores per layer shorten the load and lengthen
the way; past a point more cores decode *slower*. The three parameters are fitted on the twelve
WSE-2 rates of WaferLLM (OSDI 2025, arXiv 2502.04563, Table 4) and used unchanged on WSE-3.

Requests pipeline through the regions: as many as there are layers decode at full speed at once.
The output head is part of `start`; the paper of K2-Think names neither wafers nor precision.
"""

import functools
import math
from dataclasses import dataclass

from k2repro.errors import K2ReproError
from k2repro.wafer.model.parameters import read_frozen
from k2repro.wafer.model.shapes import ModelShape

# Nothing published says how far kernels other than WaferLLM's are from its hop counts. A quarter
# either way is declared, not fitted: only two no-draft rates of another wafer exist.
TRANSFER_SPREAD = 0.25


@dataclass(frozen=True)
class MeshParameters:
    """start_s: seconds per layer; hop_s: seconds per core of mesh side; load_s_per_kb: s/kB."""

    start_s: float
    hop_s: float
    load_s_per_kb: float


@dataclass(frozen=True)
class Region:
    """The cores that work on one layer, and what each of them must read per token."""

    cores: float
    kilobytes_per_core: float

    @property
    def side(self) -> float:
        """Cores along one side of a square region."""
        return math.sqrt(self.cores)


@functools.cache
def load_mesh_parameters() -> MeshParameters:
    """The frozen parameters of `data/parameters.toml` (section mesh)."""
    table = read_frozen()["mesh"]
    return MeshParameters(float(table["start_s"]), float(table["hop_s"]), float(table["load_s_per_kb"]))


def place(
    shape: ModelShape,
    cores_per_layer: float,
    *,
    bits: float = 16.0,
    context_length: float = 0.0,
    kv_bytes_per_token: float | None = None,
) -> Region:
    """The region of one layer: its weights and key-value cache spread evenly over the cores."""
    if not cores_per_layer > 0:
        raise K2ReproError(f"cores per layer = {cores_per_layer!r} must be positive")
    kv = shape.kv_bytes_per_token() if kv_bytes_per_token is None else kv_bytes_per_token
    layer_bytes = (shape.block_parameters * bits / 8 + kv * context_length) / shape.layers
    return Region(cores_per_layer, layer_bytes / cores_per_layer / 1e3)


def layer_seconds(region: Region, parameters: MeshParameters) -> dict[str, float]:
    """Seconds of one layer by cause: layer_start, hops, load."""
    return {
        "layer_start": parameters.start_s,
        "hops": parameters.hop_s * region.side,
        "load": parameters.load_s_per_kb * region.kilobytes_per_core,
    }


def best_cores_per_layer(
    shape: ModelShape, parameters: MeshParameters, *, bits: float = 16.0, context_length: float = 0.0
) -> float:
    """Cores per layer at which a token is fastest; more cores than that decode slower.

    d/dn (hop sqrt(n) + load x bytes / n) = 0 gives n = (2 load bytes / hop)^(2/3).
    """
    whole = place(shape, 1.0, bits=bits, context_length=context_length)
    return float((2 * parameters.load_s_per_kb * whole.kilobytes_per_core / parameters.hop_s) ** (2 / 3))


def minimum_wafers(
    shape: ModelShape,
    capacity_bytes: float,
    *,
    bits: float = 16.0,
    context_length: float = 0.0,
    batch_size: int = 1,
) -> int:
    """Wafers whose memory holds all weights and the cache of the batch."""
    needed = shape.parameters * bits / 8 + shape.kv_bytes_per_token() * context_length * batch_size
    return math.ceil(needed / capacity_bytes)
