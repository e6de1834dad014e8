"""e^x and softmax by whole vectors, to the same bits on any processor."""

import numpy as np

from k2repro.fast.kernels import vectors as v
from k2repro.fast.kernels.compiling import compiled
from k2repro.fast.kernels.vectors import LANES

_LOG2_E = np.float32(1.4426950408889634)
_ZERO, _HALF, _ONE, _LARGEST = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(126.0)
# 2^y on [-1/2, 1/2] as a polynomial, fitted at Chebyshev points; relative error 1e-7 in 32 bit.
_C1, _C2, _C3 = np.float32(0.6931472056), np.float32(0.2402264846), np.float32(0.0555032902)
_C4, _C5, _C6 = np.float32(0.0096183733), np.float32(0.0013399853), np.float32(0.0001537071)


@compiled
def exponential(x):
    """e^x of a vector, between 2^-126 and 2^126; NaN stays. e^x = 2^n 2^y with a whole n."""
    t = v.clamped(v.times(x, v.spread(_LOG2_E)), v.spread(-_LARGEST), v.spread(_LARGEST))
    whole = v.floor(v.add(t, v.spread(_HALF)))
    y = v.subtract(t, whole)
    found = v.fma(y, v.spread(_C6), v.spread(_C5))
    found = v.fma(y, found, v.spread(_C4))
    found = v.fma(y, found, v.spread(_C3))
    found = v.fma(y, found, v.spread(_C2))
    found = v.fma(y, found, v.spread(_C1))
    found = v.fma(y, found, v.spread(_ONE))
    return v.times(found, v.power_of_two(whole))


@compiled
def peak_of(x, row, length):
    """The largest of the first `length` numbers of a row of x [rows, N]; N: as in `exponentials`."""
    first = v.spread(x[row, 0])
    highest = first
    for n in range(0, length, LANES):
        highest = v.larger(v.keep_first(v.load(x, row, n), length - n, first), highest)
    return v.largest(highest)


@compiled
def exponentials(x, row, length, peak):
    """First `length` of a row = e^(x - peak), the others of the last vector 0; returns the sum.

    x: [rows, N], N at least `length` filled up to a multiple of LANES; what stands behind means nothing.
    """
    nothing, highest = v.spread(_ZERO), v.spread(peak)
    sums = nothing
    for n in range(0, length, LANES):
        found = exponential(v.subtract(v.load(x, row, n), highest))
        found = v.keep_first(found, length - n, nothing)
        v.store(found, x, row, n)
        sums = v.add(sums, found)
    return v.total(sums)


@compiled
def softmax(x, row, length):
    """`exponentials` over their own peak: softmax but for the division by the sum, which is returned."""
    return exponentials(x, row, length, peak_of(x, row, length))


@compiled
def scale(x, row, length, factor):
    """The vectors of the first `length` numbers of a row, times `factor`, float32."""
    factors = v.spread(factor)
    for n in range(0, length, LANES):
        v.store(v.times(v.load(x, row, n), factors), x, row, n)
