"""Effects become rows: value, interval over seeds and problems, every seed alone."""

from collections.abc import Callable, Mapping
from math import isfinite

from k2repro.evaluate.effects import Effect
from k2repro.results import RowBook


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
