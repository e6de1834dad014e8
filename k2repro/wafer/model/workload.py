"""What is decoded, on what: the numbers that the roofline needs, one array per quantity.

A `Workload` is built from a table of measured rates (`rates.py`), from one call of `predict`, or
from a sweep. All fields broadcast against each other, so a 100 x 100 sweep is one evaluation.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2repro.wafer.model import engines
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.engines import Engine
from k2repro.wafer.model.parameters import REFERENCE_CLOCK_GHZ
from k2repro.wafer.model.precisions import Precision
from k2repro.wafer.model.shapes import ModelShape

# FLOP per byte of a part for which nobody publishes a peak: low enough never to be the bound.
_FALLBACK_INTENSITY = 80.0
_FALLBACK_LINK_GBS = 32.0


@dataclass(frozen=True)
class Workload:
    """Decode work in SI units (bytes, seconds, FLOP); every field broadcasts.

    weight_bytes: read once per step; stored_bytes: resident (adds the input embedding).
    context: mean tokens attended to during decode; prompt_tokens, output_tokens: per sequence.
    end_to_end: 1 where the rate divides by prefill plus decode time. ways: tensor parallelism.
    bandwidth, peak_flops, prefill_peak, link: per device, per second. sustained: 1 where the
    bandwidth was measured; stream_share: share of it that decode streams (nan: fitted).
    unit_rate: SMs x clock (cycles per second of all SMs), inf when unknown. clock: against the
    reference. tile: tokens that a matrix product is padded to. memory: usable bytes of all
    devices, inf when unknown. engine, software: codes. packed: 1 for formats that are unpacked.
    cache_bytes, cache_bandwidth: last-level cache, 0 when unknown. layer_overhead, step_overhead:
    measured seconds (nan: fitted). pass_tokens: tokens that one pass verifies per sequence.
    """

    weight_bytes: Any
    stored_bytes: Any
    kv_bytes_per_token: Any
    batch: Any
    context: Any
    prompt_tokens: Any
    output_tokens: Any
    end_to_end: Any
    layers: Any
    hidden: Any
    attention_width: Any
    decode_parameters: Any
    block_parameters: Any
    ways: Any
    bandwidth: Any
    sustained: Any
    stream_share: Any
    cpu: Any
    unit_rate: Any
    clock: Any
    tile: Any
    peak_flops: Any
    prefill_peak: Any
    link: Any
    memory: Any
    engine: Any
    software: Any
    packed: Any
    cache_bytes: Any
    cache_bandwidth: Any
    layer_overhead: Any
    step_overhead: Any
    pass_tokens: Any = 1.0


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


def device_fields(device: Device, bandwidth_gbs: float, precision: Precision) -> dict[str, Any]:
    """The fields of a workload that the device decides; the bandwidth may come from a row."""
    bandwidth = bandwidth_gbs * 1e9
    sustained = device.sustained_gbs is not None and device.sustained_gbs == bandwidth_gbs
    units, clock = device.execution_units, device.clock_ghz
    is_gpu = device.device_class in ("gpu", "soc")
    peak = device.peak_bf16_flops or bandwidth * _FALLBACK_INTENSITY
    narrow = device.peak_tflops.get(precision.arithmetic)
    native = precision.kernel == "native8" and narrow is not None
    return {
        "bandwidth": bandwidth,
        "sustained": float(sustained),
        "stream_share": np.nan if device.stream_share is None else device.stream_share,
        "cpu": float(device.device_class == "cpu"),
        "unit_rate": units * clock * 1e9 if is_gpu and units and clock else np.inf,
        "clock": clock / REFERENCE_CLOCK_GHZ if is_gpu and clock else 1.0,
        "tile": _tile(device, precision),
        "peak_flops": peak,
        "prefill_peak": narrow * 1e12 if native and narrow else peak,
        "link": (device.link_gbs or _FALLBACK_LINK_GBS) * 1e9,
        "cache_bytes": (device.cache_mb or 0.0) * 1e6,
        "cache_bandwidth": (device.cache_gbs or 0.0) * 1e9,
        "layer_overhead": np.nan if device.layer_overhead_s is None else device.layer_overhead_s,
        "step_overhead": np.nan if device.step_overhead_s is None else device.step_overhead_s,
    }


def shape_fields(shape: ModelShape) -> dict[str, Any]:
    """The fields of a workload that the model decides."""
    return {
        "layers": float(shape.layers),
        "hidden": float(shape.hidden),
        "attention_width": float(shape.q_heads * shape.head_dim),
        "decode_parameters": float(shape.decode_parameters),
        "block_parameters": float(shape.block_parameters),
    }


def engine_fields(engine: Engine, precision: Precision) -> dict[str, Any]:
    """The fields of a workload that engine and number format decide."""
    return {
        "engine": engine.class_code,
        "software": engine.software_code,
        "packed": float(precision.kernel in ("packed8", "packed4")),
    }


def weight_bytes(shape: ModelShape, precision: Precision) -> tuple[float, float]:
    """Bytes read per step, and bytes resident, of a model in a format."""
    read = (shape.block_parameters * precision.bits + shape.head_parameters * precision.head_bits) / 8
    embedding = 0.0 if shape.tied else shape.head_parameters * precision.head_bits / 8
    return read, read + embedding


def stack(rows: list[dict[str, Any]]) -> Workload:
    """One workload of arrays from a list of rows with scalar fields."""
    integers = ("engine", "software")
    columns = {
        key: np.array([row[key] for row in rows], dtype=np.intp if key in integers else np.float64)
        for key in rows[0]
    }
    return Workload(**columns)


def select(workload: Workload, mask: NDArray[np.bool_]) -> Workload:
    """The rows of a stacked workload that the mask keeps."""
    arrays = {key: values for key, values in vars(workload).items() if np.ndim(values)}
    return replace(workload, **{key: values[mask] for key, values in arrays.items()})
