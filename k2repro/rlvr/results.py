"""What the runs show: differences between models on the same problems, over seeds, with their intervals.

Every function is pure: scores and logs in, numbers out. The unit of resampling is the problem. A problem's
value is its mean over samples and seeds, so seeds are averaged, not resampled: an interval speaks of these
runs on other problems, and `Effect.by_seed` of how much the runs differ.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.evaluate import Interval, Pool, bootstrap_by_problem, holm, paired_difference
from k2repro.evaluate.pool import Generation
from k2repro.results import RowBook
from k2repro.rlvr.builds import Log
from k2repro.rlvr.probe import Point

Measure = Callable[[Generation], float]
# Scores of one model by seed.
Seeds = Mapping[int, Pool]
Cut = Callable[[Seeds], Seeds]


def right(generation: Generation) -> float:
    """1 for a right answer: its mean is pass@1."""
    return float(generation.right)


def tokens(generation: Generation) -> float:
    """Length of the response."""
    return float(generation.tokens)


def cut_off(generation: Generation) -> float:
    """1 for a response that the budget ended."""
    return float(generation.finish == "length")


def of_kind(kind: str) -> Measure:
    """1 for a response whose first mistake is of this kind; scores carry the kind in place of the text."""
    return lambda generation: float(generation.text == kind)


@dataclass(frozen=True)
class Effect:
    """A mean, or a difference of means, with what is needed to trust it.

    value      mean over problems of the mean over seeds and samples
    interval   from resampling problems
    p_value    two-sided swap test; None for a level rather than a difference
    by_seed    the same value for each seed alone, with its own interval
    """

    value: float
    interval: Interval
    p_value: float | None
    n: int
    by_seed: Mapping[int, tuple[float, Interval]]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.by_seed)

    @property
    def agreeing(self) -> int:
        """Seeds whose own interval lies on the side of `value`, zero excluded."""
        return sum(
            interval.low > 0 if self.value > 0 else interval.high < 0 for _, interval in self.by_seed.values()
        )


def level(
    scores: Seeds, *, generator: np.random.Generator, measure: Measure = right, resamples: int = 4_000
) -> Effect:
    """Mean of a measure over seeds, problems and samples."""
    return _effect(_by_seed([scores], [], measure), generator, resamples, test=False)


def difference(
    plus: Seeds | Sequence[Seeds],
    minus: Seeds | Sequence[Seeds],
    *,
    generator: np.random.Generator,
    measure: Measure = right,
    resamples: int = 4_000,
) -> Effect:
    """Sum of the means of `plus` minus that of `minus`, on the same problems and seeds.

    With two on each side it is a difference of differences: `difference([a, d], [b, c])` is a - b - (c - d).
    Raises K2ReproError where the sides have other seeds or other problems, or are not equally many.
    """
    first, second = _as_list(plus), _as_list(minus)
    if len(first) != len(second):
        raise K2ReproError(f"{len(first)} models on one side and {len(second)} on the other: must be as many")
    return _effect(_by_seed(first, second, measure), generator, resamples, test=True)


def by_tier(effect: Callable[[Cut, str], Effect], tiers: Sequence[str]) -> dict[str, Effect]:
    """An effect for each tier, then for all tiers together under "mean".

    effect: called with a function that cuts scores down to what is compared, and the name of the part.
    Raises K2ReproError for tiers with unequal numbers of problems.
    """
    parts = {tier: effect(partial(in_tier, tier=tier), tier) for tier in tiers}
    whole = effect(dict, "mean")
    sizes = {part.n for part in parts.values()}
    if len(sizes) > 1:
        raise K2ReproError(f"tiers of {sorted(sizes)} problems: a mean over tiers needs as many in each")
    return {**parts, "mean": whole}


def in_tier(scores: Seeds, tier: str) -> dict[int, Pool]:
    """One tier of every seed's scores."""
    return {seed: pool.tier(tier) for seed, pool in scores.items()}


def holm_adjusted(effects: Mapping[str, Effect]) -> dict[str, float]:
    """Holm-adjusted p-values of a whole table of differences, in its order."""
    tested: dict[str, float] = {}
    for name, effect in effects.items():
        if effect.p_value is None:
            raise K2ReproError(f"{name!r} is a level, not a difference: it has no p-value to correct")
        tested[name] = effect.p_value
    return dict(zip(tested, holm(list(tested.values())).adjusted.tolist(), strict=True))


def record(rows: RowBook, row_id: str, effect: Effect, *, unit: str, paper_ref: str | None = None) -> None:
    """Write an effect as a row of scale "mini", its seeds and interval with it."""
    rows.add(
        row_id,
        effect.value,
        unit=unit,
        scale="mini",
        n=effect.n,
        seeds=effect.seeds,
        interval=(effect.interval.low, effect.interval.high),
        interval_method=effect.interval.method,
        paper_ref=paper_ref,
    )


# ---- curves ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CurvePoint:
    """pass@1 on the probe after some steps, all tiers together."""

    step: int
    effect: Effect


