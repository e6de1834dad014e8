"""What a decode step costs on a measured machine: products of matrices, and the work between them.

A product of a (rows, columns) matrix that comes from memory costs

    t = call + per_row * rows + per_column * columns + per_byte * bytes

and less per byte when the whole model stays in cache, as a curve over its footprint. BLAS libraries
use one thread below a size of their own choice, so small and large products may have costs of
their own. The work between the matrices (norms, rotation, attention, activation, Python itself)
costs a constant per layer and a little per value; weights that stream past push its code and its
arrays out of the caches, so it too depends on the footprint.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.wafer.model.shapes import ModelShape

FloatArray = NDArray[np.float64]
Size = tuple[int, int]
Curve = tuple[tuple[float, float], ...]
# Four more parameters must explain the times far better, and need sizes to rest on.
_SPLIT_GAIN, _SPLIT_SIZES = 4.0, 6


def layer_products(shape: ModelShape) -> tuple[Size, ...]:
    """(rows, columns) of the four matrices of a layer: q/k/v, output, gate/up, down."""
    q, kv = shape.q_heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return (
        (q + 2 * kv, shape.hidden),
        (shape.hidden, q),
        (2 * shape.ffn, shape.hidden),
        (shape.hidden, shape.ffn),
    )


def head_product(shape: ModelShape) -> Size:
    """(rows, columns) of the output head."""
    return shape.vocab, shape.hidden


def read_curve(curve: Curve, footprint: float) -> float:
    """The curve at a footprint, interpolated in its logarithm; 1 (as from memory) beyond it."""
    if not curve or footprint >= curve[-1][0]:
        return 1.0
    points = np.array(curve)
    return float(np.interp(math.log(footprint), np.log(points[:, 0]), points[:, 1]))


@dataclass(frozen=True)
class LinearCost:
    """Seconds of one product of a matrix that comes from memory; all four are >= 0."""

    call: float
    per_row: float
    per_column: float
    per_byte: float

    def overhead(self, rows: int, columns: int) -> float:
        """Seconds apart from reading the bytes."""
        return self.call + self.per_row * rows + self.per_column * columns


@dataclass(frozen=True)
class ProductCost:
    """Cost of one kernel.

    bytes_per_weight: 4 for fp32, 2 for bf16. small, large: products below and from `split`
    elements (the same where one fit does). curve: (footprint in bytes, time per byte relative to
    memory), ascending.
    """

    kernel: str
    bytes_per_weight: float
    small: LinearCost
    large: LinearCost
    split: float
    curve: Curve = ()

    def linear(self, rows: int, columns: int) -> LinearCost:
        """The cost of products of that size."""
        return self.small if rows * columns < self.split else self.large

    def parts(self, rows: int, columns: int, footprint: float) -> tuple[float, float]:
        """(overhead, reading) in seconds of one product in a model of `footprint` bytes."""
        cost = self.linear(rows, columns)
        reading = rows * columns * self.bytes_per_weight * cost.per_byte
        return cost.overhead(rows, columns), reading * read_curve(self.curve, footprint)


@dataclass(frozen=True)
class GlueCost:
    """The work between the matrices, in seconds from memory.

    A layer costs per_layer + per_value * (hidden + ffn), times `curve` at the model's footprint; a
    step costs per_step once.
    """

    per_layer: float
    per_value: float
    per_step: float
    curve: Curve = ()

    def layer_seconds(self, shape: ModelShape, footprint: float) -> float:
        """Seconds of one layer of that shape, matrices left out."""
        flat = self.per_layer + self.per_value * (shape.hidden + shape.ffn)
        return flat * read_curve(self.curve, footprint)


def cheapest(costs: Sequence[ProductCost], size: Size, footprint: float) -> ProductCost:
    """The kernel that multiplies a (rows, columns) matrix of a model of `footprint` bytes fastest."""
    return min(costs, key=lambda cost: sum(cost.parts(*size, footprint)))


def of_one_pool(costs: Sequence[ProductCost], shape: ModelShape, footprint: float) -> tuple[ProductCost, ...]:
    """The kernels of the one thread pool that takes a decode step of `shape` fastest.

    The BLAS of NumPy and the OpenMP of torch keep threads of their own, which spin while they wait. A model
    that alternates between them gives every matrix to threads that find the cores taken: measured, 3 to 12
    times slower than either alone. The first part of a kernel's name says whose threads it uses.
    """
    pools: dict[str, list[ProductCost]] = {}
    for cost in costs:
        pools.setdefault(cost.kernel.partition("-")[0], []).append(cost)

    def seconds(pool: Iterable[ProductCost]) -> float:
        kernels = tuple(pool)

        def fastest(size: Size) -> float:
            return sum(cheapest(kernels, size, footprint).parts(*size, footprint))

        return fastest(head_product(shape)) + shape.layers * sum(map(fastest, layer_products(shape)))

    return tuple(min(pools.values(), key=seconds))


def fit_non_negative(design: FloatArray, seconds: FloatArray) -> tuple[FloatArray, float]:
    """Coefficients >= 0 with the least squared relative error of design @ coefficients, and that.

    design: shape (n, k) with small k; seconds: shape (n,), positive. The last coefficient is above
    zero: bytes and widths always cost something. One of the subsets of columns holds the
    constrained optimum, so all are tried.
    """
    columns = design.shape[1]
    scaled = design / seconds[:, None]
    best, best_error = np.zeros(columns), math.inf
    for count in range(1, columns + 1):
        for chosen in itertools.combinations(range(columns), count):
            if columns - 1 not in chosen:
                continue
            part = np.linalg.lstsq(scaled[:, chosen], np.ones(len(seconds)), rcond=None)[0]
            error = float(np.square(scaled[:, chosen] @ part - 1).sum())
            if (part >= 0).all() and error < best_error:
                best = np.zeros(columns)
                best[list(chosen)], best_error = part, error
    return best, best_error


def fit_costs(
    sizes: Sequence[Size], read_bytes: Sequence[float], seconds: Sequence[float]
) -> tuple[LinearCost, float]:
    """The cost of products with the least squared relative error, and that error.

    Raises K2ReproError with fewer than four sizes: four numbers need four equations.
    """
    if len(sizes) < 4:
        raise K2ReproError(f"{len(sizes)} sizes cannot determine four costs; measure at least four")
    design = np.array(
        [[1.0, rows, columns, size] for (rows, columns), size in zip(sizes, read_bytes, strict=True)]
    )
    found, error = fit_non_negative(design, np.array(seconds))
    return LinearCost(*map(float, found)), error


def fit_regimes(
    sizes: Sequence[Size], read_bytes: Sequence[float], seconds: Sequence[float]
) -> tuple[LinearCost, LinearCost, float]:
    """(small, large, split in elements); one fit for both unless two explain the times better."""
    order = sorted(range(len(sizes)), key=lambda i: math.prod(sizes[i]))

    def fit(chosen: list[int]) -> tuple[LinearCost, float]:
        return fit_costs(
            [sizes[i] for i in chosen], [read_bytes[i] for i in chosen], [seconds[i] for i in chosen]
        )

    whole, error = fit(order)
    best = (whole, whole, 0.0)
    error /= _SPLIT_GAIN
    for at in range(_SPLIT_SIZES, len(order) - _SPLIT_SIZES + 1):
        (small, small_error), (large, large_error) = fit(order[:at]), fit(order[at:])
        if small_error + large_error < error:
            error = small_error + large_error
            below, above = math.prod(sizes[order[at - 1]]), math.prod(sizes[order[at]])
            best = (small, large, math.sqrt(below * above))
    return best
