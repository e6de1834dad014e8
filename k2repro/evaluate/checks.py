"""What every statistic asks of its input, so that a refusal reads the same everywhere.

Not a pass over the data "to be safe": each check stands for a silent error that has happened to
someone, and the message names it.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from k2repro.errors import K2ReproError, unknown

# One outcome array per problem, by position or by problem id; see `k2repro.evaluate.problems`.
Outcomes = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]
Statistic = Callable[..., float]
LARGEST = 2**53  # beyond it a float is no longer sure to be the count that was meant


def whole_numbers(name: str, value: ArrayLike) -> NDArray[np.int64]:
    """`value` as non-negative integers; 3.0 is accepted, 2.5, -1, nan, inf and booleans are not."""
    numbers = numeric_array(name, value)
    if numbers.dtype == bool:
        raise K2ReproError(
            f"{name} must be counts, got booleans; usual cause: the outcomes themselves were "
            "passed instead of their sum"
        )
    if numbers.size == 0:
        raise K2ReproError(f"{name} is empty; usual cause: a filter removed every problem")
    finite = np.isfinite(numbers)
    if not finite.all():
        raise K2ReproError(f"{name} must be finite, got {numbers[~finite].flat[0]}")
    if (numbers != np.floor(numbers)).any():
        wrong = numbers[numbers != np.floor(numbers)].flat[0]
        raise K2ReproError(
            f"{name} must be whole numbers, got {wrong}; usual cause: a rate was passed for a count"
        )
    if (numbers < 0).any():
        raise K2ReproError(f"{name} must not be negative, got {numbers[numbers < 0].flat[0]}")
    if (numbers > LARGEST).any():
        raise K2ReproError(f"{name} must not exceed {LARGEST}, got {numbers.max()}")
    return numbers.astype(np.int64)


def one_whole_number(name: str, value: ArrayLike) -> int:
    """`value` as a single non-negative Python integer."""
    numbers = whole_numbers(name, value)
    if numbers.ndim != 0:
        raise K2ReproError(f"{name} must be one number, got an array of shape {numbers.shape}")
    return int(numbers)


def finite_numbers(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """`value` as a non-empty array of finite floats."""
    numbers = numeric_array(name, value).astype(np.float64)
    if numbers.size == 0:
        raise K2ReproError(f"{name} is empty; usual cause: a filter removed every outcome")
    finite = np.isfinite(numbers)
    if not finite.all():
        raise K2ReproError(
            f"{name} must be finite, got {numbers[~finite].flat[0]}; usual cause: a generation "
            "without a score: count it as wrong, or leave its problem out of every system compared"
        )
    return numbers


def numeric_array(name: str, value: ArrayLike) -> NDArray:
    """`value` as an array of real numbers or booleans; anything else is refused by name."""
    try:
        numbers = np.asarray(value)
    except ValueError as error:
        raise K2ReproError(f"{name} must be a regular array of numbers: {error}") from error
    if numbers.size and numbers.dtype.kind not in "biuf":
        first = numbers.flat[0]
        raise K2ReproError(f"{name} must be numbers, got {numbers.dtype.name} such as {first!r}")
    return numbers


def check_level(level: float) -> None:
    """Refuse a confidence level outside (0, 1)."""
    if not (isinstance(level, float) and 0.0 < level < 1.0):
        raise K2ReproError(
            f"level must be a fraction between 0 and 1, got {level!r}; usual cause: 95 for 0.95"
        )


def check_generator(generator: np.random.Generator) -> None:
    """Refuse anything but a numpy Generator; a seed would hide where the randomness comes from."""
    if not isinstance(generator, np.random.Generator):
        raise K2ReproError(
            f"generator must be a numpy.random.Generator, got {generator!r}; usual cause: a seed "
            "was passed: use numpy.random.default_rng(seed)"
        )


def check_resamples(resamples: int, level: float) -> None:
    """Refuse so few resamples that the tails of the interval hold less than one of them."""
    fewest = math.ceil(2.0 / (1.0 - level))
    if one_whole_number("resamples", resamples) < fewest:
        raise K2ReproError(
            f"resamples must be at least {fewest} for a level of {level}, got {resamples}; fewer "
            "do not reach the tails"
        )


def check_method(method: str, known: Sequence[str]) -> None:
    """Refuse a method that does not exist, naming those that do."""
    if method not in known:
        raise unknown("interval method", method, known)
