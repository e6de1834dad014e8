"""How long one matrix-vector product takes on this machine: a fit over sizes, and a cache curve.

A product of a (rows, columns) matrix that comes from memory costs

    t = call + per_row * rows + per_column * columns + per_byte * bytes

fitted to products of a few sizes, none of which occurs in the measured models; the matrices of one
size together are several times the last cache level, so all are really read. BLAS libraries use one
thread below a size of their own choice, so small and large products are fitted apart where that
explains the times much better. How much cheaper a byte is when a whole model stays in cache is a
curve over its footprint. Nothing here has seen a decode step: the predictions that `report.py`
writes down first come from this alone.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.measure.matvec import Kernel
from k2repro.measure.timing import time_call

Array = NDArray[np.float32]
Tell = Callable[[str], None]
# (rows, columns): wide, tall and square, on both sides of half a million elements.
SIZES = ((320, 320), (1920, 160), (160, 1920), (640, 640), (1152, 320), (320, 1152),
         (640, 960), (960, 640), (3584, 640), (640, 1792), (1152, 1152), (6400, 1152),
         (1152, 5120), (24576, 640), (40960, 1280))
QUICK_SIZES = ((320, 320), (1920, 160), (160, 1920), (640, 640),
               (1152, 1152), (3584, 640), (640, 1792), (12288, 640))
_CURVE_SIZE = (640, 640)
_CURVE = (0.125, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.25, 1.5, 2.0, 3.0)
_QUICK_CURVE = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
# A second regime has eight parameters instead of four and must earn them.
_SPLIT_MUST_HALVE = 0.5


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

    small, large: products below and from `split` elements (the same where one fit does).
    curve: (footprint in bytes, time per byte relative to memory), ascending.
    bytes_per_weight: 4 for fp32, 2 for bf16.
    """

    kernel: str
    bytes_per_weight: float
    small: LinearCost
    large: LinearCost
    split: float
    curve: tuple[tuple[float, float], ...]

    def relative_byte_time(self, footprint: float) -> float:
        """1 from memory, less when all matrices in turn (`footprint` bytes) stay in cache."""
        if not self.curve or footprint >= self.curve[-1][0]:
            return 1.0
        points = np.array(self.curve)
        return float(np.interp(math.log(footprint), np.log(points[:, 0]), points[:, 1]))

    def parts(self, rows: int, columns: int, footprint: float) -> tuple[float, float]:
        """(overhead seconds, reading seconds) of one product within a model of `footprint` bytes."""
        cost = self.small if rows * columns < self.split else self.large
        reading = rows * columns * self.bytes_per_weight * cost.per_byte
        return cost.overhead(rows, columns), reading * self.relative_byte_time(footprint)


def cheapest(costs: Sequence[ProductCost], rows: int, columns: int,
             footprint: float) -> ProductCost:
    """The kernel that multiplies a (rows, columns) matrix of a model of `footprint` bytes fastest."""
    return min(costs, key=lambda cost: sum(cost.parts(rows, columns, footprint)))


def fit_costs(sizes: Sequence[tuple[int, int]], read_bytes: Sequence[float],
              seconds: Sequence[float]) -> tuple[LinearCost, float]:
    """The non-negative cost with the least squared relative error, and that error.

    Raises K2ReproError with fewer than four sizes: four numbers need four equations.
    """
    if len(sizes) < 4:
        raise K2ReproError(f"{len(sizes)} sizes cannot determine four costs; measure at least four")
    design = np.array([[1.0, rows, columns, size]
                       for (rows, columns), size in zip(sizes, read_bytes, strict=True)])
    scaled = design / np.array(seconds)[:, None]
    best, best_error = np.zeros(4), math.inf
    # Four coefficients have fifteen non-empty subsets: the constrained optimum is one of them.
    for count in range(1, 5):
        for chosen in itertools.combinations(range(4), count):
            part = np.linalg.lstsq(scaled[:, chosen], np.ones(len(sizes)), rcond=None)[0]
            error = float(np.square(scaled[:, chosen] @ part - 1).sum())
            if (part >= 0).all() and error < best_error:
                best = np.zeros(4)
                best[list(chosen)], best_error = part, error
    return LinearCost(*map(float, best)), best_error


def fit_regimes(sizes: Sequence[tuple[int, int]], read_bytes: Sequence[float],
                seconds: Sequence[float]) -> tuple[LinearCost, LinearCost, float]:
    """(small, large, split in elements); one regime for both unless two halve the error."""
    order = sorted(range(len(sizes)), key=lambda i: math.prod(sizes[i]))

    def fit(chosen: list[int]) -> tuple[LinearCost, float]:
        return fit_costs([sizes[i] for i in chosen], [read_bytes[i] for i in chosen],
                         [seconds[i] for i in chosen])

    whole, error = fit(order)
    best = (whole, whole, 0.0)
    error *= _SPLIT_MUST_HALVE
    for at in range(4, len(order) - 3):
        (small, small_error), (large, large_error) = fit(order[:at]), fit(order[at:])
        if small_error + large_error < error:
            error = small_error + large_error
            below, above = math.prod(sizes[order[at - 1]]), math.prod(sizes[order[at]])
            best = (small, large, math.sqrt(below * above))
    return best


def time_products(kernel: Kernel, rows: int, columns: int, footprint: int, *, runs: int,
                  draw: Callable[[int, int], Array]) -> tuple[float, float]:
    """(seconds, bytes) of one product when `footprint` bytes of such matrices are read in turn."""
    first = kernel(draw(rows, columns))
    count = max(1, round(footprint / first.read_bytes))
    matrices = [first, *(kernel(draw(rows, columns)) for _ in range(count - 1))]
    x = draw(1, columns)[0]

    def run() -> None:
        for matrix in matrices:
            matrix(x)

    # Small footprints take microseconds; 30 ms of repeats find the quiet moments.
    return time_call(run, runs=runs, seconds=0.03).best / count, float(first.read_bytes)


def survey_products(name: str, kernel: Kernel, *, cache_bytes: int,
                    draw: Callable[[int, int], Array], quick: bool = False,
                    tell: Tell = lambda text: None) -> ProductCost:
    """Measure one kernel: a fit over sizes from memory, then the footprint curve.

    cache_bytes: the last cache level; "from memory" means four times that, at least 128 MB.
    """
    sizes, parts, runs = (QUICK_SIZES, _QUICK_CURVE, 3) if quick else (SIZES, _CURVE, 9)
    memory = max(4 * cache_bytes, 128_000_000)
    seconds, read = [], []
    for rows, columns in sizes:
        tell(f"{name}: {rows} x {columns} from memory")
        time, size = time_products(kernel, rows, columns, memory, runs=runs, draw=draw)
        seconds.append(time)
        read.append(size)
    small, large, split = fit_regimes(sizes, read, seconds)
    rows, columns = _CURVE_SIZE
    cost = small if rows * columns < split else large
    curve, previous = [], 0.0
    for footprint in (int(part * cache_bytes) for part in parts):
        tell(f"{name}: {footprint / 1e6:.0f} MB in turn")
        time, size = time_products(kernel, rows, columns, footprint, runs=runs, draw=draw)
        relative = (time - cost.overhead(rows, columns)) / (size * cost.per_byte)
        # A larger footprint is never cheaper, and no cache is twenty times its memory.
        previous = min(max(relative, previous, 0.05), 1.0)
        curve.append((float(footprint), previous))
    weight = read[0] / (sizes[0][0] * sizes[0][1])
    return ProductCost(name, weight, small, large, split, tuple(curve))
