"""Matrix products of training: the fastest of torch's two libraries for each size.

torch multiplies 32-bit matrices with MKL, which uses 256-bit vectors on processors of AMD. Its other library,
oneDNN, uses 512-bit ones wherever they exist: about twice as fast there, at a fixed price for each call.
Both compute in 32 bit and differ in the order of summation only.
"""

import torch
from torch import Tensor

# Multiplications below which the price of a call into oneDNN exceeds what it saves.
SMALL = 1_000_000


def product(left: Tensor, right: Tensor, bias: Tensor | None = None, add: Tensor | None = None) -> Tensor:
    """left @ right^T + bias + add, float32 [rows, columns]; a new tensor.

    left: [rows, inner]. right: [columns, inner]. bias: [columns]. add: [rows, columns].
    """
    if not _WIDE or left.shape[0] * left.shape[1] * right.shape[0] < SMALL:
        return _mkl(left, right, bias, add)
    if not (right.is_contiguous() or right.t().is_contiguous()):
        # oneDNN takes a slow general path for rows with gaps between them.
        right = right.contiguous()
    if add is None:
        return torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return torch.ops.mkldnn._linear_pointwise.binary(left, add, right, bias, "add")


def outer(left: Tensor, right: Tensor) -> Tensor:
    """left^T @ right, [columns of left, columns of right], for [rows, ...] each; may be a transposed view.

    oneDNN copies a transposed first operand and reads a transposed second one as it is: the narrower one
    goes first.
    """
    if left.shape[1] <= right.shape[1]:
        return product(left.t(), right.t())
    return product(right.t(), left.t()).t()


def _mkl(left: Tensor, right: Tensor, bias: Tensor | None, add: Tensor | None) -> Tensor:
    if add is None:
        return left @ right.t() if bias is None else torch.addmm(bias, left, right.t())
    found = torch.addmm(add, left, right.t())
    return found if bias is None else found.add_(bias)


def has_wide_products() -> bool:
    """Whether oneDNN is there and has 512-bit vectors to use; elsewhere it gains nothing."""
    there = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return there and torch.backends.cpu.get_cpu_capability() == "AVX512"


_WIDE = has_wide_products()
