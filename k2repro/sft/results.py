"""What the runs say: every number of notebook 02 as a pure function of scores and curves.

Scores of several seeds count alike: a problem's rate is its mean over seeds, and problems are resampled. The
interval is therefore about other problems of the same kind; how far seeds differ is said beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.evaluate import bootstrap_by_problem, paired_difference, pass_at_k, wilson_interval
from k2repro.evaluate.intervals import Interval
from k2repro.evaluate.pool import Attempts, Generation, Pool
from k2repro.mini.problem import item_random
from k2repro.sft.generate import BENCHMARKS, MATHS
from k2repro.sft.runs import Point

RESAMPLES = 2_000
# Below this a gain cannot be shared out: every share of nothing is noise.
LEAST_GAIN = 0.05
MEAN = "mean"
Pools = Mapping[int, Pool]


@dataclass(frozen=True)
class Evidence:
    """What a number may rest on: pools without texts, and training curves, by checkpoint and seed."""

    scores: Mapping[str, Pools]
    curves: Mapping[str, Mapping[int, Sequence[Point]]]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.scores["sft"])

    def only(self, seed: int) -> "Evidence":
        """The evidence of one seed."""
        return Evidence(
            {name: {seed: pools[seed]} for name, pools in self.scores.items()},
            {name: {seed: curves[seed]} for name, curves in self.curves.items()},
        )


@dataclass(frozen=True)
class Measured:
    """A number with its interval, as a row wants it. n: problems behind it."""

    value: float
    unit: str
    n: int
    interval: tuple[float, float]
    method: str


Numbers = dict[str, Measured]


def groups() -> dict[str, tuple[str, ...]]:
    """The benchmarks one by one, then the four maths tiers together under "mean"."""
    return {**{tier: (tier,) for tier in BENCHMARKS}, MEAN: MATHS}


# ---- by problem -----------------------------------------------------------------------------------


def by_problem(
    pools: Pools, tiers: Sequence[str], value: Callable[[Attempts], float], least: int = 1
) -> dict[str, float]:
    """A value of each problem's generations, averaged over seeds, by problem id.

    least: problems with fewer generations are left out. Raises K2ReproError where seeds were not asked the
    same problems, and where none is left.
    """
    found = [
        {
            attempt.id: value(attempt)
            for attempt in pool.attempts
            if attempt.tier in tiers and len(attempt.generations) >= least
        }
        for pool in pools.values()
    ]
    if not found or not found[0]:
        raise K2ReproError(f"no problem of {', '.join(tiers)} has {least} generations in these pools")
    if any(values.keys() != found[0].keys() for values in found):
        raise K2ReproError("the seeds were asked different problems; usual cause: pools of other sizes")
    return {name: sum(values[name] for values in found) / len(found) for name in found[0]}


def rates(pools: Pools, tiers: Sequence[str], k: int = 1, least: int = 1) -> dict[str, float]:
    """Unbiased pass@k of each problem."""
    return by_problem(
        pools, tiers, lambda attempt: pass_at_k(len(attempt.generations), attempt.right, k), max(k, least)
    )


def share_of(kind: str) -> Callable[[Attempts], float]:
    """The share of a problem's generations that are of a kind (see `scores`)."""
    return lambda attempt: _mean_of(attempt, lambda generation: float(generation.text == kind))


def mean_tokens(attempt: Attempts) -> float:
    """Mean length of a problem's generations."""
    return _mean_of(attempt, lambda generation: generation.tokens)


def share_cut(attempt: Attempts) -> float:
    """The share of a problem's generations that the budget ended."""
    return _mean_of(attempt, lambda generation: float(generation.finish == "length"))


def _mean_of(attempt: Attempts, value: Callable[[Generation], float]) -> float:
    return sum(map(value, attempt.generations)) / len(attempt.generations)


# ---- with intervals -------------------------------------------------------------------------------


def mean_rate(values: Mapping[str, float], name: str, unit: str = "fraction") -> Measured:
    """The mean over problems. name: of the row; the resampling is drawn from its hash."""
    interval = bootstrap_by_problem(list(values.values()), generator=_generator(name), resamples=RESAMPLES)
    value = float(np.mean(list(values.values())))
    if interval.width == 0 and unit == "fraction" and value in (0.0, 1.0):
        # Nothing varies, so nothing can be resampled; yet another problem might have come out otherwise.
        interval = wilson_interval(round(value * len(values)), len(values))
    return _measured(value, unit, interval)


def difference(
    first: Mapping[str, float], second: Mapping[str, float], name: str, unit: str = "fraction"
) -> Measured:
    """Mean of `first` minus mean of `second` on the same problems, resampled in pairs."""
    paired = paired_difference(first, second, generator=_generator(name), resamples=RESAMPLES)
    return _measured(paired.difference, unit, paired.interval)


def statistic_of(
    values: Sequence[Mapping[str, float]],
    statistic: Callable[[np.ndarray], float],
    name: str,
    unit: str = "fraction",
) -> Measured:
    """Any statistic of several values of each problem. statistic: of an array (problems, values)."""
    table = np.array([[column[problem] for column in values] for problem in sorted(values[0])])
    interval = bootstrap_by_problem(table, statistic, generator=_generator(name), resamples=RESAMPLES)
    return _measured(float(statistic(table)), unit, interval)


def _measured(value: float, unit: str, interval: Interval) -> Measured:
    method = f"{interval.method}, {interval.level:.0%}"
    return Measured(value, unit, interval.n, (interval.low, interval.high), method)


def _generator(name: str) -> np.random.Generator:
    """A generator of its own for each row, so that no row depends on which were computed before."""
    return np.random.default_rng(item_random("sft rows", name).getrandbits(64))
