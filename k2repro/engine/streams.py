"""Random numbers of a sample: a stream of its own, that depends on (seed, sample index) only.

Philox is a counter-based generator: the key names the stream, so none has to be advanced to reach
another (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
"""

import numpy as np
from numpy.typing import NDArray


def uniforms(seed: int, sample: int, count: int) -> NDArray[np.float64]:
    """The first `count` numbers in [0, 1) of the stream of sample `sample`, float64 [count].

    seed: 0 .. 2^64 - 1, of the prompt. A longer draw begins with the shorter one.
    """
    key = np.array([seed, sample], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(count)
