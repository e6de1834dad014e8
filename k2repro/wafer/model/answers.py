"""`Prediction`: what the emulator answers, and what follows from an answer.

Every prediction carries an 80 % interval, a breakdown of the step by cause, the bound, and
whether the model fits; a claimed rate can be held against it.
"""

import math
from dataclasses import dataclass, field, replace

from k2repro.errors import K2ReproError
from k2repro.wafer.model.breakdown import name_bound
from k2repro.wafer.model.speculation import Speculation


@dataclass(frozen=True)
class Prediction:
    """The predicted speed of decoding.

    tokens_per_second: per sequence. step_seconds: time of one pass, which yields tokens_per_step
    tokens for every sequence (1 without speculation). low, high: 80 % interval of
    tokens_per_second. bound: what the step waits for most. breakdown: seconds by cause, adding up
    to step_seconds. fits, bytes_over, devices_needed: whether weights and cache fit the usable
    memory of all devices, by how many bytes they do not, and how many devices would hold them.
    bytes_per_step, flops_per_step: of all devices and the whole batch.
    roofline_tokens_per_second: what bandwidth and arithmetic alone allow, per sequence.
    ceiling_tokens_per_second: no rate without a draft can be above (the roofline; on a wafer the
    hop model plus its transfer spread). joules_per_token: at full board power, None if unknown.
    simple_tokens_per_second: what one share of bandwidth for this family of software would say; it
    stands beside the answer, inf where no such share was fitted.
    notes: what a reader should know about this answer, empty if nothing.
    """

    model: str
    device: str
    devices: int
    precision: str
    batch_size: int
    context_length: float
    engine: str
    tokens_per_second: float
    step_seconds: float
    low: float
    high: float
    bound: str
    breakdown: dict[str, float] = field(default_factory=dict)
    fits: bool = True
    bytes_over: float = 0.0
    devices_needed: int = 1
    bytes_per_step: float = 0.0
    flops_per_step: float = 0.0
    roofline_tokens_per_second: float = math.inf
    ceiling_tokens_per_second: float = math.inf
    joules_per_token: float | None = None
    tokens_per_step: float = 1.0
    simple_tokens_per_second: float = math.inf
    notes: tuple[str, ...] = ()

    @property
    def aggregate_tokens_per_second(self) -> float:
        """Tokens per second of the whole batch."""
        return self.tokens_per_second * self.batch_size

    def is_possible(self, rate: float, margin: float = 0.02) -> bool:
        """Whether a claimed rate (tokens/s per sequence) stays below the ceiling plus a margin.

        With speculation the ceiling counts the tokens of a pass.
        """
        if not (math.isfinite(rate) and rate > 0):
            raise K2ReproError(f"rate {rate!r} must be a positive number of tokens per second")
        return rate <= self.ceiling_tokens_per_second * self.tokens_per_step * (1 + margin)


def require_fit(prediction: Prediction) -> Prediction:
    """The prediction itself, or K2ReproError saying by how much and how many devices are needed."""
    if prediction.fits:
        return prediction
    raise K2ReproError(
        f"{prediction.model} in {prediction.precision} with {prediction.batch_size} sequence(s) of "
        f"{prediction.context_length:g} tokens does not fit {prediction.devices} x "
        f"{prediction.device}: {prediction.bytes_over / 1e9:.1f} GB too much; it needs "
        f"{prediction.devices_needed} (or fewer bits, a shorter context, a smaller batch)"
    )


def add_draft(checked: Prediction, speculation: Speculation, plain_step_seconds: float) -> Prediction:
    """The prediction of a pass that verifies draft_tokens + 1 tokens, with the draft before it.

    checked: must be of that longer pass. plain_step_seconds: of a pass of one token, in which the
    draft's cost is counted.
    """
    draft = plain_step_seconds * speculation.draft_share
    step = checked.step_seconds + draft
    gain = speculation.expected_tokens * checked.step_seconds / step
    breakdown = dict(checked.breakdown)
    if draft > 0:
        breakdown["draft"] = draft
    energy = checked.joules_per_token
    return replace(
        checked,
        breakdown=breakdown,
        step_seconds=step,
        bound=name_bound(breakdown),
        tokens_per_second=checked.tokens_per_second * gain,
        low=checked.low * gain,
        high=checked.high * gain,
        tokens_per_step=speculation.expected_tokens,
        joules_per_token=None if energy is None else energy / gain,
    )
