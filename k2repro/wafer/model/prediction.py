"""`predict`: how fast a model decodes on a device, how sure that is, and what it waits for.

One function for CPUs, Apple, NVIDIA, AMD (roofline with overheads, `roofline.py`) and for wafers
(hops across the mesh, `mesh.py`). `sweep` answers a grid of batches and contexts in one vectorised
evaluation, `prefill_time` gives the time to the first token.
"""

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.wafer.model import mesh
from k2repro.wafer.model.answers import Prediction, add_draft, name_bound, require_fit
from k2repro.wafer.model.devices import Device, find_device
from k2repro.wafer.model.engines import Engine, require_engine
from k2repro.wafer.model.intervals import load_widths, uncertainty_scale
from k2repro.wafer.model.parameters import load_parameters
from k2repro.wafer.model.precisions import Precision, find_precision
from k2repro.wafer.model.roofline import break_down, prefill_seconds, roofline_rate
from k2repro.wafer.model.shapes import ConfigLike, ModelShape, as_shape
from k2repro.wafer.model.speculation import Speculation
from k2repro.wafer.model.workload import (
    Workload,
    device_fields,
    engine_fields,
    shape_fields,
    usable_memory,
    weight_bytes,
)

Config = ModelShape | ConfigLike | str


@dataclass(frozen=True)
class _Question:
    """What was asked, names resolved."""

    shape: ModelShape
    device: Device
    precision: Precision
    engine: Engine
    devices: int
    layer_split: bool


def _check_sizes(sizes: dict[str, Any]) -> None:
    """K2ReproError naming the first size that is not a finite number above zero."""
    for name, value in sizes.items():
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "iuf" or not bool(np.all(np.isfinite(numbers) & (numbers > 0))):
            raise K2ReproError(f"{name} = {value!r} must be a number above zero")


def _resolve(
    config: Config, device: Device | str, precision: str, devices: int, engine: str | None, layer_split: bool
) -> _Question:
    _check_sizes({"devices": devices})
    if int(devices) != devices:
        raise K2ReproError(f"devices = {devices!r} must be a whole number")
    found = find_device(device) if isinstance(device, str) else device
    kind = find_precision(precision)
    if not found.supports(kind):
        able = ", ".join(found.native_precisions)
        raise K2ReproError(
            f"{found.name} has no arithmetic for {kind.name}; it has {able}"
            + (" (and unpacks integer formats)" if found.device_class in ("gpu", "cpu", "soc") else "")
        )
    software = require_engine(engine, found.device_class, found.vendor)
    return _Question(as_shape(config), found, kind, software, int(devices), layer_split)


def _workload(
    question: _Question, batch: Any, context: Any, kv_bytes: float, pass_tokens: float = 1.0
) -> Workload:
    read, stored = weight_bytes(question.shape, question.precision)
    device = question.device
    bandwidth = device.sustained_gbs or device.bandwidth_gbs
    return Workload(
        weight_bytes=read,
        stored_bytes=stored,
        pass_tokens=pass_tokens,
        kv_bytes_per_token=question.shape.kv_bytes_per_token(kv_bytes),
        batch=batch,
        context=context,
        prompt_tokens=context,
        output_tokens=0.0,
        end_to_end=0.0,
        ways=1.0 if question.layer_split else float(question.devices),
        # A person who asks about a batch that does not fit is told so; nothing queues.
        memory=math.inf,
        **shape_fields(question.shape),
        **device_fields(device, bandwidth, question.precision),
        **engine_fields(question.engine, question.precision),
    )


def _fit_fields(question: _Question, batch: float, context: float, kv_bytes: float) -> dict[str, Any]:
    """fits, bytes_over, devices_needed."""
    stored = weight_bytes(question.shape, question.precision)[1]
    needed = stored + batch * context * question.shape.kv_bytes_per_token(kv_bytes)
    each = usable_memory(question.device, question.engine)
    over = max(0.0, needed - question.devices * each)
    return {"fits": over == 0.0, "bytes_over": over, "devices_needed": max(1, math.ceil(needed / each))}


def _energy(question: _Question, aggregate: float) -> float | None:
    """Joules per token at full board power."""
    watts = question.device.tdp_w
    return None if watts is None else watts * question.devices / aggregate


