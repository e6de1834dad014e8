"""Measuring the costs of `costs.py`: layers of calibration widths, timed operation by operation.

No measured model has one of these widths. Each calibration model is a few layers with a short
output head, several times larger than the last cache level, and every product in it is timed
where it stands: between other work, with cold code. What is left of a step is the work between the
matrices. The same model at smaller depths shows what the caches are worth.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from k2repro.measure.costs import (
    GlueCost,
    ProductCost,
    Size,
    cheapest,
    fit_non_negative,
    fit_regimes,
    head_product,
    layer_products,
)
from k2repro.measure.decode import MeasuredDecoder
from k2repro.measure.matvec import Kernel, MatVec, NoProduct, find_kernel
from k2repro.measure.weights import random_weights
from k2repro.wafer.model.shapes import ModelShape

Array = NDArray[np.float32]
Draw = Callable[[int, int], Array]
Tell = Callable[[str], None]
# (hidden, heads, ffn, vocabulary): none of them a width of the measured models.
WIDTHS = (
    (192, 3, 576, 8192),
    (320, 5, 896, 12288),
    (448, 7, 1280, 2048),
    (640, 10, 1792, 20480),
    (1152, 18, 5120, 28672),
    (1344, 21, 7168, 2048),
)
QUICK_WIDTHS = (WIDTHS[1], WIDTHS[3], WIDTHS[4])
_LEAST_LAYERS = 3
_CURVE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.25, 1.5, 2.0, 3.0)
_QUICK_CURVE = (0.2, 0.4, 0.6, 0.85, 1.25, 2.0)
# A short vocabulary, so that a shallow model fits any last level cache.
_CURVE_WIDTH = (320, 5, 896, 2048)
# Cache levels beyond the declared ones (a host's, under a virtual machine) hide below this.
_LEAST_MEMORY = 128_000_000
# Of the steps of a profile this quantile counts: quiet, but not the luckiest.
_QUIET = 0.25


@dataclass(frozen=True)
class StepProfile:
    """Where the time of a step went: seconds of one product by size, and of the rest per layer."""

    products: dict[Size, float]
    rest_per_layer: float


def calibration_shape(width: tuple[int, int, int, int], memory: float, bytes_per_weight: float) -> ModelShape:
    """Three or more layers of that width that fill about `memory` bytes."""
    hidden, heads, ffn, vocab = width
    one = ModelShape("calibration", 1, hidden, heads, 1, 64, ffn, vocab, tied=True)
    layers = (memory / bytes_per_weight - one.head_parameters) / one.block_parameters
    return replace(one, layers=max(_LEAST_LAYERS, round(layers)))


def chooser(
    costs: Sequence[ProductCost], precision: str, footprint: float, used: dict[str, int] | None = None
) -> Kernel:
    """Store every matrix in the kernel that reads it fastest; counts the choices in `used`."""

    def choose(weight: Array) -> MatVec:
        rows, columns = weight.shape
        name = cheapest(costs, (rows, columns), footprint).kernel
        if used is not None:
            used[name] = used.get(name, 0) + 1
        return find_kernel(precision, name)(weight)

    return choose


def profile_steps(shape: ModelShape, kernel: Kernel, draw: Draw, *, context: int, steps: int) -> StepProfile:
    """Decode `steps` tokens with a clock around every product."""
    clock = time.perf_counter
    seconds: dict[Size, float] = {}

    class Timed:
        def __init__(self, weight: Array) -> None:
            self._product = kernel(weight)
            self._size = (weight.shape[0], weight.shape[1])
            self.read_bytes = self._product.read_bytes

        def __call__(self, x: Array, /) -> Array:
            start = clock()
            result = self._product(x)
            seconds[self._size] = seconds.get(self._size, 0.0) + clock() - start
            return result

    decoder = MeasuredDecoder(shape, random_weights(shape, Timed, draw), max_context=context + steps + 2)
    decoder.move_to(context)
    decoder.step(1)
    decoder.step(1)
    rests, products = [], []
    for _ in range(steps):
        seconds.clear()
        start = clock()
        int(decoder.step(1).argmax())
        rests.append(clock() - start - sum(seconds.values()))
        products.append(dict(seconds))
    counts = dict.fromkeys(layer_products(shape), shape.layers)
    counts[head_product(shape)] = 1
    return StepProfile(
        {size: _quiet([step[size] for step in products]) / count for size, count in counts.items()},
        _quiet(rests) / shape.layers,
    )


def _quiet(values: Sequence[float]) -> float:
    return float(np.quantile(values, _QUIET))


def bare_step_seconds(draw: Draw, *, context: int, steps: int) -> float:
    """What a step costs once, apart from layers and matrices: bare decoders of two depths."""

    def rest(layers: int) -> float:
        shape = replace(calibration_shape(_CURVE_WIDTH, 0.0, 4.0), layers=layers)
        return profile_steps(shape, NoProduct, draw, context=context, steps=steps).rest_per_layer * layers

    shallow, deep = rest(2), rest(10)
    return max(shallow - 2 * (deep - shallow) / 8, 0.0)


def measure_costs(
    kernels: dict[str, Kernel],
    *,
    bytes_per_weight: float,
    cache_bytes: int,
    context: int,
    draw: Draw,
    quick: bool = False,
    tell: Tell = lambda text: None,
) -> tuple[tuple[ProductCost, ...], GlueCost]:
    """Costs of every kernel of one precision, and of the work between their matrices.

    cache_bytes: the last cache level; calibration models are four times that, at least 128 MB.
    """
    widths, parts, steps = (QUICK_WIDTHS, _QUICK_CURVE, 12) if quick else (WIDTHS, _CURVE, 40)
    memory = max(4 * cache_bytes, _LEAST_MEMORY)
    shapes = [calibration_shape(width, memory, bytes_per_weight) for width in widths]
    costs, rests = [], []
    curves: dict[str, list[tuple[float, StepProfile]]] = {}
    for name, kernel in kernels.items():

        def profile(shape: ModelShape, kernel: Kernel = kernel, name: str = name) -> StepProfile:
            tell(f"{name}: {shape.layers} layers of width {shape.hidden}")
            return profile_steps(shape, kernel, draw, context=context, steps=steps)

        profiles = [profile(shape) for shape in shapes]
        rests.append([found.rest_per_layer for found in profiles])
        costs.append(_fit_kernel(name, profiles, bytes_per_weight))
        small = [calibration_shape(_CURVE_WIDTH, part * cache_bytes, bytes_per_weight) for part in parts]
        curves[name] = [(shape.decode_parameters * bytes_per_weight, profile(shape)) for shape in small]
    glue = _fit_glue(
        shapes,
        [min(kernel) for kernel in zip(*rests, strict=True)],
        bare_step_seconds(draw, context=context, steps=steps),
    )
    kernel_costs = tuple(replace(cost, curve=_byte_curve(cost, curves[cost.kernel])) for cost in costs)
    return kernel_costs, replace(glue, curve=_glue_curve(glue, list(curves.values())))


def _fit_kernel(name: str, profiles: Sequence[StepProfile], bytes_per_weight: float) -> ProductCost:
    sizes = [size for profile in profiles for size in profile.products]
    seconds = [time for profile in profiles for time in profile.products.values()]
    read = [rows * columns * bytes_per_weight for rows, columns in sizes]
    return ProductCost(name, bytes_per_weight, *fit_regimes(sizes, read, seconds))


def _fit_glue(shapes: Sequence[ModelShape], rests: Sequence[float], per_step: float) -> GlueCost:
    """A line over the width, through all calibration models with equal relative weight."""
    floor = 1e-9
    each = np.array(
        [max(rest - per_step / shape.layers, floor) for shape, rest in zip(shapes, rests, strict=True)]
    )
    design = np.array([[1.0, shape.hidden + shape.ffn] for shape in shapes])
    start, slope = fit_non_negative(design, each)[0]
    return GlueCost(float(start), float(slope), per_step)


def _byte_curve(
    cost: ProductCost, points: Sequence[tuple[float, StepProfile]]
) -> tuple[tuple[float, float], ...]:
    """Time per byte relative to memory, never falling and never above memory's own."""
    curve, previous = [], 0.0
    for footprint, profile in points:
        excess = sum(
            seconds - cost.linear(*size).overhead(*size) for size, seconds in profile.products.items()
        )
        memory = sum(
            rows * columns * cost.bytes_per_weight * cost.linear(rows, columns).per_byte
            for rows, columns in profile.products
        )
        # No cache is twenty times its memory; less is noise in the overhead.
        previous = min(max(excess / memory, previous, 0.05), 1.0)
        curve.append((footprint, previous))
    return tuple(curve)


def _glue_curve(
    glue: GlueCost, kernels: Sequence[Sequence[tuple[float, StepProfile]]]
) -> tuple[tuple[float, float], ...]:
    """Work between the matrices relative to memory, the cheapest of the kernels' profiles."""
    hidden, _, ffn, _ = _CURVE_WIDTH
    memory = glue.per_layer + glue.per_value * (hidden + ffn)
    curve, previous = [], 0.0
    for points in zip(*kernels, strict=True):
        rest = min(profile.rest_per_layer for _, profile in points)
        previous = min(max(rest / memory, previous, 0.1), 1.0)
        curve.append((points[0][0], previous))
    return tuple(curve)
