"""Numbers become rows: effects over seeds and problems with every seed alone, and statistics of one model."""

from collections.abc import Callable, Mapping
from math import isfinite

import numpy as np

from k2repro.evaluate.bootstrap import RowStatistic, interval_of_rows
from k2repro.evaluate.effects import Effect
from k2repro.evaluate.intervals import Interval
from k2repro.results import RowBook

RESAMPLES = 4000


def add_effects(rows: RowBook, found: Mapping[str, Effect], unit_of: Callable[[str], str]) -> None:
    """Write effects as rows of mini scale. unit_of: the unit of a row, from its id.

    A seed that has no value of its own (a share of a gain that is none) leaves all of them out.
    """
    for name, effect in found.items():
        interval = effect.interval
        by_seed = [value for value, _ in effect.by_seed.values()]
        rows.add(
            name,
            effect.value,
            unit=unit_of(name),
            scale="mini",
            n=effect.n,
            interval=(interval.low, interval.high),
            interval_method=f"{interval.method}, {interval.level:.0%}",
            seeds=effect.seeds,
            by_seed=by_seed if all(map(isfinite, by_seed)) else (),
            of_models=True,
        )


def value_of(statistic: RowStatistic, problems: int) -> float:
    """The statistic of all problems, each once."""
    return float(statistic(np.arange(problems)[None])[0])


def interval_of(statistic: RowStatistic, problems: int, generator: np.random.Generator) -> Interval:
    """Its 95 % interval, problems resampled."""
    return interval_of_rows(
        statistic, problems, generator=generator, level=0.95, resamples=RESAMPLES, method="percentile"
    )


def add_statistic(
    rows: RowBook,
    row: str,
    statistic: RowStatistic,
    problems: int,
    unit: str,
    *,
    generator: np.random.Generator,
    of: str,
    of_models: bool = False,
) -> None:
    """A number of one model as a row of mini scale. of: what there is one of. One problem has no interval."""
    interval = interval_of(statistic, problems, generator) if problems > 1 else None
    rows.add(
        row,
        value_of(statistic, problems),
        unit=unit,
        scale="mini",
        n=problems,
        interval=None if interval is None else (interval.low, interval.high),
        interval_method=None if interval is None else f"{interval.method}, one {of}",
        seeds=(0,),
        of_models=of_models,
    )
