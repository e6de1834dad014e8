"""Matrix-vector products that stream weights from memory, one class per kernel.

`y = W x` is nearly the whole of a decode step at batch 1. Which kernel keeps the memory busy
depends on the processor and its BLAS, by a factor of two and more, so none is assumed: `calibrate.py`
times them all and the decoder takes the fastest. Activations are float32 outside; a bf16
kernel rounds its input and its output to bf16, as a bf16 checkpoint does.
"""

import functools
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import unknown

Array = NDArray[np.float32]


class MatVec(Protocol):
    """A stored matrix (rows, columns); calling it with x (columns,) returns W x (rows,).

    The returned array belongs to the kernel and is overwritten by its next call. `read_bytes` is
    what one call reads of the matrix.
    """

    read_bytes: int

    def __call__(self, x: Array, /) -> Array: ...


Kernel = Callable[[Array], MatVec]


class NumpyRows:
    """`W @ x` in the BLAS of NumPy, W stored row by row as a checkpoint stores it."""

    def __init__(self, weight: Array) -> None:
        self._weight = np.ascontiguousarray(weight)
        self._out = np.empty(weight.shape[0], np.float32)
        self.read_bytes = self._weight.nbytes

    def __call__(self, x: Array, /) -> Array:
        return np.dot(self._weight, x, out=self._out)


class NumpyColumns:
    """`x @ W.T` in the BLAS of NumPy, W stored column by column: additions, no reductions."""

    def __init__(self, weight: Array) -> None:
        self._weight = np.ascontiguousarray(weight.T)
        self._out = np.empty(weight.shape[0], np.float32)
        self.read_bytes = self._weight.nbytes

    def __call__(self, x: Array, /) -> Array:
        return np.dot(x, self._weight, out=self._out)


class TorchBf16:
    """`torch.nn.functional.linear` on bf16 rows, what a framework does by default."""

    def __init__(self, weight: Array) -> None:
        import torch

        rows, columns = weight.shape
        self._torch = torch
        self._weight = torch.from_numpy(np.ascontiguousarray(weight)).to(torch.bfloat16)
        self._x = torch.empty(1, columns, dtype=torch.bfloat16)
        self._out = np.empty(rows, np.float32)
        self._result = torch.from_numpy(self._out)
        self.read_bytes = 2 * rows * columns

    def __call__(self, x: Array, /) -> Array:
        self._x[0].copy_(self._torch.from_numpy(x))
        self._result.copy_(self._torch.nn.functional.linear(self._x, self._weight)[0])
        return self._out


class Bag:
    """W x as a weighted sum of the columns of W: `torch.embedding_bag`, panel by panel.

    A bag adds up table rows times their weights, with prefetching and float32 accumulators. W is
    cut into panels of `PANEL` output rows; a panel stores its columns one after the other, so that
    one bag reads one panel from its first byte to its last. On the machines this was written on
    it streams in bf16 1.5 to 2.4 times as fast as `TorchBf16`, and in fp32 faster than NumPy.
    """

    PANEL = 128

    def __init__(self, weight: Array, precision: str) -> None:
        import torch

        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
        rows, columns = weight.shape
        panels = -(-rows // self.PANEL)
        padded = np.zeros((panels * self.PANEL, columns), np.float32)
        padded[:rows] = weight
        table = torch.from_numpy(padded).to(dtype)
        table = table.view(panels, self.PANEL, columns).transpose(1, 2).contiguous()
        self._bag, self._from_numpy = torch.embedding_bag, torch.from_numpy
        self._table = table.view(panels * columns, self.PANEL)
        self._indices = _bag_indices(panels * columns)
        self._offsets = torch.arange(0, panels * columns, columns, dtype=torch.int32)
        self._x = torch.empty(panels, columns, dtype=dtype)
        self._out = np.empty(panels * self.PANEL, np.float32)
        self._result = torch.from_numpy(self._out).view(panels, self.PANEL)
        self._rows = rows
        self.read_bytes = dtype.itemsize * rows * columns

    def __call__(self, x: Array, /) -> Array:
        self._x.copy_(self._from_numpy(x))
        sums = self._bag(self._table, self._indices, self._offsets, False, 0, False, self._x.view(-1))[0]
        self._result.copy_(sums)
        return self._out[: self._rows]


@functools.cache
def _bag_indices(count: int) -> Any:
    """0 .. count-1: every matrix of one size reads the same table rows, and shares the list."""
    import torch

    return torch.arange(count, dtype=torch.int32)


class NoProduct:
    """Reads nothing and returns zeros: what is left of a step is the work around the matrices."""

    def __init__(self, weight: Array) -> None:
        self._out = np.zeros(weight.shape[0], np.float32)
        self.read_bytes = 0

    def __call__(self, x: Array, /) -> Array:
        return self._out


KERNELS: dict[str, dict[str, Kernel]] = {
    "fp32": {
        "numpy-rows": NumpyRows,
        "numpy-columns": NumpyColumns,
        "torch-bag": functools.partial(Bag, precision="fp32"),
    },
    "bf16": {"torch-linear": TorchBf16, "torch-bag": functools.partial(Bag, precision="bf16")},
}


BYTES_PER_WEIGHT = {"fp32": 4.0, "bf16": 2.0}


def find_kernel(precision: str, name: str) -> Kernel:
    """The kernel class of that name; K2ReproError with the known names otherwise."""
    if precision not in KERNELS:
        raise unknown("measured precision", precision, KERNELS)
    if name not in KERNELS[precision]:
        raise unknown(f"{precision} kernel", name, KERNELS[precision])
    return KERNELS[precision][name]
