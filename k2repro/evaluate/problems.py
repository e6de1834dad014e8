"""Outcomes grouped by problem, and statistics of resampled problems.

A problem is the unit of resampling: all its generations travel together. Generations of one problem
resemble each other, so resampling them one by one pretends to more information than there is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError
from k2repro.evaluate.checks import Outcomes, Statistic, finite_numbers

FEWEST = 2  # of one problem every resample is the same


@dataclass(frozen=True)
class Problems:
    """Outcomes of several problems, addressed by position.

    values   array with problems along axis 0, or one array per problem (any lengths)
    means    (problems,)   mean outcome of each problem
    """

    values: NDArray[np.float64] | list[NDArray[np.float64]]
    means: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.means)

    def statistics(self, index: NDArray[np.intp], statistic: Statistic | None) -> NDArray:
        """The statistic of each row of problem positions.

        index     (resamples, problems drawn)
        statistic gets outcomes in the form they were given in: an array with problems along axis 0,
                  or a list of arrays. None is the mean over problems of each problem's mean.
        returns   (resamples,)
        """
        if statistic is None:
            return self.means[index].mean(axis=1)
        return np.array([_number(statistic(self._take(row))) for row in index])

    def _take(self, row: NDArray[np.intp]) -> object:
        if isinstance(self.values, list):
            return [self.values[position] for position in row]
        return self.values[row]


def as_problems(name: str, outcomes: Outcomes) -> Problems:
    """Read outcomes given as an array, a list of per-problem arrays, or a mapping from problem id.

    An array has problems along axis 0. In a list or mapping the problems may have different numbers
    of generations. A mapping is taken in the order of its sorted ids: insertion order cannot change
    a resample. Raises K2ReproError for fewer than two problems, an empty problem, and
    outcomes that are not finite numbers.
    """
    if isinstance(outcomes, Mapping):
        return _from_parts([(f"{name}[{key!r}]", outcomes[key]) for key in sorted(outcomes)], name)
    if isinstance(outcomes, list | tuple) and any(np.ndim(part) for part in outcomes):
        return _from_parts([(f"{name}[{at}]", part) for at, part in enumerate(outcomes)], name)
    values = finite_numbers(name, outcomes)  # type: ignore[arg-type]
    if values.ndim == 0:
        raise K2ReproError(f"{name} must hold one entry for each problem, got the number {values}")
    _check_number(name, len(values))
    return Problems(values, values.reshape(len(values), -1).mean(axis=1))


def _from_parts(parts: list[tuple[str, object]], name: str) -> Problems:
    _check_number(name, len(parts))
    values = [np.atleast_1d(finite_numbers(*part)) for part in parts]  # type: ignore[arg-type]
    return Problems(values, np.array([value.mean() for value in values]))


def _check_number(name: str, problems: int) -> None:
    if problems < FEWEST:
        raise K2ReproError(
            f"{name} must hold at least {FEWEST} problems, got {problems}; usual cause: the axes "
            "are swapped, problems come first and generations second"
        )


def _number(value: object) -> float:
    """A statistic's result as a finite float."""
    number = finite_numbers("the result of statistic", value)  # type: ignore[arg-type]
    if number.ndim != 0:
        raise K2ReproError(f"statistic must return one number, got shape {number.shape}")
    return float(number)
