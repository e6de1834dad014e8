"""What was asked of the emulator, names resolved and checked: the common start of every answer."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.wafer.model.device_names import find_device
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.engines import Engine, require_engine
from k2repro.wafer.model.intervals import family_of
from k2repro.wafer.model.names import Config, as_shape
from k2repro.wafer.model.precisions import Precision, find_precision
from k2repro.wafer.model.roofline import attended
from k2repro.wafer.model.shapes import ModelShape
from k2repro.wafer.model.workload import (
    ModelWork,
    Request,
    Workload,
    device_work,
    model_work,
    software_work,
    usable_memory,
    weight_bytes,
)


@dataclass(frozen=True)
class Question:
    """A model in a format on devices, run by an engine. mesh_side: of a wafer's regions, if given."""

    shape: ModelShape
    device: Device
    precision: Precision
    engine: Engine
    devices: int
    layer_split: bool
    kv_bytes: float
    mesh_side: float | None = None

    @property
    def kv_bytes_per_token(self) -> float:
        """Bytes that one token adds to the cache, all layers."""
        return self.shape.kv_bytes_per_token(self.kv_bytes)

    def model_work(self) -> ModelWork:
        """The model's group of a workload."""
        return model_work(self.shape, weight_bytes(self.shape, self.precision), self.kv_bytes_per_token)

    def workload(self, batch: Any, context: Any, pass_tokens: float = 1.0) -> Workload:
        """The whole workload; batch and context may be arrays."""
        device = self.device
        bandwidth = device.sustained_gbs or device.bandwidth_gbs
        ways = 1.0 if self.layer_split else float(self.devices)
        return Workload(
            self.model_work(),
            Request(batch, context, prompt_tokens=context, pass_tokens=pass_tokens),
            # A person who asks about a batch that does not fit is told so; nothing queues.
            device_work(device, bandwidth, self.precision, ways=ways, memory=math.inf),
            software_work(self.engine, self.precision),
        )

    def cached_bytes(self, batch: float, context: float) -> float:
        """Bytes of the caches of a batch; windowed layers keep their window, recurrent ones a state."""
        each = float(attended(self.model_work(), context)) * self.kv_bytes_per_token
        return batch * (each + self.shape.state_bytes)

    def fit_fields(self, batch: float, context: float) -> dict[str, Any]:
        """fits, bytes_over, devices_needed of a `Prediction`."""
        stored = weight_bytes(self.shape, self.precision).stored
        needed = stored + self.cached_bytes(batch, context)
        each = usable_memory(self.device, self.engine)
        over = max(0.0, needed - self.devices * each)
        return {"fits": over == 0.0, "bytes_over": over, "devices_needed": max(1, math.ceil(needed / each))}

    def common_fields(self, batch: float, context: float) -> dict[str, Any]:
        """The fields of a `Prediction` that do not depend on how it is timed."""
        shape, read = self.shape, weight_bytes(self.shape, self.precision).read
        attention = 4.0 * shape.attending_layers * shape.q_heads * shape.head_dim
        return {
            "model": shape.name,
            "device": self.device.name,
            "devices": self.devices,
            "precision": self.precision.name,
            "batch_size": int(batch),
            "context_length": context,
            "engine": self.engine.name,
            "bytes_per_step": read + self.cached_bytes(batch, context),
            "flops_per_step": batch * (2.0 * shape.decode_parameters + attention * context),
            "notes": self.notes(),
            **self.fit_fields(batch, context),
        }

    def notes(self) -> tuple[str, ...]:
        """What a reader should know about this question."""
        found = []
        if not self.shape.exact:
            found.append(f"only the size of {self.shape.name} is known; its shape is a guess")
        if self.shape.note:
            found.append(self.shape.note)
        if self.device.recalled:
            found.append(f"the numbers of {self.device.name} are unverified: recalled, no source was read")
        if not self.device.source:
            found.append(f"{self.device.name} is described by its data sheet only: no row of it was fitted")
        if self.split and self.shape.q_heads % self.devices:
            found.append(
                f"{self.shape.q_heads} heads do not divide by {self.devices}; most engines refuse that"
            )
        if self.split and self.devices > self.device.node_devices:
            found.append(f"{self.devices} devices are more than one node of {self.device.node_devices}")
        return tuple(found)

    @property
    def family(self) -> str:
        """The family whose interval applies."""
        mixture = self.shape.experts is not None
        return family_of(self.engine.engine_class, self.device.device_class, mixture=mixture)

    @property
    def split(self) -> bool:
        """Whether every layer is split over several devices (tensor parallelism)."""
        return self.devices > 1 and not self.layer_split and self.device.device_class != "wafer"

    def energy(self, aggregate: float) -> float | None:
        """Joules per token at full power, None where it is not known."""
        watts = self.device.tdp_w
        return None if watts is None else watts * self.devices / aggregate


def check_sizes(sizes: dict[str, Any]) -> None:
    """K2ReproError naming the first size that is not a finite number above zero."""
    for name, value in sizes.items():
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "iuf" or not bool(np.all(np.isfinite(numbers) & (numbers > 0))):
            raise K2ReproError(f"{name} = {value!r} must be a number above zero")


def _check_precision(device: Device, kind: Precision) -> None:
    if device.supports(kind):
        return
    able = ", ".join(device.native_precisions)
    instead = "; try fp16, which has as many bits" if kind.name == "bf16" and "fp16" in able else ""
    raise K2ReproError(
        f"{device.name} has no arithmetic for {kind.name}; it has {able}"
        + (" (and unpacks integer formats)" if device.device_class in ("gpu", "cpu", "soc") else "")
        + instead
    )


def resolve(
    config: Config,
    device: Device | str,
    *,
    precision: str,
    devices: int,
    engine: str | None,
    layer_split: bool = False,
    kv_bytes: float = 2.0,
    mesh_side: float | None = None,
) -> Question:
    """The question with all names found; K2ReproError for what cannot be asked."""
    check_sizes({"devices": devices, "kv_bytes_per_value": kv_bytes})
    if int(devices) != devices:
        raise K2ReproError(f"devices = {devices!r} must be a whole number")
    found = find_device(device) if isinstance(device, str) else device
    kind = find_precision(precision)
    _check_precision(found, kind)
    software = require_engine(engine, found.device_class, found.vendor, found.name)
    question = Question(
        as_shape(config), found, kind, software, int(devices), layer_split, kv_bytes, mesh_side
    )
    if question.split and devices > question.shape.q_heads:
        raise K2ReproError(
            f"devices = {devices} for {question.shape.q_heads} attention heads: tensor parallelism splits "
            "between heads, never one head; use fewer devices, or a layer split"
        )
    return question
