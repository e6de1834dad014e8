"""The static KV cache of the fast decoder: one row a sample, allocated once, with its views kept.

Differs from `architecture.KVCache`: rows are NumPy arrays that can be filled and moved one by one, and
what a step needs of them is cut out once for many steps.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..architecture.config import ModelConfig
from .rows import Prefix

# BLAS sums four positions at a time; a span that is a multiple leaves no remainder, whose order of
# summation would depend on how far the longest row in flight has come.
SPAN_MULTIPLE = 16


@dataclass(frozen=True)
class Window:
    """Views of rows 0 .. B - 1 and positions 0 .. S - 1.

    keys, values: one array a layer, [B, K, 1, S, D]. hidden: [B, 1, 1, S], minus infinity where a row has
    no token, else 0. scores, scores_tensor: the same buffer [B, K, G, S].
    """

    keys: list[NDArray[np.float32]]
    values: list[NDArray[np.float32]]
    hidden: NDArray[np.float32]
    scores: NDArray[np.float32]
    scores_tensor: Tensor


class RowCache:
    """Keys and values [layers, rows, K, positions, D] of rows that are put, extended and moved.

    rows: most samples in flight. positions: most tokens of a sample, its prompt included.
    """

    def __init__(self, config: ModelConfig, rows: int, positions: int) -> None:
        span = round_up(positions, SPAN_MULTIPLE)
        shape = (config.num_hidden_layers, rows, config.num_key_value_heads, span, config.head_dim)
        # Zeros, not empty memory: a hidden slot has weight 0, and 0 times a stray NaN is NaN.
        self.keys, self.values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.lengths = np.zeros(rows, np.int64)
        self._hidden = np.full((rows, 1, 1, span), -np.inf, np.float32)
        self._groups = config.query_heads_per_kv_head
        self._rows = np.arange(rows)
        self._window: tuple[tuple[int, int], Window] | None = None

    def put(self, row: int, prefix: Prefix) -> None:
        """Begin a row with the tokens of a prompt."""
        length = prefix.length
        self.keys[:, row, :, :length] = prefix.keys.numpy()
        self.values[:, row, :, :length] = prefix.values.numpy()
        self._hidden[row, ..., :length] = 0.0
        self._hidden[row, ..., length:] = -np.inf
        self.lengths[row] = length

    def move(self, source: int, target: int) -> None:
        """Copy a row over another."""
        length = self.lengths[source]
        self.keys[:, target, :, :length] = self.keys[:, source, :, :length]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]
        self._hidden[target] = self._hidden[source]
        self.lengths[target] = length

    def extend(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Window]:
        """`(rows, positions, window)`: where the next token of each of the first `count` rows goes.

        From here on that position counts as filled; the caller writes keys and values there.
        """
        rows, positions = self._rows[:count], self.lengths[:count].copy()
        self._hidden[rows, 0, 0, positions] = 0.0
        self.lengths[:count] += 1
        return rows, positions, self._cut(count, round_up(int(positions.max()) + 1, SPAN_MULTIPLE))

    def _cut(self, count: int, span: int) -> Window:
        if self._window is None or self._window[0] != (count, span):
            scores = torch.empty(count, self.keys.shape[2], self._groups, span)
            window = Window(
                keys=list(self.keys[:, :count, :, None, :span]),
                values=list(self.values[:, :count, :, None, :span]),
                hidden=self._hidden[:count, ..., :span],
                scores=scores.numpy(),
                scores_tensor=scores,
            )
            self._window = ((count, span), window)
        return self._window[1]


def round_up(number: int, multiple: int) -> int:
    """The least multiple that is at least `number`."""
    return -(-number // multiple) * multiple
