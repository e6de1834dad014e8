"""Attention of one layer on tensors: `kernels/attention.py` for all heads, side by side on torch's threads.

Shapes: M queries and N tokens; K key and value heads, G query heads to each, D head_dim.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from k2repro.fast.kernels.attention import Kept, Texts, all_rows, attend, attend_back


class PackedAttention:
    """texts: who sees what. query: [M, K G D], scaled and rotated. key_value: [N, 2 K D], keys rotated.

    kv_heads: K. groups: G.
    """

    def __init__(self, texts: Texts, query: Tensor, key_value: Tensor, kv_heads: int, groups: int) -> None:
        self._texts, self._heads, self._groups = texts, kv_heads, groups
        self._query, self._key_value = query.numpy(), key_value.numpy()
        shape = (kv_heads, all_rows(texts, groups))
        self._kept = Kept(np.empty(shape, np.float32), np.empty(shape, np.float32))

    def forward(self) -> Tensor:
        """Mixed values [M, K G D]; 0 in rows that no text has."""
        out = np.zeros_like(self._query)

        def some(heads: tuple[int, int]) -> None:
            attend(self._texts, self._groups, heads, self._query, self._key_value, self._kept, out)

        self._share(some)
        return torch.from_numpy(out)

    def backward(self, mixed: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of query and key_value from that of the mixed values [M, K G D]."""
        query, key_value = np.zeros_like(self._query), np.zeros_like(self._key_value)
        gradient = mixed.numpy()

        def some(heads: tuple[int, int]) -> None:
            given = (self._texts, self._groups, heads, self._query, self._key_value, self._kept)
            attend_back(*given, gradient, query, key_value)

        self._share(some)
        return torch.from_numpy(query), torch.from_numpy(key_value)

    def _share(self, some: Callable[[tuple[int, int]], None]) -> None:
        """Each thread takes some heads. They share no number: any number of threads gives the same bits."""
        workers = min(torch.get_num_threads(), self._heads)
        if workers == 1:
            some((0, self._heads))
            return
        ends = [self._heads * worker // workers for worker in range(workers + 1)]
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(some, zip(ends[:-1], ends[1:], strict=True)))
