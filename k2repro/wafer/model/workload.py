"""What is decoded, on what: the numbers that the roofline needs, in four groups.

A `Workload` is built from a table of measured rates (`calibration/rates.py`), from one call of
`predict`, or from a sweep. Every number may be an array; all fields broadcast against each other,
so a 100 x 100 sweep is one evaluation and a table of 600 rows is another.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2repro.wafer.model import engines
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.engines import Engine
from k2repro.wafer.model.parameters import REFERENCE_CLOCK_GHZ, FloatArray
from k2repro.wafer.model.precisions import Precision
from k2repro.wafer.model.shapes import ModelShape

Values = float | FloatArray
Codes = int | NDArray[np.intp]
# Which share of the nominal bandwidth applies: index into roofline.MEMORY_SHARES.
DEVICE_MEMORY, SHARED_MEMORY, CPU_MEMORY, SUSTAINED = range(4)
# FLOP per byte of a part for which nobody publishes a peak: low enough never to be the bound.
_FALLBACK_INTENSITY = 80.0
_FALLBACK_LINK_GBS = 32.0
_CPU_THREADS_OF_A_BARRIER = 8.0


@dataclass(frozen=True)
class ModelWork:
    """What one step of the model reads and computes. Bytes of all devices together.

    weight_bytes: read by a step of one token; expert_bytes: the part of it in routed experts, 0 for
    a dense model; expert_share: experts a token over experts, 1 for a dense model. stored_bytes:
    resident, with all experts and the input embedding. kv_bytes_per_token: all layers. windowed:
    share of the cache that only looks back `window` tokens. kv_ways: devices that can share the
    cache of one sequence. decode_parameters, block_parameters: multiplied per token. state_bytes:
    recurrent state of one sequence, read and written by every step.
    """

    weight_bytes: Values
    expert_bytes: Values
    expert_share: Values
    stored_bytes: Values
    kv_bytes_per_token: Values
    window: Values
    windowed: Values
    kv_ways: Values
    layers: Values
    hidden: Values
    attention_width: Values
    decode_parameters: Values
    block_parameters: Values
    state_bytes: Values = 0.0


@dataclass(frozen=True)
class Request:
    """What is asked of it. context: mean tokens attended to during decode; prompt_tokens,
    output_tokens: per sequence; end_to_end: 1 where the rate divides by prefill plus decode time;
    pass_tokens: tokens that one pass verifies per sequence."""

    batch: Values
    context: Values
    prompt_tokens: Values = 0.0
    output_tokens: Values = 0.0
    end_to_end: Values = 0.0
    pass_tokens: Values = 1.0


@dataclass(frozen=True)
class Machine:
    """The devices, SI units per device and second.

    ways: tensor parallelism. node: devices with a fast link between them. memory_kind: see above;
    stream_share: measured share of the bandwidth that decode streams (nan: fitted). unit_rate: SMs
    x clock, inf when unknown; core_rate: the same of a CPU, in cores with 256-bit vectors. clock:
    against the reference. tile: tokens that a matrix product is padded to. memory: usable bytes of
    all devices, inf when unknown. cache_bytes, cache_bandwidth: last-level cache, 0 when unknown.
    layer_overhead, step_overhead: measured seconds (nan: fitted). threads: of a CPU, in barriers
    of eight. peak_known: 0 where peaks are a stand-in.
    """

    ways: Values
    node: Values
    bandwidth: Values
    memory_kind: Codes
    stream_share: Values
    unit_rate: Values
    core_rate: Values
    clock: Values
    threads: Values
    tile: Values
    peak_flops: Values
    prefill_peak: Values
    peak_known: Values
    link: Values
    memory: Values
    cache_bytes: Values
    cache_bandwidth: Values
    layer_overhead: Values
    step_overhead: Values


@dataclass(frozen=True)
class Software:
    """Codes of engine class and software; packed: 1 for formats that serving engines unpack;
    narrow: 1 for fp8 and fp4 arithmetic."""

    engine: Codes
    software: Codes
    packed: Values
    narrow: Values


@dataclass(frozen=True)
class Workload:
    """One decode step, or many of the same kind at once."""

    model: ModelWork
    request: Request
    machine: Machine
    software: Software


def _tile(device: Device, precision: Precision) -> float:
    """Tokens that a product is padded to: Hopper's wgmma takes 64 rows of a native format, the
    older mma, which unpacking kernels use, 16."""
    if precision.storage_only:
        return float(min(device.matrix_tile, 16))
    return float(device.matrix_tile)


def usable_memory(device: Device, engine: Engine) -> float:
    """Bytes of one device that weights and cache may take.

    Data sheets of GPUs print GiB as GB. Serving engines take 90 % of that less about 2 GB per
    device for activations and graphs; ggml takes nearly all; macOS gives a GPU three quarters.
    """
    total = device.capacity_gb * 1e9
    if device.device_class == "gpu":
        serving = engine.class_code in (engines.SERVING, engines.UNCAPTURED, engines.COMPILED)
        return max(0.965 * total - 2e9, 0.8 * total) if serving else 1.03 * total
    return {"wafer": 1.0, "lpu": 1.0, "soc": 0.75}.get(device.device_class, 0.9) * total


def _memory_kind(device: Device, bandwidth_gbs: float) -> int:
    if device.sustained_gbs is not None and device.sustained_gbs == bandwidth_gbs:
        return SUSTAINED
    if device.device_class == "cpu":
        return CPU_MEMORY
    shared = device.device_class == "soc" or device.memory_type.upper().startswith("LPDDR")
    return SHARED_MEMORY if shared else DEVICE_MEMORY


def device_work(
    device: Device, bandwidth_gbs: float, precision: Precision, *, ways: Values, memory: float
) -> Machine:
    """The group that the device decides; the bandwidth may come from a row."""
    bandwidth = bandwidth_gbs * 1e9
    units, clock = device.execution_units, device.clock_ghz
    counted = bool(units and clock)
    cycles = (units or 0) * (clock or 0.0) * 1e9
    is_gpu, is_cpu = device.device_class in ("gpu", "soc"), device.device_class == "cpu"
    peak = device.peak_flops(precision)
    return Machine(
        ways=ways,
        node=float(device.node_devices),
        bandwidth=bandwidth,
        memory_kind=_memory_kind(device, bandwidth_gbs),
        stream_share=np.nan if device.stream_share is None else device.stream_share,
        unit_rate=cycles if is_gpu and counted else np.inf,
        core_rate=cycles * device.vector_bits / 256 if is_cpu and counted else np.inf,
        clock=clock / REFERENCE_CLOCK_GHZ if is_gpu and clock else 1.0,
        threads=max(1.0, units / _CPU_THREADS_OF_A_BARRIER) if is_cpu and units else 1.0,
        tile=_tile(device, precision),
        peak_flops=device.peak_bf16_flops or bandwidth * _FALLBACK_INTENSITY,
        prefill_peak=peak or bandwidth * _FALLBACK_INTENSITY,
        peak_known=float(peak is not None),
        link=(device.link_gbs or _FALLBACK_LINK_GBS) * 1e9,
        memory=memory,
        cache_bytes=(device.cache_mb or 0.0) * 1e6,
        cache_bandwidth=(device.cache_gbs or 0.0) * 1e9,
        layer_overhead=np.nan if device.layer_overhead_s is None else device.layer_overhead_s,
        step_overhead=np.nan if device.step_overhead_s is None else device.step_overhead_s,
    )


def model_work(shape: ModelShape, bytes_read: "WeightBytes", kv_bytes_per_token: float) -> ModelWork:
    """The group that the model and its format decide."""
    experts = shape.experts
    return ModelWork(
        weight_bytes=bytes_read.read,
        expert_bytes=bytes_read.experts,
        expert_share=1.0 if experts is None else experts.per_token / experts.count,
        stored_bytes=bytes_read.stored,
        kv_bytes_per_token=kv_bytes_per_token,
        window=float(shape.window or 0),
        windowed=shape.windowed_share,
        kv_ways=float(shape.kv_heads if shape.kv_width is None else 1),
        layers=float(shape.layers),
        hidden=float(shape.hidden),
        attention_width=float(shape.q_heads * shape.head_dim) * shape.attending_layers / shape.layers,
        decode_parameters=float(shape.decode_parameters),
        block_parameters=float(shape.active_block_parameters),
        state_bytes=shape.state_bytes,
    )


def software_work(engine: Engine, precision: Precision) -> Software:
    """The group that engine and number format decide."""
    return Software(
        engine=engine.class_code,
        software=engine.software_code,
        packed=float(precision.kernel in ("packed8", "packed4")),
        narrow=float(precision.kernel == "native8"),
    )


@dataclass(frozen=True)
class WeightBytes:
    """read: by a step of one token; experts: the routed part of it; stored: resident, everything."""

    read: float
    experts: float
    stored: float


def weight_bytes(shape: ModelShape, precision: Precision) -> WeightBytes:
    """Bytes of a model in a format. Formats that name their expert bits keep the rest in 16 bit."""
    expert_bits = precision.bits
    other_bits = precision.bits if precision.dense_bits is None else precision.dense_bits
    if shape.experts is None:
        other_bits = precision.bits
    head = shape.head_parameters * precision.head_bits / 8
    active = shape.active_expert_parameters * expert_bits / 8
    shared = (shape.active_block_parameters - shape.active_expert_parameters) * other_bits / 8
    resident = shape.expert_parameters * expert_bits / 8
    embedding = 0.0 if shape.tied else head
    return WeightBytes(active + shared + head, active, resident + shared + head + embedding)


def _stack_group(rows: Sequence[Any]) -> Any:
    columns = {}
    for field in dataclasses.fields(rows[0]):
        values = [getattr(row, field.name) for row in rows]
        columns[field.name] = np.array(values, dtype=np.intp if field.type is Codes else np.float64)
    return type(rows[0])(**columns)


def stack(rows: Sequence[Workload]) -> Workload:
    """One workload of arrays, shape (n,), from n workloads of single numbers."""
    return Workload(**{group: _stack_group([getattr(row, group) for row in rows]) for group in vars(rows[0])})


def select(workload: Workload, mask: NDArray[np.bool_]) -> Workload:
    """The rows of a stacked workload that the mask keeps."""
    groups = {
        name: dataclasses.replace(group, **{field: values[mask] for field, values in vars(group).items()})
        for name, group in vars(workload).items()
    }
    return Workload(**groups)
