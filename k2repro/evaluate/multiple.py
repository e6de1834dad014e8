"""Many comparisons in one table: Holm's step-down correction.

Holm 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
Statistics 6(2). With 20 independent true null hypotheses, testing each at 5 % finds some "difference"
in 64 tables of 100.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from k2repro.errors import K2ReproError
from k2repro.evaluate.checks import finite_numbers


class HolmResult(NamedTuple):
    """Adjusted p-values and decisions, in the order the p-values were given in."""

    adjusted: NDArray[np.float64]  # (comparisons,)
    rejected: NDArray[np.bool_]  # (comparisons,)


def holm(p_values: ArrayLike, alpha: float = 0.05) -> HolmResult:
    """Holm-adjusted p-values; rejecting at adjusted <= alpha bounds the family-wise error by alpha.

    p_values   (comparisons,)   every comparison of the table, significant or not

    The i-th smallest of m is multiplied by m - i + 1, then raised to the largest before it: a larger
    p-value never ends up with a smaller adjusted one. Raises K2ReproError for values outside [0, 1].

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03]).adjusted.tolist()]
    [0.03, 0.06, 0.06]
    """
    values = finite_numbers("p_values", p_values)
    if values.ndim != 1:
        raise K2ReproError(f"p_values must be a flat list, got an array of shape {values.shape}")
    if ((values < 0.0) | (values > 1.0)).any():
        wrong = values[(values < 0.0) | (values > 1.0)][0]
        raise K2ReproError(f"p_values must lie between 0 and 1, got {wrong}")
    if not (isinstance(alpha, float) and 0.0 < alpha < 1.0):
        raise K2ReproError(f"alpha must be a fraction between 0 and 1, got {alpha!r}")
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return HolmResult(adjusted, adjusted <= alpha)
