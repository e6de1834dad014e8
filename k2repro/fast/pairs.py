"""The order of the rows of q and k in which the two dimensions of a rotary pair are neighbours."""

from typing import Any


def paired(rows: Any, dim: int) -> Any:
    """Rows of each head from (0 .. D/2 - 1, D/2 .. D - 1) to (0, D/2, 1, D/2 + 1, ...); a copy.

    rows: [heads D, ...], a tensor of torch or an array of NumPy. dim: D.
    """
    heads = rows.reshape(-1, 2, dim // 2, *rows.shape[1:])
    return heads.swapaxes(1, 2).reshape(rows.shape)


def unpaired(rows: Any, dim: int) -> Any:
    """The inverse of `paired`; a copy."""
    heads = rows.reshape(-1, dim // 2, 2, *rows.shape[1:])
    return heads.swapaxes(1, 2).reshape(rows.shape)
