"""Typed reading of JSON values, with errors that name the key, the value and the rule.

JSON has one kind of number and Python calls True an integer; both slips pass silently otherwise.
"""

import math
from collections.abc import Mapping

from k2repro.errors import K2ReproError


def read_key(
    values: Mapping[str, object], key: str, place: str = "every config.json of this family"
) -> object:
    """The value of a key that must be present; raises K2ReproError naming the key and who states it."""
    if key not in values:
        raise K2ReproError(
            f"config key {key!r} is missing; {place} states it. "
            "Usual cause: a hand-written or cut-off config.json"
        )
    return values[key]


def positive_int(key: str, value: object) -> int:
    """A whole number >= 1; raises K2ReproError for bools, floats, strings and smaller numbers."""
    return _whole(key, value, 1, "must be at least 1")


def natural_int(key: str, value: object) -> int:
    """A whole number >= 0; raises K2ReproError otherwise."""
    return _whole(key, value, 0, "must not be negative")


def _whole(key: str, value: object, least: int, rule: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong_type(key, value, "a whole number")
    if value < least:
        raise K2ReproError(f"{key} = {value}: {rule}")
    return value


def positive_float(key: str, value: object) -> float:
    """A finite number > 0 as float; raises K2ReproError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong_type(key, value, "a number")
    if not math.isfinite(value) or value <= 0:
        raise K2ReproError(f"{key} = {value}: must be a finite number above 0")
    return float(value)


def boolean(key: str, value: object) -> bool:
    """True or False; raises K2ReproError for 0, 1, "true" and everything else."""
    if not isinstance(value, bool):
        raise _wrong_type(key, value, "true or false")
    return value


def _wrong_type(key: str, value: object, wanted: str) -> K2ReproError:
    return K2ReproError(
        f"{key} = {value!r} ({type(value).__name__}): must be {wanted}. "
        "Usual cause: a quoted number or a value from another key"
    )
