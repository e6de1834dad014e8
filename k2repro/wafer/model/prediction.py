"""`predict`: how fast a model decodes on a device, how sure that is, and what it waits for.

One function for CPUs, Apple, NVIDIA, AMD (roofline with overheads, `roofline.py`) and for wafers
(hops across the mesh, `mesh.py`). `sweep` answers a grid of batches and contexts in one vectorised
evaluation, `predict_prefill` gives the time to the first token.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.wafer.model.answers import Prediction, add_draft, require_fit
from k2repro.wafer.model.breakdown import name_bound, total_seconds
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.intervals import load_widths, uncertainty_scale
from k2repro.wafer.model.names import Config
from k2repro.wafer.model.parameters import load_parameters, read_frozen
from k2repro.wafer.model.question import Question, check_sizes, resolve
from k2repro.wafer.model.roofline import break_down, prefill_seconds, roofline_rate
from k2repro.wafer.model.speculation import Speculation
from k2repro.wafer.model.wafer_prediction import predict_mesh, prefill_seconds_mesh, sweep_mesh
from k2repro.wafer.model.workload import Workload

# Published prefill rates lie within this factor of the formula, kernels that unpack the furthest;
# declared, not calibrated.
_PREFILL_SPREAD = 2.5


def _decode_causes(work: Workload) -> dict[str, Any]:
    """Queueing and prefill belong to measured tables, not to a decode step somebody asks for."""
    parts = break_down(work, load_parameters())
    return {cause: value for cause, value in parts.items() if cause not in ("queueing", "prefill")}


def _predict_roofline(question: Question, batch: float, context: float, pass_tokens: float) -> Prediction:
    work = question.workload(batch, context, pass_tokens)
    breakdown = {cause: float(seconds) for cause, seconds in _decode_causes(work).items()}
    seconds = total_seconds(breakdown)
    width = load_widths().choose(
        question.family,
        source_known=False,
        engine_known=question.engine.known,
        device_known=bool(question.device.source),
    )
    spread = math.exp(width * float(uncertainty_scale(breakdown)))
    rate = 1.0 / seconds
    roofline = float(roofline_rate(work))
    return Prediction(
        **question.common_fields(batch, context),
        tokens_per_second=rate,
        step_seconds=seconds,
        low=rate / spread,
        high=min(rate * spread, max(roofline, rate)),
        bound=name_bound(breakdown),
        breakdown=breakdown,
        roofline_tokens_per_second=roofline,
        ceiling_tokens_per_second=roofline,
        joules_per_token=question.energy(rate * batch),
        simple_tokens_per_second=_simple_rate(work, question.family),
    )


def _simple_rate(work: Workload, family: str) -> float:
    """The simple model: bytes over bandwidth, and one share for the family."""
    share = read_frozen()["simple"].get(family, math.inf)
    moved = (
        work.model.weight_bytes + work.request.batch * work.request.context * work.model.kv_bytes_per_token
    )
    return float(share * work.machine.ways * work.machine.bandwidth / moved)


def _answer(question: Question, batch: float, context: float, tokens: float) -> Prediction:
    """A pass that takes `tokens` tokens of every sequence."""
    if question.device.device_class == "wafer":
        return predict_mesh(question, batch, context, tokens)
    return _predict_roofline(question, batch, context, tokens)


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
    mesh_side: float | None = None,
    check_fit: bool = True,
) -> Prediction:
    """Predict the decode rate of a model on a device.

    config: a `k2repro.architecture.ModelConfig`, a `ModelShape`, or a model name.
    device: a `Device` or a name of `load_devices()`. context_length: tokens attended to (the mean
    over a decode). devices: tensor parallel ways, wafers, or cards in turn with layer_split.
    engine: software such as "vllm" or a class of `engines.CLASSES`; None: usual for the device.
    kv_bytes_per_value: 2 for a 16-bit cache. mesh_side: cores along a wafer's region; None: the
    declared placement. check_fit=False answers although it does not fit.

    Raises K2ReproError: unknown model, device, precision or engine (near names listed); a size
    that is not positive; a format the device cannot multiply; a model that does not fit.
    """
    question = resolve(
        config,
        device,
        precision=precision,
        devices=devices,
        engine=engine,
        layer_split=layer_split,
        kv_bytes=kv_bytes_per_value,
        mesh_side=mesh_side,
    )
    check_sizes({"batch_size": batch_size, "context_length": context_length})
    batch, context = float(batch_size), float(context_length)
    verified = 1.0 if speculation is None else speculation.draft_tokens + 1.0
    answer = _answer(question, batch, context, verified)
    if check_fit:
        require_fit(answer)
    if speculation is None:
        return answer
    return add_draft(answer, speculation, _answer(question, batch, context, 1.0).step_seconds)


def sweep(
    config: Config,
    device: Device | str,
    *,
    batch_sizes: Any = 1,
    context_lengths: Any = 1024,
    precision: str = "bf16",
    devices: int = 1,
    engine: str | None = None,
) -> np.ndarray:
    """Tokens per second per sequence on a whole grid; fits or not.

    batch_sizes, context_lengths: arrays that broadcast, for example shapes (100, 1) and (1, 100).
    Returns an array of the broadcast shape.
    """
    question = resolve(config, device, precision=precision, devices=devices, engine=engine)
    check_sizes({"batch_sizes": batch_sizes, "context_lengths": context_lengths})
    batch = np.asarray(batch_sizes, dtype=np.float64)
    context = np.asarray(context_lengths, dtype=np.float64)
    if question.device.device_class == "wafer":
        return sweep_mesh(question, batch, context)
    seconds = total_seconds(_decode_causes(question.workload(batch, context)))
    return np.broadcast_to(1.0 / seconds, np.broadcast_shapes(batch.shape, context.shape))


@dataclass(frozen=True)
class Prefill:
    """Seconds until the prompts are processed; low, high: declared band."""

    seconds: float
    low: float
    high: float


def predict_prefill(
    config: Config,
    device: Device | str,
    *,
    prompt_tokens: float,
    precision: str = "bf16",
    batch_size: int = 1,
    devices: int = 1,
    engine: str | None = None,
) -> Prefill:
    """Time to process the prompts before the first token (plus one decode step to emit it).

    Raises K2ReproError where nobody publishes the arithmetic of the device.
    """
    question = resolve(config, device, precision=precision, devices=devices, engine=engine)
    check_sizes({"prompt_tokens": prompt_tokens, "batch_size": batch_size})
    batch, prompt = float(batch_size), float(prompt_tokens)
    if question.device.device_class == "wafer":
        return Prefill(*prefill_seconds_mesh(question, batch, prompt))
    if question.device.peak_flops(question.precision) is None:
        raise K2ReproError(
            f"{question.device.name}: nobody publishes its peak arithmetic in "
            f"{question.precision.arithmetic}, so a prefill time would be made up; "
            "describe the device with its peak (--peak, or Device)"
        )
    work = question.workload(batch, prompt)
    # Even a short prompt reads every weight once.
    floor = float(work.model.weight_bytes / (work.machine.bandwidth * work.machine.ways))
    request = replace(work.request, prompt_tokens=prompt)
    seconds = max(float(prefill_seconds(replace(work, request=request), load_parameters())), floor)
    return Prefill(seconds, max(seconds / _PREFILL_SPREAD, floor), seconds * _PREFILL_SPREAD)
