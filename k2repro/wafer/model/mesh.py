"""The wafer: why 21 PB/s does not mean 300,000 tokens per second.

A wafer holds all weights in the memory of its cores and maps layers to square regions of the mesh.
One token passes the layers one after the other, so one layer works at a time, and inside a region a
product needs the activation spread along one side and partial sums reduced along the other:

    seconds per layer = start + hop x side + load x (kB of weights and cache that a core reads)

with side = sqrt(cores of the region). More cores per layer shorten the load and lengthen the way;
past a point more cores decode *slower*. The three parameters are fitted on the twelve WSE-2 rates of
WaferLLM (OSDI 2025, arXiv 2502.04563, Table 4).

*Placement*, one rule for every prediction and every row (`best_placement`): the side at which a layer
is fastest, never below the smallest that was measured (420 cores); as many such regions as the wafers
hold; layers dealt out to them, several to a region, working in turn. A measured row that names its
own mesh is predicted on that mesh. *Several tokens in one pass* (a draft to verify, a prompt) are
multiplied one after the other: a core reads a weight once per multiplication, so the load counts per
token. Requests pipeline: as many as there are regions decode at full speed at once.

Weights of 8 bits halve the memory, not the multiplications. Of a mixture every region holds all
experts, spread over its cores, and reads those that were chosen. The output head is part of `start`.
"""

import functools
import math
from dataclasses import dataclass, replace

from k2repro.errors import K2ReproError
from k2repro.wafer.model.parameters import read_frozen
from k2repro.wafer.model.shapes import ModelShape

# The smallest region of the rows that the mesh is fitted on; below it nothing was measured.
SMALLEST_SIDE = 420.0
# Declared, not fitted: a quarter either way for kernels other than WaferLLM's.
TRANSFER_SPREAD = 0.25
# Memory of one core, bytes (WSE-2 and WSE-3 alike).
CORE_BYTES = 48e3 * 1.024


@dataclass(frozen=True)
class MeshParameters:
    """start_s: seconds per layer; hop_s: seconds per core of mesh side; load_s_per_kb: s/kB."""

    start_s: float
    hop_s: float
    load_s_per_kb: float


@dataclass(frozen=True)
class Region:
    """The cores that work on one layer, and what each of them must read per token.

    kilobytes_per_core: weights in 16 bit; cache_kilobytes_per_core: keys and values.
    """

    cores: float
    kilobytes_per_core: float
    cache_kilobytes_per_core: float = 0.0

    @property
    def side(self) -> float:
        """Cores along one side of a square region."""
        return math.sqrt(self.cores)


@dataclass(frozen=True)
class Placement:
    """Where a model's layers live: `regions` squares of region.side cores, layers dealt out to them.

    layers_per_region: of the fullest region; they work in turn. fits: whether the fullest region holds
    its layers and caches.
    """

    region: Region
    regions: int
    layers_per_region: int
    fits: bool


@functools.cache
def load_mesh_parameters() -> MeshParameters:
    """The frozen parameters of `data/parameters.toml` (section mesh)."""
    table = read_frozen()["mesh"]
    return MeshParameters(float(table["start_s"]), float(table["hop_s"]), float(table["load_s_per_kb"]))


def place(
    shape: ModelShape,
    cores_per_layer: float,
    *,
    context_length: float = 0.0,
    kv_bytes_per_token: float | None = None,
) -> Region:
    """The region of one layer: what it reads per token, spread evenly over the cores."""
    if not cores_per_layer > 0:
        raise K2ReproError(f"cores per layer = {cores_per_layer!r} must be positive")
    kv = shape.kv_bytes_per_token() if kv_bytes_per_token is None else kv_bytes_per_token
    weights = shape.active_block_parameters * 2.0 / shape.layers
    return Region(
        cores_per_layer,
        weights / cores_per_layer / 1e3,
        kv * context_length / shape.layers / cores_per_layer / 1e3,
    )


