"""What a random test sees of a wrong rule, and what it overlooks: many tests, each with its p-value.

One p-value says little: a wrong rule passes now and then, a right one fails now and then. Over many runs the
p-values of a right rule are spread evenly over 0 .. 1, those of a wrong one crowd near 0 if the test has the
power to notice it. A law gives a probability to each text of a few words, as in `speculative/exact.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Text = tuple[int, ...]
Chances = NDArray[np.float64]
# Runs of the right law that a p-value is counted among.
SIMULATED = 4000


def chances(law: Mapping[Text, Any], texts: Sequence[Text]) -> Chances:
    """Of each of `texts`, [texts]; fractions become floats here."""
    found = np.array([float(law.get(text, 0)) for text in texts])
    return found / found.sum()


def p_values(seen: NDArray[np.int64], wanted: Chances, generator: np.random.Generator) -> Chances:
    """Of a G-test of each run, [runs]: its place among simulated runs of the law `wanted`, [texts].

    seen: how often each text came, [runs, texts], as often in all runs. Simulated, because the chi-square
    distribution holds for many draws of a text only.
    """
    simulated = generator.multinomial(int(seen[0].sum()), wanted, SIMULATED)
    null = np.sort(_distance(simulated, wanted))
    # Equal distances count as far, whatever the last bit says.
    as_far = SIMULATED - np.searchsorted(null, _distance(seen, wanted) * (1 - 1e-12))
    return (1 + as_far) / (1 + SIMULATED)


def noticed(law: Chances, wanted: Chances, draws: int, runs: int, generator: np.random.Generator) -> float:
    """The share of `runs` tests at level 0.05 that notice that `draws` texts come from the wrong law."""
    seen = generator.multinomial(draws, law, runs)
    return float((p_values(seen, wanted, generator) <= 0.05).mean())


def _distance(seen: NDArray[np.int64], chance: Chances) -> Chances:
    """G of each run; infinite where a text came that cannot come."""
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = seen * np.log(seen / (seen.sum(1, keepdims=True) * chance))
    return 2 * np.where(seen > 0, parts, 0.0).sum(1)
