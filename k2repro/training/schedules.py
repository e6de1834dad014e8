"""Learning-rate schedules as factors between 0 and 1 of a peak.

K2-Think's SFT: cosine after a linear warm-up over 5 % of the steps (MBZUAI-IFM/K2-Think-SFT, training YAML).
"""

import math
from collections.abc import Callable
from typing import Protocol

from k2repro.errors import K2ReproError

Schedule = Callable[[int, int], float]


def warmup_cosine(step: int, steps: int, warmup: float = 0.05, floor: float = 0.0) -> float:
    """Factor of step `step` of `steps` (from 0): linear up over `warmup` of the steps, then half a cosine."""
    ramp, through = _progress(step, steps, warmup)
    return ramp * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * through)))


def warmup_linear(step: int, steps: int, warmup: float = 0.05, floor: float = 0.0) -> float:
    """As `warmup_cosine`, with a straight line down."""
    ramp, through = _progress(step, steps, warmup)
    return ramp * (floor + (1 - floor) * (1 - through))


def constant(step: int, steps: int, warmup: float = 0.05) -> float:
    """Linear warm-up, then 1."""
    return _progress(step, steps, warmup)[0]


class WarmupSchedule(Protocol):
    """A schedule whose warm-up can be chosen."""

    def __call__(self, step: int, steps: int, warmup: float = 0.05) -> float: ...


SCHEDULES: dict[str, WarmupSchedule] = {
    "cosine": warmup_cosine,
    "linear": warmup_linear,
    "constant": constant,
}


def _progress(step: int, steps: int, warmup: float) -> tuple[float, float]:
    """How far the warm-up is, and how far the descent behind it, each from 0 to 1."""
    if steps < 1 or not 0 <= step < steps or not 0 <= warmup < 1:
        raise K2ReproError(
            f"step {step} of {steps} with warm-up {warmup}: must be 0 <= step < steps, 0 <= warm-up < 1"
        )
    ramp_steps = max(1, round(warmup * steps))
    if step < ramp_steps:
        return (step + 1) / ramp_steps, 0.0
    return 1.0, (step - ramp_steps) / max(1, steps - ramp_steps)
