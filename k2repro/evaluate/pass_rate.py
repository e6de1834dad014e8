"""Unbiased pass@k: the chance that one or more of k generations are right (paper: Figure 3).

Chen et al. 2021, "Evaluating Large Language Models Trained on Code", equation 1
(https://arxiv.org/abs/2107.03374): with c of n generations right,

    pass@k = 1 - C(n - c, k) / C(n, k)

is the share of all k-subsets of the n generations that hold a right one, so its mean over draws of
n generations is the true pass@k. The tempting 1 - (1 - c/n)^k draws *with* replacement: too low.

Differs from the usual code: it is not a floating-point product. Binomial coefficients are exact
integers and the one division is correctly rounded, so nothing cancels when pass@k is tiny.
"""

import math
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from k2repro.errors import K2ReproError
from k2repro.evaluate.checks import whole_numbers


@overload
def pass_at_k(n: int, c: int, k: int) -> float: ...
@overload
def pass_at_k(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> float | NDArray[np.float64]: ...
def pass_at_k(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> float | NDArray[np.float64]:
    """Share of the k-subsets of n generations that hold at least one of the c right ones.

    n, c, k   whole numbers or arrays that broadcast together, 1 <= k <= n and 0 <= c <= n
    returns   a float for three numbers, otherwise an array of the broadcast shape

    The pass@k of a benchmark is the mean over its problems; its interval is
    `bootstrap_by_problem(pass_at_k(n, c, k), generator=...)`.
    Raises K2ReproError for k > n, c > n, k = 0, and anything that is not a count.

    >>> pass_at_k(4, 1, 2)
    0.5
    >>> pass_at_k(4, [0, 1, 4], 2).tolist()
    [0.0, 0.5, 1.0]
    """
    counts = _checked(n, c, k)
    shape = counts[0].shape
    if shape == ():
        return _exact(*(int(count) for count in counts))
    # A benchmark has few distinct (n, c, k): each is worked out once, in exact integers.
    triples = np.stack([count.ravel() for count in counts])  # (3, size)
    distinct, place = np.unique(triples, axis=1, return_inverse=True)
    values = np.array([_exact(*triple) for triple in distinct.T.tolist()])
    return values[place.ravel()].reshape(shape)


def _exact(n: int, c: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k), correctly rounded: Python divides big integers exactly."""
    subsets = math.comb(n, k)
    return (subsets - math.comb(n - c, k)) / subsets


def _checked(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> list[NDArray[np.int64]]:
    """The three counts, broadcast against each other and within their rules."""
    counts = [whole_numbers(name, value) for name, value in (("n", n), ("c", c), ("k", k))]
    try:
        n_all, c_all, k_all = np.broadcast_arrays(*counts)
    except ValueError as error:
        shapes = ", ".join(str(count.shape) for count in counts)
        raise K2ReproError(f"n, c and k must broadcast together, got shapes {shapes}") from error
    if (k_all < 1).any():
        raise K2ReproError("k must be at least 1, got 0")
    if (c_all > n_all).any():
        worst = np.argmax(c_all > n_all)
        raise K2ReproError(
            f"c must not exceed n, got c={c_all.flat[worst]} of n={n_all.flat[worst]}; usual "
            "cause: the arguments are in another order, it is pass_at_k(n, c, k)"
        )
    if (k_all > n_all).any():
        worst = np.argmax(k_all > n_all)
        raise K2ReproError(
            f"k must not exceed n, got k={k_all.flat[worst]} of n={n_all.flat[worst]}; pass@k "
            "cannot be estimated from fewer than k generations: sample more"
        )
    return [n_all, c_all, k_all]