def layer_seconds(region: Region, parameters: MeshParameters, tokens: float = 1.0) -> dict[str, float]:
    """Seconds of one layer for a pass of so many tokens: layer_start, hops, load, verify.

    verify is what the tokens beyond the first add: a multiplication per weight and token. The cache
    is read once for all of them.
    """
    weights = parameters.load_s_per_kb * region.kilobytes_per_core
    return {
        "layer_start": parameters.start_s,
        "hops": parameters.hop_s * region.side,
        "load": weights + parameters.load_s_per_kb * region.cache_kilobytes_per_core,
        "verify": weights * (tokens - 1.0),
    }


def best_cores_per_layer(
    shape: ModelShape, parameters: MeshParameters, *, context_length: float = 0.0
) -> float:
    """Cores per layer at which a step is fastest; more cores than that decode slower.

    d/dn (hop sqrt(n) + load x kB / n) = 0 gives n = (2 load kB / hop)^(2/3).
    """
    whole = place(shape, 1.0, context_length=context_length)
    kilobytes = whole.kilobytes_per_core + whole.cache_kilobytes_per_core
    return float((2 * parameters.load_s_per_kb * kilobytes / parameters.hop_s) ** (2 / 3))


def _layer_bytes(shape: ModelShape, bits: float, cached: float, kv: float) -> float:
    """Resident bytes of one layer with the caches of all sequences, averaged over the layers."""
    return (shape.block_parameters * bits / 8 + kv * cached) / shape.layers


def best_placement(
    shape: ModelShape,
    cores: float,
    wafers: int,
    *,
    bits: float = 16.0,
    context_length: float = 0.0,
    cached_tokens: float | None = None,
    kv_bytes_per_token: float | None = None,
    side: float | None = None,
) -> Placement:
    """The declared placement on `wafers` wafers of `cores` cores.

    cached_tokens: of all sequences together; default one of context_length. side: of a measured
    row, taken as it is. Where regions of the best side do not hold the layers, the wafer is cut
    into fewer and larger ones; a region never crosses a wafer. What fits nowhere is answered as if
    it did: WaferLLM ran some layers of such models and scaled.
    """
    kv = shape.kv_bytes_per_token() if kv_bytes_per_token is None else kv_bytes_per_token
    cached = context_length if cached_tokens is None else cached_tokens
    layer = _layer_bytes(shape, bits, cached, kv)
    if side is None:
        best = best_cores_per_layer(shape, load_mesh_parameters(), context_length=context_length)
        wanted = min(max(best, SMALLEST_SIDE**2), cores)
    else:
        wanted = min(side**2, cores)
    per_wafer = max(1, int(cores // wanted))
    candidates = [wanted, *(cores / n for n in range(per_wafer, 0, -1))] if side is None else [wanted]
    deals = [_deal(shape, size, cores, wafers, layer) for size in candidates]
    chosen = next((deal for deal in deals if deal.fits), deals[0])
    region = place(shape, chosen.region.cores, context_length=context_length, kv_bytes_per_token=kv)
    return replace(chosen, region=region)


def _deal(shape: ModelShape, size: float, cores: float, wafers: int, layer: float) -> Placement:
    regions = min(shape.layers, wafers * max(1, int(cores // size)))
    each = math.ceil(shape.layers / regions)
    fits = each * layer <= size * CORE_BYTES
    return Placement(Region(size, 0.0), regions, each, fits)


def even_placement(shape: ModelShape, cores: float, wafers: int, *, context_length: float = 0.0) -> Placement:
    """The other extreme, as a bound: every layer has its own region, all cores are used."""
    size = cores * wafers / shape.layers
    return Placement(place(shape, size, context_length=context_length), shape.layers, 1, True)


def minimum_wafers(shape: ModelShape, capacity_bytes: float) -> int:
    """Wafers whose memory holds all weights in 16 bit, no cache beside them."""
    return math.ceil(shape.parameters * 2.0 / capacity_bytes)
