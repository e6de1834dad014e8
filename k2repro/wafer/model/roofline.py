"""Roofline with overheads: where one decode step spends its time on CPU, Apple, NVIDIA, AMD.

Beyond the two walls of the textbook roofline (memory, arithmetic) a step pays
- *padding*: a matrix instruction computes at least 16 tokens (mma) or 64 (Hopper's wgmma), even
  for one. That puts an H20, with 148 TFLOP/s beside 4.0 TB/s, on its arithmetic wall at batch 1:
  1.4 TB/s of weights in bf16, which had looked unexplained, and twice the speed in fp8;
- the *unit wall* of ggml's vector kernels: an SM takes in eight bytes per cycle, because only so
  many loads are in flight. It is why llama.cpp reaches less than half of an A100's bandwidth and
  nearly all of an RTX 4090's;
- kernel ramp and drain, per layer, in cycles; host work, per step and per sequence;
- two all-reduces per layer with tensor parallelism, a latency and a volume;
- prefill, where a rate was measured end to end, attention growing with the square of the prompt;
- waves, where the key-value cache of the batch does not fit and sequences queue.
Layer split (llama.cpp on several cards) uses one card at a time: `ways` stays 1.

Not in the paper, which compares bandwidths only. LLM-Viewer and GenZ stop at the two walls.
"""

from typing import Any

import numpy as np

from k2repro.wafer.model.engines import COMPILED, EAGER, GGML, GGML_CPU, SERVING, TORCH_CPU, UNCAPTURED
from k2repro.wafer.model.parameters import SOFTWARE, Parameters
from k2repro.wafer.model.workload import Workload

# Sharpness of the corner between memory wall and unit wall (infinite = plain maximum).
_CORNER = 8.0
# Share of link bandwidth in the large all-reduces of prefill.
_BULK_LINK_SHARE = 0.6
_SOFTWARE_NAMES = tuple(f"software.{name}" for name in SOFTWARE)


def _stream_bandwidth(work: Workload, parameters: Parameters) -> Any:
    """Bytes per second of a long stream, before the unit wall."""
    share = np.where(
        work.sustained > 0,
        parameters.value("memory.efficiency_sustained"),
        np.where(
            work.cpu > 0, parameters.value("memory.efficiency_cpu"), parameters.value("memory.efficiency")
        ),
    )
    memory = work.bandwidth * np.where(np.isnan(work.stream_share), share, work.stream_share)
    # Least-recently-used caches keep what fits and thrash soon after: linear from 1x to 1.5x.
    resident = np.clip(3.0 - 2.0 * work.weight_bytes / np.maximum(work.cache_bytes, 1.0), 0.0, 1.0)
    faster = resident * np.maximum(work.cache_bandwidth / work.bandwidth - 1.0, 0.0)
    return memory * (1.0 + faster)


def _unit_bandwidth(work: Workload, parameters: Parameters) -> Any:
    """Bytes per second that all SMs take in with ggml's vector kernels; infinite for others."""
    wall = work.unit_rate * parameters.value("unit.bytes_per_cycle")
    return np.where(work.engine == GGML, wall, np.inf)


def _layer_overhead(work: Workload, parameters: Parameters) -> Any:
    """Seconds per layer that are neither bytes nor arithmetic."""
    software = parameters.choose(_SOFTWARE_NAMES, work.software)
    serving = parameters.value("layer.serving")
    eager = parameters.value("layer.eager")
    packed = work.packed * parameters.value("layer.packed") / work.clock
    uncaptured = np.sqrt(serving * eager) * parameters.value("layer.uncaptured")
    seconds = np.select(
        [
            work.engine == COMPILED,
            work.engine == SERVING,
            work.engine == UNCAPTURED,
            work.engine == EAGER,
            work.engine == GGML,
            work.engine == TORCH_CPU,
            work.engine == GGML_CPU,
        ],
        np.broadcast_arrays(
            parameters.value("layer.compiled") / work.clock * software,
            serving / work.clock * software + packed,
            uncaptured + 0 * work.clock,
            eager + 0 * work.clock,
            parameters.value("layer.ggml") / work.clock,
            parameters.value("layer.torch_cpu") + 0 * work.clock,
            parameters.value("layer.ggml_cpu") + 0 * work.clock,
        ),
        0.0,
    )
    return np.where(np.isnan(work.layer_overhead), seconds, work.layer_overhead)


def _step_overhead(work: Workload, parameters: Parameters, batch: Any) -> Any:
    """Seconds per step of scheduling, sampling and waking workers."""
    is_served = np.isin(work.engine, (SERVING, UNCAPTURED, EAGER))
    queueing = np.isin(work.engine, (SERVING, UNCAPTURED)) * (
        (work.ways > 1) * parameters.value("step.tensor_parallel") + batch * parameters.value("step.sequence")
    )
    seconds = np.where(
        is_served,
        parameters.value("step.serving") + queueing,
        np.where(
            work.engine == COMPILED,
            parameters.value("step.compiled"),
            np.where(work.engine == GGML, parameters.value("step.ggml"), 0.0),
        ),
    )
    return np.where(np.isnan(work.step_overhead), seconds, work.step_overhead)