def curve(
    logs: Sequence[Log], *, generator: np.random.Generator, own_budget: bool = False, resamples: int = 2_000
) -> list[CurvePoint]:
    """The probe along the runs of one arm.

    own_budget: responses count as cut at the budget that the run had at the time.

    Raises K2ReproError for no run, and for runs whose points differ.
    """
    if not logs:
        raise K2ReproError("no run to draw a curve of")
    steps = [point.step for point in logs[0].points]
    if any([point.step for point in log.points] != steps for log in logs):
        raise K2ReproError(f"runs of {logs[0].arm.name!r} were looked at after different steps")
    found = []
    for at, step in enumerate(steps):
        by_seed = {log.seed: _outcomes(log, at, own_budget) for log in logs}
        found.append(CurvePoint(step, _effect(by_seed, generator, resamples, test=False)))
    return found


def landmarks(points: Sequence[CurvePoint]) -> dict[str, CurvePoint]:
    """Start, peak (the earliest of equals) and last point; a peak is picked, so it flatters."""
    peak = max(points, key=lambda point: point.effect.value)
    return {"start": points[0], "peak": peak, "last": points[-1]}


def surprise_change(
    logs: Sequence[Log], *, generator: np.random.Generator, resamples: int = 4_000
) -> dict[str, Effect]:
    """Entropy of sampling on the probe, nats a token: "start", "last", and their "difference"."""
    ends = {
        name: {log.seed: _surprises(log.points[at]) for log in logs}
        for name, at in (("start", 0), ("last", -1))
    }
    change = {seed: ends["last"][seed] - ends["start"][seed] for seed in ends["start"]}
    return {
        "start": _effect(ends["start"], generator, resamples, test=False),
        "last": _effect(ends["last"], generator, resamples, test=False),
        "difference": _effect(change, generator, resamples, test=True),
    }


def still_rewards(
    scores: Pool,
    tiers: Sequence[str],
    *,
    prompts: int,
    group: int,
    steps: int,
    generator: np.random.Generator,
) -> list[float]:
    """Mean rewards of batches drawn from a model that does not change: what noise alone looks like.

    A batch takes `prompts` problems, the tiers in turn, and `group` draws with the problem's own pass rate.
    """
    rates = {
        tier: np.array([each.right / len(each.generations) for each in scores.tier(tier).attempts])
        for tier in dict.fromkeys(tiers)
    }
    drawn = [
        [generator.binomial(group, generator.choice(rates[tiers[at % len(tiers)]])) for at in range(prompts)]
        for _ in range(steps)
    ]
    return [sum(batch) / (prompts * group) for batch in drawn]


# ---- inside ---------------------------------------------------------------------------------------


def _as_list(scores: Seeds | Sequence[Seeds]) -> list[Seeds]:
    return [scores] if isinstance(scores, Mapping) else list(scores)


def _by_seed(plus: Sequence[Seeds], minus: Sequence[Seeds], measure: Measure) -> dict[int, np.ndarray]:
    """For each seed one value a problem: means of `plus` minus means of `minus`."""
    every = [*plus, *minus]
    seeds = list(every[0])
    if any(set(scores) != set(seeds) for scores in every):
        raise K2ReproError(
            f"models of seeds {[sorted(scores) for scores in every]} cannot be paired: each seed is compared "
            "with its own start; leave out the seeds that one side lacks"
        )
    ids = [attempt.id for attempt in every[0][seeds[0]].attempts]
    return {
        seed: sum(_means(scores[seed], ids, measure) for scores in plus)
        - sum((_means(scores[seed], ids, measure) for scores in minus), np.zeros(len(ids)))
        for seed in seeds
    }


def _means(pool: Pool, ids: Sequence[str], measure: Measure) -> np.ndarray:
    """Mean of the measure for each problem of `ids`."""
    means = {
        attempt.id: sum(map(measure, attempt.generations)) / len(attempt.generations)
        for attempt in pool.attempts
    }
    if means.keys() != set(ids):
        strangers = sorted(means.keys() ^ set(ids))
        raise K2ReproError(f"models were asked different problems; {strangers[0]!r} is in one of them only")
    return np.array([means[name] for name in ids])


def _effect(
    by_seed: Mapping[int, np.ndarray], generator: np.random.Generator, resamples: int, *, test: bool
) -> Effect:
    values = np.mean(list(by_seed.values()), axis=0)
    paired = paired_difference(
        values, np.zeros_like(values), generator=generator, resamples=resamples, p_value=test
    )
    return Effect(
        paired.difference,
        paired.interval,
        paired.p_value,
        paired.n,
        {
            seed: (float(own.mean()), bootstrap_by_problem(own, generator=generator, resamples=resamples))
            for seed, own in by_seed.items()
        },
    )


def _outcomes(log: Log, at: int, own_budget: bool) -> np.ndarray:
    """1 or 0 for each problem of the probe, all tiers."""
    point = log.points[at]
    # The budget in force when the point was reached: at the switch, that of the stage which ends there.
    budget = log.records[max(0, point.step - 1)].budget if own_budget else None
    outcomes = point.outcomes(budget)
    return np.array([float(each) for tier in point.tiers for each in outcomes[tier]])


def _surprises(point: Point) -> np.ndarray:
    return np.array([value for values in point.surprise.values() for value in values])
