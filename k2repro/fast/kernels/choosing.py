"""From logits to a token inside compiled code: softmax, nucleus, inverse of the distribution function.

The rules are those of `engine/choose.py`, whose exponentials are torch's: they may differ in the last bits. A
number that falls within CLOSE of the end of a token's stretch could go either way, and is reported; the
caller asks `choose` then. So tokens agree because of that, not because a difference is unlikely.
"""

import numpy as np

from k2repro.fast.kernels.compiling import compiled
from k2repro.fast.kernels.softmax import softmax

# Of all mass. Ten times what 32-bit exponentials and their sums can differ by.
CLOSE = 4e-6


@compiled
def weigh(logits, row, temperature, top_p, out, to, words):
    """out[to, :words] = the weights of a row of logits, zeros outside the nucleus; (sum, sure) in 64 bit.

    out: float32 [.., a vector more than words]. sure: no token stands at the edge of the nucleus. A sum that
    is not finite means logits that are not.
    """
    for v in range(words):
        out[to, v] = logits[row, v] if temperature == np.float32(1.0) else logits[row, v] / temperature
    softmax(out, to, words)
    sure = True
    if top_p < 1.0:
        falling = np.sort(out[to, :words])[::-1]
        whole = 0.0
        for v in range(words):
            whole += falling[v]
        mass, last = 0.0, falling[0]
        for v in range(words):
            last = falling[v]
            mass += last
            sure = sure and abs(mass - top_p * whole) > CLOSE * whole
            if not mass < top_p * whole:
                break
        for v in range(words):
            if out[to, v] < last:
                out[to, v] = 0.0
    total = 0.0
    for v in range(words):
        total += out[to, v]
    return total, sure


@compiled
def dart(weights, row, words, total, number):
    """(token, sure): the first token whose cumulative weight exceeds number total."""
    target, reached = number * total, 0.0
    found, before = words - 1, 0.0
    for v in range(words):
        before = reached
        reached += weights[row, v]
        if reached > target:
            found = v
            break
    near = CLOSE * total
    sure = reached - target > near and (found == 0 or target - before > near or before == 0.0)
    return found, sure


@compiled
def likeliest(logits, row, words):
    """The first of the largest logits; -1 if one is not a number."""
    best = 0
    for v in range(words):
        if np.isnan(logits[row, v]):
            return -1
        if logits[row, v] > logits[row, best]:
            best = v
    return best
