"""The work between the matrices: norms, rotation, attention, activation, and Python itself.

While weights stream past, they push code and small arrays out of the caches, so this work is dearer
in a real step than alone. It is measured in place: layers of three calibration widths, none of them
a measured model, from memory; minus what their matrices cost by `survey.py`. A decoder whose
matrices read nothing (`NoProduct`) gives the floor below which the difference cannot be right.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2repro.measure.decode import Decoder
from k2repro.measure.matvec import Kernel, NoProduct, find_kernel
from k2repro.measure.survey import ProductCost, cheapest
from k2repro.measure.timing import time_call
from k2repro.measure.weights import random_weights
from k2repro.wafer.shapes import ModelShape

Draw = Callable[[int, int], NDArray[np.float32]]
# (hidden, heads, ffn) between the widths of the measured models.
WIDTHS = ((320, 5, 896), (640, 10, 1792), (1152, 18, 5120))
_VOCABULARY = 2048


@dataclass(frozen=True)
class GlueCost:
    """Seconds per layer = per_layer + per_value * (hidden + ffn); per_step once per token."""

    per_layer: float
    per_value: float
    per_step: float

    def layer_seconds(self, shape: ModelShape) -> float:
        """Seconds of one layer of that shape, matrices left out."""
        return self.per_layer + self.per_value * (shape.hidden + shape.ffn)


def layer_products(shape: ModelShape) -> tuple[tuple[int, int], ...]:
    """(rows, columns) of the four matrices of a layer: q/k/v, output, gate/up, down."""
    q, kv = shape.q_heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return ((q + 2 * kv, shape.hidden), (shape.hidden, q), (2 * shape.ffn, shape.hidden),
            (shape.hidden, shape.ffn))


def chooser(costs: Sequence[ProductCost], precision: str, footprint: float,
            used: dict[str, int] | None = None) -> Kernel:
    """Store every matrix in the kernel that reads it fastest; counts the choices in `used`."""
    def choose(weight: NDArray[np.float32]) -> Any:
        rows, columns = weight.shape
        name = cheapest(costs, rows, columns, footprint).kernel
        if used is not None:
            used[name] = used.get(name, 0) + 1
        return find_kernel(precision, name)(weight)

    return choose


def _shape(width: tuple[int, int, int], layers: int) -> ModelShape:
    hidden, heads, ffn = width
    return ModelShape("calibration", layers, hidden, heads, 1, 64, ffn, _VOCABULARY, tied=True)


def _step_seconds(shape: ModelShape, kernel: Kernel, draw: Draw, context: int, runs: int) -> float:
    """Best mean time of a step over short greedy runs."""
    decoder = Decoder(shape, random_weights(shape, kernel, draw), max_context=context + 16)

    def run() -> None:
        decoder.move_to(context)
        for _ in range(16):
            int(decoder.step(1).argmax())

    return time_call(run, runs=runs).best / 16


def measure_glue(costs: Sequence[ProductCost], precision: str, *, memory: int, context: int,
                 runs: int, draw: Draw,
                 tell: Callable[[str], None] = lambda text: None) -> GlueCost:
    """Fit the cost to calibration layers in one precision.

    memory: bytes of each calibration model, several times the last cache level.
    context: tokens attended to.
    """
    per_layer, per_step = [], []
    for width in WIDTHS:
        tell(f"layers of width {width[0]}, {precision}")
        bare = [_step_seconds(_shape(width, layers), NoProduct, draw, context, runs)
                for layers in (2, 12)]
        floor = max(bare[1] - bare[0], 0.0) / 10
        per_step.append(max(bare[0] - 2 * floor, 0.0))
        one = _shape(width, 1).block_parameters * costs[0].bytes_per_weight
        shape = _shape(width, max(2, round(memory / one)))
        seconds = _step_seconds(shape, chooser(costs, precision, memory), draw, context, runs)
        head = sum(_product(costs, (_VOCABULARY, shape.hidden), memory))
        products = sum(sum(_product(costs, size, memory)) for size in layer_products(shape))
        in_place = (seconds - per_step[-1] - head) / shape.layers - products
        per_layer.append(max(in_place, floor))
    return _fit(per_layer, float(np.median(per_step)))


def _product(costs: Sequence[ProductCost], size: tuple[int, int],
             memory: float) -> tuple[float, float]:
    return cheapest(costs, *size, memory).parts(*size, memory)


def _fit(per_layer: Sequence[float], per_step: float) -> GlueCost:
    """A straight line over the width; flat when it would slope down or start below zero."""
    values = np.array([hidden + ffn for hidden, _, ffn in WIDTHS], float)
    slope, start = np.polyfit(values, per_layer, 1)
    if slope < 0 or start < 0:
        slope, start = 0.0, float(np.mean(per_layer))
    return GlueCost(float(start), float(slope), per_step)
