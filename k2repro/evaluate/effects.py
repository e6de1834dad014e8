"""Effects: how models differ on the same problems, over seeds, with intervals. One layer for every pillar.

    tables   values of one quantity: for each seed of the training, one value a problem
    level    the mean of one table            difference   sums of tables against sums of tables
    gap      one mean against another         statistic    anything drawn from several tables

Everything is pure: pools and tables in, numbers out. With two seeds or more an interval resamples both, seeds
outside and problems inside: it speaks of other trainings on other problems. With one seed it can only speak
of this model on other problems, and decides nothing about training. `Effect.by_seed` holds each seed alone,
`over_seeds` Student's t interval of those.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.evaluate.bootstrap import bootstrap_by_problem
from k2repro.evaluate.intervals import Interval
from k2repro.evaluate.multiple import holm
from k2repro.evaluate.paired import paired_difference
from k2repro.evaluate.pass_rate import pass_at_k
from k2repro.evaluate.pool import Attempts, Generation, Responses, Score
from k2repro.evaluate.seeds import t_interval, two_level_interval

Numbers = NDArray[np.float64]
# Responses of one model by seed; a value of all generations of one problem.
Seeds = Mapping[int, Responses[Any]]
Measure = Callable[[Attempts[Any]], float]


# ---- measures -------------------------------------------------------------------------------------


def right(attempt: Attempts[Any]) -> float:
    """Share of right generations: its mean over problems is pass@1."""
    return attempt.mean(lambda generation: float(generation.right))


def right_among(k: int) -> Measure:
    """Unbiased pass@k of a problem."""
    return lambda attempt: _pass_at_k(len(attempt.generations), attempt.right, k)


@cache
def _pass_at_k(n: int, right: int, k: int) -> float:
    """A benchmark has few distinct counts: each is checked and worked out once."""
    return pass_at_k(n, right, k)


def tokens(attempt: Attempts[Any]) -> float:
    """Mean length of the responses."""
    return attempt.mean(_length)


def cut_off(attempt: Attempts[Any]) -> float:
    """Share of responses that the budget ended."""
    return attempt.mean(lambda generation: float(generation.finish == "length"))


def of_kind(kind: str) -> Measure:
    """Share of responses whose first mistake is of this kind."""
    return lambda attempt: attempt.mean(lambda score: float(score.kind == kind))


def _length(generation: Generation | Score) -> float:
    return float(generation.tokens)


# ---- tables ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SeedTable:
    """One value a problem for each seed. by_seed: float64 [problems], in the order of `ids`."""

    ids: tuple[str, ...]
    by_seed: Mapping[int, Numbers]

    @property
    def mean(self) -> Numbers:
        """float64 [problems]: the mean over seeds."""
        found: Numbers = np.mean(list(self.by_seed.values()), axis=0)
        return found

    def aligned(self, ids: Sequence[str]) -> "SeedTable":
        """The same with the problems in another order. Raises K2ReproError for other problems."""
        if tuple(ids) == self.ids:
            return self
        if set(ids) != set(self.ids):
            strangers = sorted(set(ids) ^ set(self.ids))
            raise K2ReproError(
                f"models were asked different problems; {strangers[0]!r} is in one of them only"
            )
        place = {name: at for at, name in enumerate(self.ids)}
        order = [place[name] for name in ids]
        return SeedTable(tuple(ids), {seed: values[order] for seed, values in self.by_seed.items()})

    def shared_with(self, other: "SeedTable") -> "SeedTable":
        """Cut down to the seeds that the other has too: a control has fewer. Raises K2ReproError for none."""
        shared = {seed: each for seed, each in self.by_seed.items() if seed in other.by_seed}
        if not shared:
            raise K2ReproError(
                f"models of seeds {sorted(self.by_seed)} and {sorted(other.by_seed)} have none in common, so "
                "they cannot be paired; usual cause: a seed that one side has was turned away by a gate"
            )
        return SeedTable(self.ids, shared)


def table_of(
    pools: Seeds, measure: Measure = right, *, tiers: Sequence[str] | None = None, least: int = 1
) -> SeedTable:
    """The table of one model.

    tiers: of the problems that count; None takes all. least: problems with fewer generations are left out.
    Raises K2ReproError where seeds were not asked the same problems, and where none is left.
    """
    columns = [
        {
            attempt.id: measure(attempt)
            for attempt in pool.attempts
            if (tiers is None or attempt.tier in tiers) and len(attempt.generations) >= least
        }
        for pool in pools.values()
    ]
    if not columns or not columns[0]:
        where = "these pools" if tiers is None else ", ".join(tiers)
        raise K2ReproError(f"no problem of {where} has {least} generations in these pools")
    ids = tuple(columns[0])
    for values in columns:
        if values.keys() != set(ids):
            raise K2ReproError(
                "seeds or models were asked different problems; "
                f"{min(values.keys() ^ set(ids))!r} is in one of them only. Usual cause: pools of other sizes"
            )
    return SeedTable(
        ids,
        {seed: np.array([values[name] for name in ids]) for seed, values in zip(pools, columns, strict=True)},
    )


# ---- effects --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Effect:
    """A number with what is needed to trust it.

    value      mean over problems of the mean over seeds and samples, or a difference of such
    interval   from resampling seeds and problems; of one seed, or of sides with other seeds, problems alone
    p_value    two-sided swap test over problems; None where nothing was tested
    by_seed    the same number for each seed alone, with its own interval where that was asked for
    """

    value: float
    interval: Interval
    p_value: float | None
    n: int
    by_seed: Mapping[int, tuple[float, Interval | None]]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.by_seed)

    @property
    def agreeing(self) -> int:
        """Seeds whose own interval lies on the side of `value`, zero excluded."""
        return sum(
            interval is not None and (interval.low > 0 if self.value > 0 else interval.high < 0)
            for _, interval in self.by_seed.values()
        )

    def over_seeds(self) -> Interval:
        """Student's t interval of the seeds' values; raises K2ReproError without a second seed."""
        return t_interval([value for value, _ in self.by_seed.values()])


def level(
    table: SeedTable, *, generator: np.random.Generator, resamples: int = 4_000, each_seed: bool = True
) -> Effect:
    """The mean of a table."""
    return _effect(table, generator, resamples, test=False, each_seed=each_seed)


def difference(
    plus: SeedTable | Sequence[SeedTable],
    minus: SeedTable | Sequence[SeedTable],
    *,
    generator: np.random.Generator,
    resamples: int = 4_000,
) -> Effect:
    """Sum of the means of `plus` minus that of `minus`, on the same problems and seeds.

    With two on each side it is a difference of differences: `difference([a, d], [b, c])` is a - b - (c - d).
    Raises K2ReproError where the sides have other seeds or other problems, or are not equally many.
    """
    first, second = _as_list(plus), _as_list(minus)
    if len(first) != len(second):
        raise K2ReproError(f"{len(first)} models on one side and {len(second)} on the other: must be as many")
    table = _combined(first, second)
    return _effect(table, generator, resamples, test=True, each_seed=True)


def gap(
    first: SeedTable, second: SeedTable, *, generator: np.random.Generator, resamples: int = 2_000
) -> Effect:
    """Mean of `first` minus mean of `second`, each over its own seeds, problems resampled in pairs.

    The value is that of `difference` but for rounding; nothing is tested. Where the sides have other seeds
    nothing pairs them, and the interval is one over problems.
    """
    ids = sorted(first.ids)
    first, second = first.aligned(ids), second.aligned(ids)
    values = {
        seed: first.by_seed[seed] - second.by_seed[seed] for seed in first.by_seed if seed in second.by_seed
    }
    if set(first.by_seed) == set(second.by_seed):
        return _effect(SeedTable(first.ids, values), generator, resamples, test=False, each_seed=False)
    paired = paired_difference(first.mean, second.mean, generator=generator, resamples=resamples)
    by_seed = {seed: (float(own.mean()), None) for seed, own in values.items()}
    return Effect(paired.difference, paired.interval, None, paired.n, by_seed)


def statistic(
    tables: Sequence[SeedTable],
    function: Callable[[Numbers], float],
    *,
    generator: np.random.Generator,
    resamples: int = 2_000,
) -> Effect:
    """Any statistic of several tables. function: of an array [problems, tables], returns one number."""
    ids = sorted(tables[0].ids)
    columns = [table.aligned(ids) for table in tables]
    whole = np.stack([column.mean for column in columns], axis=1)
    alone = {
        seed: np.stack([column.by_seed[seed] for column in columns], axis=1) for seed in columns[0].by_seed
    }
    if len(alone) < 2:
        interval = bootstrap_by_problem(whole, function, generator=generator, resamples=resamples)
    else:
        interval = two_level_interval(
            np.array(list(alone.values())), function, generator=generator, resamples=resamples
        )
    by_seed = {seed: (float(function(own)), None) for seed, own in alone.items()}
    return Effect(float(function(whole)), interval, None, len(ids), by_seed)


def by_tier(effect: Callable[[Sequence[str], str], Effect], tiers: Sequence[str]) -> dict[str, Effect]:
    """An effect for each tier, then for all tiers together under "mean".

    effect: called with the tiers that count, and the name of the part.
    Raises K2ReproError for tiers with unequal numbers of problems.
    """
    parts = {tier: effect((tier,), tier) for tier in tiers}
    whole = effect(tiers, "mean")
    sizes = {part.n for part in parts.values()}
    if len(sizes) > 1:
        raise K2ReproError(f"tiers of {sorted(sizes)} problems: a mean over tiers needs as many in each")
    return {**parts, "mean": whole}


def holm_adjusted(effects: Mapping[str, Effect]) -> dict[str, float]:
    """Holm-adjusted p-values of a whole table of differences, in its order."""
    tested: dict[str, float] = {}
    for name, effect in effects.items():
        if effect.p_value is None:
            raise K2ReproError(f"{name!r} is a level, not a difference: it has no p-value to correct")
        tested[name] = effect.p_value
    return dict(zip(tested, holm(list(tested.values())).adjusted.tolist(), strict=True))


def _as_list(tables: SeedTable | Sequence[SeedTable]) -> list[SeedTable]:
    return [tables] if isinstance(tables, SeedTable) else list(tables)


def _combined(plus: Sequence[SeedTable], minus: Sequence[SeedTable]) -> SeedTable:
    """For each seed one value a problem: those of `plus` minus those of `minus`."""
    every = [*plus, *minus]
    seeds = list(every[0].by_seed)
    if any(set(table.by_seed) != set(seeds) for table in every):
        raise K2ReproError(
            f"models of seeds {[sorted(table.by_seed) for table in every]} cannot be paired: each seed is "
            "compared with its own start; leave out the seeds that one side lacks"
        )
    ids = every[0].ids
    ups, downs = ([table.aligned(ids) for table in side] for side in (plus, minus))
    return SeedTable(ids, {seed: _sum(ups, seed) - _sum(downs, seed) for seed in seeds})


def _sum(tables: Iterable[SeedTable], seed: int) -> Numbers:
    parts = [table.by_seed[seed] for table in tables]
    return sum(parts[1:], parts[0])


def _effect(
    table: SeedTable, generator: np.random.Generator, resamples: int, *, test: bool, each_seed: bool
) -> Effect:
    values = table.mean
    n, chance = len(values), None
    if test:
        paired = paired_difference(
            values, np.zeros_like(values), generator=generator, resamples=resamples, p_value=True
        )
        value, interval, chance = paired.difference, paired.interval, paired.p_value
    else:
        value = float(values.mean())
        interval = bootstrap_by_problem(values, generator=generator, resamples=resamples)
    if len(table.by_seed) > 1 and n > 1:
        both = np.array(list(table.by_seed.values()))
        interval = two_level_interval(both, generator=generator, resamples=resamples)
    alone = partial(bootstrap_by_problem, generator=generator, resamples=resamples)
    by_seed = {
        seed: (float(own.mean()), alone(own) if each_seed else None) for seed, own in table.by_seed.items()
    }
    return Effect(value, interval, chance, n, by_seed)
