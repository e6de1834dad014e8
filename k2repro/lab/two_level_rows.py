"""Rows whose interval counts both seeds and problems: statements about training, not about one model."""

import numpy as np
from numpy.typing import NDArray

from k2repro.evaluate.effects import Table
from k2repro.evaluate.intervals import Interval
from k2repro.evaluate.seeds import two_level_interval, two_level_ratio
from k2repro.mini.problem import item_seed
from k2repro.results import RowBook

RESAMPLES = 2_000


class TwoLevelRows:
    """Adds tables to a row book, each with its interval; keeps them for figures and sentences."""

    def __init__(self, rows: RowBook) -> None:
        self._rows = rows
        self.tables: dict[str, Table] = {}

    def level(self, row: str, table: Table, unit: str = "fraction") -> None:
        """The mean of a table over seeds and problems."""
        values = np.array(list(table.by_seed.values()))
        interval = (
            two_level_interval(values, generator=generator_of(row), resamples=RESAMPLES)
            if len(values) > 1
            else None
        )
        self.tables[row] = table
        self._add(row, values.mean(axis=1), float(values.mean()), table, unit, interval)

    def difference(self, row: str, plus: Table, minus: Table) -> None:
        """Mean of `plus` minus mean of `minus`, paired by seed and problem."""
        other = minus.aligned(plus.ids)
        self.level(
            row,
            Table(plus.ids, {seed: values - other.by_seed[seed] for seed, values in plus.by_seed.items()}),
        )

    def ratio(self, row: str, above: Table, below: Table, unit: str = "fraction") -> None:
        """Mean of `above` over mean of `below`, paired by seed and problem; no row where `below` is 0."""
        other = below.aligned(above.ids)
        first = np.array(list(above.by_seed.values()))
        second = np.array([other.by_seed[seed] for seed in above.by_seed])
        if second.mean() == 0:
            return
        several = len(first) > 1 and (second.mean(axis=1) != 0).all() and second.shape[1] > 20
        interval = (
            two_level_ratio(first, second, generator=generator_of(row), resamples=RESAMPLES)
            if several
            else None
        )
        whole = float(first.mean() / second.mean())
        below_line = second.mean(axis=1)
        by_seed = first.mean(axis=1) / below_line if below_line.all() else np.empty(0)
        self._add(row, by_seed, whole, above, unit, interval)

    def _add(
        self,
        row: str,
        by_seed: NDArray[np.float64],
        value: float,
        table: Table,
        unit: str,
        interval: Interval | None,
    ) -> None:
        self._rows.add(
            row,
            value,
            unit=unit,
            scale="mini",
            n=len(table.ids),
            interval=None if interval is None else (interval.low, interval.high),
            interval_method=None if interval is None else interval.method,
            seeds=tuple(table.by_seed),
            by_seed=by_seed.tolist() if len(by_seed) > 1 else (),
            of_models=True,
        )


def generator_of(row: str) -> np.random.Generator:
    """The generator behind the interval of one row."""
    return np.random.default_rng(item_seed("two-level row", row.replace("/", ".")))
