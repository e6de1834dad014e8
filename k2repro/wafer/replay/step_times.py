"""Seconds of every decode step of a batch whose contexts grow: `predict` for whole arrays.

Without a draft one call of `sweep` answers all steps exactly. With a draft the verification pass
multiplies arithmetic by draft_tokens + 1; it is predicted at a few contexts per batch size and
interpolated, which is exact where the time is linear in the context (everywhere but under an eager
host, whose overhead hides behind a long context).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.wafer.model.answers import Prediction
from k2repro.wafer.model.device_names import find_device
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.names import Config, as_shape
from k2repro.wafer.model.parameters import FloatArray
from k2repro.wafer.model.prediction import Prefill, predict, predict_prefill, sweep
from k2repro.wafer.model.speculation import Speculation

_KNOTS = 17


@dataclass(frozen=True)
class Server:
    """A model on a device: where one role of a trace runs.

    model, device, precision, devices, engine: as for `predict`. draft: the model that proposes
    tokens, on the same device; None: `draft_cost_ratio` target steps per proposed token, 0 being a
    draft for free and so a bound, not a forecast.
    """

    model: Config
    device: Device | str
    precision: str = "bf16"
    devices: int = 1
    engine: str | None = None
    draft: Config | None = None
    draft_cost_ratio: float = 0.0

    def __post_init__(self) -> None:
        if not self.draft_cost_ratio >= 0:
            raise K2ReproError(f"draft_cost_ratio = {self.draft_cost_ratio!r} must not be negative")

    def found_device(self) -> Device:
        """The device itself; K2ReproError when the name is not known."""
        return find_device(self.device) if isinstance(self.device, str) else self.device

    def describe(self) -> str:
        """Model, devices and precision in a few words."""
        return f"{as_shape(self.model).name} on {self.devices} x {self.found_device().name}, {self.precision}"

    @property
    def watts(self) -> float | None:
        """Power limit of all devices, None where it is not known."""
        tdp = self.found_device().tdp_w
        return None if tdp is None else tdp * self.devices

    def predict(
        self, batch: float, context: float, speculation: Speculation | None = None, *, check_fit: bool = True
    ) -> Prediction:
        """`predict` for this server."""
        return predict(
            self.model,
            self.device,
            precision=self.precision,
            devices=self.devices,
            engine=self.engine,
            batch_size=int(batch),
            context_length=max(context, 1.0),
            speculation=speculation,
            check_fit=check_fit,
        )

    def prefill(self, prompt_tokens: float, batch: int) -> Prefill:
        """Time to process `batch` prompts of that length together; nothing for empty prompts."""
        if prompt_tokens <= 0:
            return Prefill(0.0, 0.0, 0.0)
        return predict_prefill(
            self.model,
            self.device,
            prompt_tokens=prompt_tokens,
            precision=self.precision,
            batch_size=batch,
            devices=self.devices,
            engine=self.engine,
        )

    def step_seconds(self, batch: FloatArray, context: FloatArray, draft_tokens: int = 0) -> FloatArray:
        """Seconds of each step; batch (live sequences) and mean context, both shape (steps,)."""
        context = np.maximum(context, 1.0)
        if draft_tokens == 0:
            return 1.0 / self._rates(self.model, batch, context)
        seconds = np.empty_like(context)
        for size in np.unique(batch):
            of_size = batch == size
            seconds[of_size] = self._with_draft(float(size), context[of_size], draft_tokens)
        return seconds

    def _rates(self, model: Config, batch: Any, context: FloatArray) -> FloatArray:
        return sweep(
            model,
            self.device,
            batch_sizes=batch,
            context_lengths=context,
            precision=self.precision,
            devices=self.devices,
            engine=self.engine,
        )

    def _with_draft(self, batch: float, context: FloatArray, draft_tokens: int) -> FloatArray:
        """A verification pass and the draft's own steps before it."""
        knots = np.unique(np.linspace(context.min(), context.max(), _KNOTS))
        # Acceptance does not matter here: it changes the tokens of a pass, not its time.
        draft = Speculation(1.0, draft_tokens, self.draft_cost_ratio)
        passes = [self.predict(batch, knot, draft, check_fit=False).step_seconds for knot in knots]
        seconds = np.interp(context, knots, passes)
        if self.draft is not None:
            seconds += draft_tokens / self._rates(self.draft, batch, context)
        return seconds
