"""What the logs of notebook 03 say along the runs: probe curves, entropies, and the noise of a reward.

Bootstraps are seeded by row id, as in `rlvr_rows`. Levels of pass@1 are fractions, entropies nats a token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.evaluate.effects import Effect, SeedTable, difference, level
from k2repro.evaluate.pool import Scores
from k2repro.lab.rlvr import Log, RlResults
from k2repro.lab.rlvr_rows import Found, generator_of


@dataclass(frozen=True)
class CurveEffect:
    """pass@1 on the probe after some steps, all tiers together."""

    step: int
    effect: Effect


def curves(results: RlResults, runs: Sequence[str]) -> dict[str, list[CurveEffect]]:
    """Probe curves under the budget that was in force, as in Figure 4.

    Raises K2ReproError for runs of one name whose points differ.
    """
    found = {}
    for run in runs:
        logs, generator = list(results.logs[run].values()), generator_of(f"rlvr.curve.{run}")
        steps = [point.step for point in logs[0].points]
        if any([point.step for point in log.points] != steps for log in logs):
            raise K2ReproError(f"runs of {run!r} were looked at after different steps")
        found[run] = [
            CurveEffect(step, level(_outcomes(logs, at), generator=generator, resamples=2_000))
            for at, step in enumerate(steps)
        ]
    return found


def landmarks(points: Sequence[CurveEffect]) -> dict[str, CurveEffect]:
    """Start, peak (the earliest of equals) and last point; a peak is picked, so it flatters."""
    peak = max(points, key=lambda point: point.effect.value)
    return {"start": points[0], "peak": peak, "last": points[-1]}


def landmark_rows(points: Mapping[str, Sequence[CurveEffect]]) -> Found:
    """Start, peak and last point of every curve, as rows."""
    return {
        f"rlvr.curve.{run}.{name}": point.effect
        for run, curve in points.items()
        for name, point in landmarks(curve).items()
    }


def entropies(results: RlResults, runs: Sequence[str]) -> Found:
    """Entropy of sampling on the probe, nats a token: at the start, at the end, and the change."""
    found: Found = {}
    for run in runs:
        logs, generator = list(results.logs[run].values()), generator_of(f"rlvr.entropy.{run}")
        start, last = _nll(logs, 0), _nll(logs, -1)
        found[f"rlvr.entropy.{run}.start"] = level(start, generator=generator)
        found[f"rlvr.entropy.{run}.last"] = level(last, generator=generator)
        found[f"rlvr.entropy.{run}.difference"] = difference(last, start, generator=generator)
    return found


def still_rewards(
    scores: Scores,
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


def _outcomes(logs: Sequence[Log], at: int) -> SeedTable:
    """1 or 0 for each problem of the probe; a response counts as cut at the budget of its time."""
    columns = {}
    for log in logs:
        point = log.points[at]
        # The budget in force when the point was reached: at the switch, that of the stage which ends there.
        outcomes = point.outcomes(log.records[max(0, point.step - 1)].budget)
        columns[log.seed] = {
            f"{tier}/{place}": float(mark)
            for tier in point.tiers
            for place, mark in enumerate(outcomes[tier])
        }
    return _table(columns)


def _nll(logs: Sequence[Log], at: int) -> SeedTable:
    """Minus the mean log-probability of each probe response."""
    return _table(
        {
            log.seed: {
                f"{tier}/{place}": value
                for tier, values in log.points[at].nll.items()
                for place, value in enumerate(values)
            }
            for log in logs
        }
    )


def _table(columns: Mapping[int, Mapping[str, float]]) -> SeedTable:
    ids = tuple(next(iter(columns.values())))
    return SeedTable(ids, {seed: np.array(list(values.values())) for seed, values in columns.items()})