def _predict_roofline(
    question: _Question, batch: float, context: float, kv_bytes: float, pass_tokens: float
) -> Prediction:
    work = _workload(question, batch, context, kv_bytes, pass_tokens)
    # Queueing and prefill belong to measured tables, not to a decode step somebody asks for.
    breakdown = {
        cause: float(seconds)
        for cause, seconds in break_down(work, load_parameters()).items()
        if cause not in ("queueing", "prefill")
    }
    seconds = sum(breakdown.values())
    width = load_widths().choose(
        source_known=False, engine_known=question.engine.known, device_known=bool(question.device.source)
    )
    spread = math.exp(width * float(uncertainty_scale(breakdown)))
    rate = 1.0 / seconds
    roofline = float(roofline_rate(work))
    return Prediction(
        **_common(question, batch, context, kv_bytes),
        tokens_per_second=rate,
        step_seconds=seconds,
        low=rate / spread,
        high=rate * spread,
        bound=name_bound(breakdown),
        breakdown=breakdown,
        roofline_tokens_per_second=roofline,
        ceiling_tokens_per_second=roofline,
        joules_per_token=_energy(question, rate * batch),
    )


def _common(question: _Question, batch: float, context: float, kv_bytes: float) -> dict[str, Any]:
    read = weight_bytes(question.shape, question.precision)[0]
    cached = batch * context * question.shape.kv_bytes_per_token(kv_bytes)
    attention = 4.0 * question.shape.layers * question.shape.q_heads * question.shape.head_dim
    return {
        "model": question.shape.name,
        "device": question.device.name,
        "devices": question.devices,
        "precision": question.precision.name,
        "batch_size": int(batch),
        "context_length": context,
        "engine": question.engine.name,
        "bytes_per_step": read + cached,
        "flops_per_step": batch * (2.0 * question.shape.decode_parameters + attention * context),
        **_fit_fields(question, batch, context, kv_bytes),
    }


def _predict_mesh(question: _Question, batch: float, context: float, kv_bytes: float) -> Prediction:
    """On wafers: layers spread evenly over all cores, requests pipelined through the layers."""
    shape, device = question.shape, question.device
    if device.execution_units is None:
        raise K2ReproError(f"{device.name}: the number of cores is not known")
    region = mesh.place(
        shape,
        question.devices * device.execution_units / shape.layers,
        bits=question.precision.bits,
        context_length=context * batch,
        kv_bytes_per_token=shape.kv_bytes_per_token(kv_bytes),
    )
    # Each request reads its own cache; the regions hold the caches of all.
    own = mesh.place(
        shape,
        region.cores,
        bits=question.precision.bits,
        context_length=context,
        kv_bytes_per_token=shape.kv_bytes_per_token(kv_bytes),
    )
    layer = mesh.layer_seconds(own, mesh.load_mesh_parameters())
    breakdown = {cause: seconds * shape.layers for cause, seconds in layer.items()}
    one = sum(breakdown.values())
    breakdown["queueing"] = one * max(0.0, batch / shape.layers - 1.0)
    seconds = one + breakdown["queueing"]
    spread = 1.0 + mesh.TRANSFER_SPREAD
    rate = 1.0 / seconds
    common = _common(question, batch, context, kv_bytes)
    bandwidth = question.devices * device.bandwidth_gbs * 1e9
    return Prediction(
        **common,
        tokens_per_second=rate,
        step_seconds=seconds,
        low=rate / spread,
        high=rate * spread,
        bound=name_bound(breakdown),
        breakdown=breakdown,
        roofline_tokens_per_second=bandwidth / common["bytes_per_step"],
        ceiling_tokens_per_second=rate * spread,
        joules_per_token=_energy(question, rate * batch),
    )