def _all_reduce(work: Workload, parameters: Parameters, batch: Any) -> Any:
    """Seconds per step of two all-reduces per layer over `ways` devices."""
    volume = 4.0 * (work.ways - 1.0) / work.ways * batch * work.hidden * 2.0
    each = parameters.value("link.latency") + volume / (work.link * parameters.value("link.efficiency"))
    return np.where(work.ways > 1, work.layers * each, 0.0)


def concurrent_sequences(work: Workload) -> Any:
    """How many sequences of the batch decode at once: those whose whole cache fits."""
    room = work.memory - work.stored_bytes
    needed = work.kv_bytes_per_token * (work.prompt_tokens + work.output_tokens)
    held = np.maximum(room / np.maximum(needed, 1.0), 1.0)
    return np.where(np.isfinite(work.memory), np.minimum(work.batch, held), work.batch)


def prefill_seconds(work: Workload, parameters: Parameters) -> Any:
    """Seconds to process the prompts of the whole batch.

    Matrix products cost 2 FLOP per parameter and token, causal attention 2 x layers x width x
    tokens^2; both at their own utilisation, plus the all-reduces of tensor parallelism.
    """
    tokens = work.prompt_tokens
    products = 2.0 * work.block_parameters * tokens / parameters.value("prefill.matrix")
    attention = 2.0 * work.layers * work.attention_width * tokens**2 / parameters.value("prefill.attention")
    reduce = np.where(
        work.ways > 1,
        work.layers
        * 8.0
        * (work.ways - 1.0)
        / work.ways
        * tokens
        * work.hidden
        / (work.link * _BULK_LINK_SHARE),
        0.0,
    )
    return work.batch * ((products + attention) / (work.prefill_peak * work.ways) + reduce)


def break_down(work: Workload, parameters: Parameters) -> dict[str, Any]:
    """Seconds of one step per sequence by cause; they add up to the reciprocal of tokens/s.

    Keys: bandwidth, unit_wall, compute, kv_cache, layer_overhead, step_overhead, communication,
    queueing, prefill. Every value has the broadcast shape of the workload (or (K, n) for K
    parameter variants).
    """
    batch = concurrent_sequences(work)
    stream = work.weight_bytes / (_stream_bandwidth(work, parameters) * work.ways)
    units = work.weight_bytes / (_unit_bandwidth(work, parameters) * work.ways)
    read = (stream**_CORNER + units**_CORNER) ** (1.0 / _CORNER)
    vectors = np.isin(work.engine, (GGML, EAGER))
    tokens = np.maximum(batch * work.pass_tokens, np.where(vectors, 1.0, work.tile))
    arithmetic = (
        2.0
        * work.decode_parameters
        * tokens
        / (work.prefill_peak * work.ways * parameters.value("decode.utilisation"))
    )
    cache = (
        batch
        * work.context
        * work.kv_bytes_per_token
        / (work.bandwidth * work.ways * parameters.value("memory.kv_efficiency"))
    )
    communication = _all_reduce(work, parameters, batch)
    layer = work.layers * _layer_overhead(work, parameters)
    # An eager host runs ahead of the device: only what the device does not hide is waited for.
    device_time = np.maximum(read, arithmetic) + cache + communication
    layer = np.where(work.engine == EAGER, np.maximum(layer - device_time, 0.0), layer)
    step = _step_overhead(work, parameters, batch)
    waves = work.batch / batch - 1.0
    queueing = waves * (device_time + layer + step)
    prefill = np.where(
        work.end_to_end > 0, prefill_seconds(work, parameters) / np.maximum(work.output_tokens, 1.0), 0.0
    )
    return {
        "bandwidth": stream,
        "unit_wall": read - stream,
        "compute": np.maximum(arithmetic - read, 0.0),
        "kv_cache": cache,
        "layer_overhead": layer,
        "step_overhead": step,
        "communication": communication,
        "queueing": queueing,
        "prefill": prefill,
    }


def step_seconds(work: Workload, parameters: Parameters) -> Any:
    """Seconds per token of one sequence: the sum of `break_down`."""
    total = 0.0
    for seconds in break_down(work, parameters).values():
        total = total + seconds
    return total


def roofline_rate(work: Workload) -> Any:
    """Tokens per second per sequence that memory and arithmetic allow at best, no overhead at all.

    A decode rate above it is impossible without a draft (or the stated numbers are wrong). A
    model that fits a known cache is held against the cache's bandwidth.
    """
    in_cache = (work.weight_bytes < work.cache_bytes) & (work.cache_bandwidth > 0)
    bandwidth = np.where(in_cache, np.maximum(work.cache_bandwidth, work.bandwidth), work.bandwidth)
    bytes_read = work.weight_bytes + work.batch * work.context * work.kv_bytes_per_token
    return work.ways * bandwidth / bytes_read
