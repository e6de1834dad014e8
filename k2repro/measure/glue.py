"""The work between the matrices: norms, rotation, attention, activation; measured without any.

A decoder whose matrices read nothing (`NoProduct`) runs every other operation of a step. Its time
per layer at a few widths gives two numbers, a cost per layer and a cost per value of the vectors,
that hold for all widths.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from k2repro.measure.decode import Decoder
from k2repro.measure.matvec import NoProduct
from k2repro.measure.timing import time_call
from k2repro.measure.weights import random_weights
from k2repro.wafer.shapes import ModelShape

_DEPTHS = (2, 12)
# (hidden, heads, ffn) between the widths of the measured models.
_WIDTHS = ((320, 5, 896), (640, 10, 1792), (1152, 18, 5120))


@dataclass(frozen=True)
class GlueCost:
    """Seconds per layer = per_layer + per_value * (hidden + ffn); per_step once per token."""

    per_layer: float
    per_value: float
    per_step: float

    def layer_seconds(self, shape: ModelShape) -> float:
        """Seconds of one layer of that shape, matrices left out."""
        return self.per_layer + self.per_value * (shape.hidden + shape.ffn)


def _bare_step(layers: int, width: tuple[int, int, int], context: int, runs: int) -> float:
    """Seconds of one step of a decoder whose matrices read nothing."""
    hidden, heads, ffn = width
    shape = ModelShape("bare", layers, hidden, heads, 1, 64, ffn, 2048, tied=True)
    weights = random_weights(shape, NoProduct, lambda rows, columns: np.ones((rows, columns),
                                                                              np.float32))
    decoder = Decoder(shape, weights, max_context=context + 64)

    def run() -> None:
        decoder.move_to(context)
        for _ in range(32):
            int(decoder.step(0).argmax())

    return time_call(run, runs=runs).best / 32


def measure_glue(*, context: int, runs: int,
                 tell: Callable[[str], None] = lambda text: None) -> GlueCost:
    """Fit the cost to bare decoders of two depths and three widths at a context length."""
    per_layer, per_step = [], []
    for width in _WIDTHS:
        tell(f"a step without matrices, width {width[0]}")
        shallow, deep = (_bare_step(depth, width, context, runs) for depth in _DEPTHS)
        slope = max((deep - shallow) / (_DEPTHS[1] - _DEPTHS[0]), 0.0)
        per_layer.append(slope)
        per_step.append(max(shallow - _DEPTHS[0] * slope, 0.0))
    values = np.array([hidden + ffn for hidden, _, ffn in _WIDTHS], float)
    slope, start = np.polyfit(values, per_layer, 1)
    if slope < 0 or start < 0:
        slope, start = 0.0, float(np.mean(per_layer))
    return GlueCost(float(start), float(slope), float(np.median(per_step)))