def predict(
    config: Config,
    device: Device | str,
    *,
    precision: str = "bf16",
    batch_size: int = 1,
    context_length: float = 1024,
    devices: int = 1,
    engine: str | None = None,
    speculation: Speculation | None = None,
    layer_split: bool = False,
    kv_bytes_per_value: float = 2.0,
    check_fit: bool = True,
) -> Prediction:
    """Predict the decode rate of a model on a device.

    config: a `k2repro.architecture.ModelConfig`, a `ModelShape`, or a model name.
    device: a `Device` or a name of `load_devices()`. context_length: tokens attended to (the mean
    over a decode). devices: tensor parallel ways, wafers, or cards in turn with layer_split.
    engine: software such as "vllm" or a class of `engines.CLASSES`; None: usual for the device.
    kv_bytes_per_value: 2 for a 16-bit cache. check_fit=False answers although it does not fit.

    Raises K2ReproError: unknown model, device, precision or engine (near names listed); a size
    that is not positive; a format the device cannot multiply; a model that does not fit.
    """
    question = _resolve(config, device, precision, devices, engine, layer_split)
    _check_sizes(
        {"batch_size": batch_size, "context_length": context_length, "kv_bytes_per_value": kv_bytes_per_value}
    )
    batch, context = float(batch_size), float(context_length)
    if question.device.device_class == "wafer":
        answer = _predict_mesh(question, batch, context, kv_bytes_per_value)
    else:
        verified = 1.0 if speculation is None else speculation.draft_tokens + 1.0
        answer = _predict_roofline(question, batch, context, kv_bytes_per_value, verified)
    if check_fit:
        require_fit(answer)
    return answer if speculation is None else add_draft(answer, speculation)


def sweep(
    config: Config,
    device: Device | str,
    *,
    batch_sizes: Any = 1,
    context_lengths: Any = 1024,
    precision: str = "bf16",
    devices: int = 1,
    engine: str | None = None,
    layer_split: bool = False,
    kv_bytes_per_value: float = 2.0,
) -> np.ndarray:
    """Tokens per second per sequence on a whole grid; fits or not.

    batch_sizes, context_lengths: arrays that broadcast, for example shapes (100, 1) and (1, 100).
    Returns an array of the broadcast shape.
    """
    question = _resolve(config, device, precision, devices, engine, layer_split)
    _check_sizes({"batch_sizes": batch_sizes, "context_lengths": context_lengths})
    batch = np.asarray(batch_sizes, dtype=np.float64)
    context = np.asarray(context_lengths, dtype=np.float64)
    if question.device.device_class == "wafer":
        return _sweep_mesh(question, batch, context, kv_bytes_per_value)
    causes = break_down(_workload(question, batch, context, kv_bytes_per_value), load_parameters())
    seconds = functools.reduce(
        np.add, (value for cause, value in causes.items() if cause not in ("queueing", "prefill"))
    )
    return np.broadcast_to(1.0 / seconds, np.broadcast_shapes(batch.shape, context.shape))


def _sweep_mesh(question: _Question, batch: np.ndarray, context: np.ndarray, kv_bytes: float) -> np.ndarray:
    """The mesh on a grid: seconds are linear in the context, so two predictions give all."""
    near = _predict_mesh(question, 1.0, 1.0, kv_bytes).step_seconds
    slope = _predict_mesh(question, 1.0, 2.0, kv_bytes).step_seconds - near
    seconds = near + slope * (context - 1.0)
    return 1.0 / (seconds * np.maximum(1.0, batch / question.shape.layers))


def prefill_time(
    config: Config,
    device: Device | str,
    *,
    prompt_tokens: float,
    precision: str = "bf16",
    batch_size: int = 1,
    devices: int = 1,
    engine: str | None = None,
) -> float:
    """Seconds to process the prompts before the first token (plus one decode step to emit it).

    On a wafer the prompt streams through the pipeline of layers, one token per layer time; that
    is an upper bound (real kernels process blocks of tokens) and no published rate checks it.
    """
    question = _resolve(config, device, precision, devices, engine, False)
    _check_sizes({"prompt_tokens": prompt_tokens, "batch_size": batch_size})
    if question.device.device_class == "wafer":
        step = _predict_mesh(question, 1.0, float(prompt_tokens), 2.0).step_seconds
        return step * (1.0 + batch_size * prompt_tokens / question.shape.layers)
    work = replace(
        _workload(question, float(batch_size), float(prompt_tokens), 2.0), prompt_tokens=float(prompt_tokens)
    )
    # Even a short prompt reads every weight once.
    floor = float(work.weight_bytes / (work.bandwidth * work.ways))
    return max(float(prefill_seconds(work, load_parameters())), floor)
