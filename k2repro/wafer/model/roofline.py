"""Roofline with overheads: where one decode step spends its time on CPU, Apple, NVIDIA, AMD.

Beyond the two walls of the textbook roofline (memory, arithmetic) a step pays
- *padding*: a matrix instruction computes at least 16 tokens (mma) or 64 (Hopper's wgmma), even
  for one. That puts an H20, with 148 TFLOP/s beside 4.0 TB/s, on its arithmetic wall at batch 1:
  1.4 TB/s of weights in bf16, which had looked unexplained, and twice the speed in fp8;
- the *unit wall* of ggml's vector kernels: an SM takes in eight bytes per cycle, because only so
  many loads are in flight; a CPU core unpacks so many per cycle. It is why llama.cpp reaches less
  than half of an A100's bandwidth, and why a small ARM board misses its own;
- ggml's vector kernels *for several sequences*, which multiply outside the matrix units;
- kernel ramp and drain, per layer, in cycles; host work, per step and per sequence;
- two all-reduces per layer with tensor parallelism, a latency and a volume, dearer between nodes;
- *experts*: a batch wakes more experts than a sequence, fewer than if all chose independently;
- prefill, where a rate was measured end to end, attention growing with the square of the prompt;
- waves, where the key-value cache of the batch does not fit and sequences queue.
Layer split (llama.cpp on several cards) uses one card at a time: `ways` stays 1.

Not in the paper, which compares bandwidths only. LLM-Viewer and GenZ stop at the two walls.
"""

from typing import Any

import numpy as np

from k2repro.wafer.model.breakdown import total_seconds
from k2repro.wafer.model.engines import (
    CLASSES,
    COMPILED,
    EAGER,
    GGML,
    GGML_CPU,
    GGML_GRAPH,
    SERVING,
    TORCH_CPU,
    UNCAPTURED,
)
from k2repro.wafer.model.parameters import SOFTWARE, Parameters
from k2repro.wafer.model.workload import Machine, ModelWork, Workload

# Sharpness of the corner between memory wall and unit wall (infinite = plain maximum).
_CORNER = 8.0
# Share of link bandwidth in the large all-reduces of prefill.
_BULK_LINK_SHARE = 0.6
# GB/s between nodes where the data sheet names only the link inside one: 400 Gb/s a device.
_NODE_LINK = 50e9
# Host work of a serving engine grows with its sequences up to here; then it overlaps the device.
_HOST_SEQUENCES = 256.0
# llama.cpp multiplies up to eight sequences with vector kernels; the next ones cost less.
_VECTOR_SEQUENCES, _MATRIX_SHARE = 8.0, 0.4
MEMORY_SHARES = (
    "memory.efficiency",
    "memory.efficiency_lpddr",
    "memory.efficiency_cpu",
    "memory.efficiency_sustained",
)
_SOFTWARE_NAMES = tuple(f"software.{name}" for name in SOFTWARE)
# By engine class, in the order of CLASSES: overhead of a layer, of a step, and what applies to it.
_LAYER_NAMES = tuple(f"layer.{name.replace('-', '_')}" for name in CLASSES)
_STEP_NAMES = (
    "step.compiled",
    "step.serving",
    "step.serving",
    "step.ggml",
    "step.serving",
    "step.ggml",
    "step.ggml",
    "step.ggml",
    "step.compiled",
)


def _of(*codes: int) -> Any:
    """1.0 for these engine classes, 0.0 for the others, to be indexed by a class code."""
    return np.array([float(code in codes) for code in range(len(CLASSES))])


_CLOCKED = _of(COMPILED, SERVING, GGML, GGML_GRAPH)
_SERVES = _of(SERVING, UNCAPTURED)
_HAS_STEP = 1.0 - _of(TORCH_CPU, GGML_CPU)
_IS_GGML = _of(GGML, GGML_GRAPH)
_IS_GGML_CPU = _of(GGML_CPU)
_IS_VECTOR = _of(GGML, GGML_GRAPH, GGML_CPU, EAGER)
_IS_EAGER = _of(EAGER)
_IS_UNCAPTURED = _of(UNCAPTURED)
_IS_SERVING = _of(SERVING)


def expert_growth(model: ModelWork, tokens: Any, independence: Any) -> Any:
    """Experts that `tokens` tokens touch, over those of one token; 1 for a dense model.

    Uniform, independent choice would touch E (1 - (1 - k/E)^n) of E experts. Sequences of a batch
    share experts: n = tokens^independence.
    """
    share = np.minimum(model.expert_share, 1.0 - 1e-12)
    touched = (1.0 - (1.0 - share) ** (np.maximum(tokens, 1.0) ** independence)) / share
    return np.where(model.expert_bytes > 0, touched, 1.0)


def bytes_read(model: ModelWork, tokens: Any, independence: Any) -> Any:
    """Weight bytes that a step of so many tokens reads."""
    growth = expert_growth(model, tokens, independence)
    return model.weight_bytes + model.expert_bytes * (growth - 1.0)


def attended(model: ModelWork, context: Any) -> Any:
    """Tokens that attention reads on average: windowed layers stop at their window."""
    return context - model.windowed * np.maximum(context - model.window, 0.0)


def _stream_bandwidth(work: Workload, parameters: Parameters, read: Any) -> Any:
    """Bytes per second of a long stream, before the unit wall."""
    machine = work.machine
    share = parameters.choose(MEMORY_SHARES, np.asarray(machine.memory_kind))
    narrow = np.where(work.software.narrow > 0, parameters.value("memory.native_narrow"), 1.0)
    memory = machine.bandwidth * np.where(
        np.isnan(machine.stream_share), share * narrow, machine.stream_share
    )
    # Least-recently-used caches keep what fits and thrash soon after: linear from 1x to 1.5x.
    resident = np.clip(3.0 - 2.0 * read / np.maximum(machine.cache_bytes, 1.0), 0.0, 1.0)
    faster = resident * np.maximum(machine.cache_bandwidth / machine.bandwidth - 1.0, 0.0)
    return memory * (1.0 + faster)


def _unit_bandwidth(work: Workload, parameters: Parameters) -> Any:
    """Bytes per second that all SMs or cores take in with ggml's kernels; infinite for others."""
    engine, machine = work.software.engine, work.machine
    gpu = machine.unit_rate * parameters.value("unit.bytes_per_cycle")
    cpu = machine.core_rate * parameters.value("unit.cpu_bytes_per_cycle")
    return np.where(_IS_GGML[engine] > 0, gpu, np.where(_IS_GGML_CPU[engine] > 0, cpu, np.inf))


def _layer_overhead(work: Workload, parameters: Parameters) -> Any:
    """Seconds per layer that are neither bytes nor arithmetic."""
    engine, machine, software = np.asarray(work.software.engine), work.machine, work.software
    own = parameters.choose(_SOFTWARE_NAMES, np.asarray(software.software))
    clocked = _CLOCKED[engine]
    seconds = parameters.choose(_LAYER_NAMES, engine)
    between = np.sqrt(parameters.value("layer.serving") * parameters.value("layer.eager"))
    seconds = seconds * np.where(_IS_UNCAPTURED[engine] > 0, between, 1.0)
    seconds = seconds * np.where(_IS_GGML_CPU[engine] > 0, machine.threads, 1.0)
    seconds = seconds * np.where(clocked > 0, own / machine.clock, 1.0)
    packed = software.packed * parameters.value("layer.packed") / machine.clock
    seconds = seconds + _IS_SERVING[engine] * packed
    seconds = seconds * (1.0 + (work.model.expert_bytes > 0) * parameters.value("layer.experts"))
    return np.where(np.isnan(machine.layer_overhead), seconds, machine.layer_overhead)


def _step_overhead(work: Workload, parameters: Parameters, batch: Any) -> Any:
    """Seconds per step of scheduling, sampling and waking workers."""
    engine, machine = np.asarray(work.software.engine), work.machine
    sequences = batch / (1.0 + batch / _HOST_SEQUENCES)
    serving = _SERVES[engine] * (
        (machine.ways > 1) * parameters.value("step.tensor_parallel")
        + sequences * parameters.value("step.sequence")
    )
    seconds = _HAS_STEP[engine] * parameters.choose(_STEP_NAMES, engine) + serving
    return np.where(np.isnan(machine.step_overhead), seconds, machine.step_overhead)


def _all_reduce(work: Workload, parameters: Parameters, tokens: Any) -> Any:
    """Seconds per step of two all-reduces per layer over `ways` devices, in nodes of `node`."""
    machine, model = work.machine, work.model
    efficiency = parameters.value("link.efficiency")
    volume = 4.0 * tokens * model.hidden * 2.0
    inside = np.minimum(machine.ways, machine.node)
    nodes = np.maximum(machine.ways / machine.node, 1.0)
    each = parameters.value("link.latency") + volume * (inside - 1.0) / inside / (machine.link * efficiency)
    beyond = np.log2(nodes) * parameters.value("link.node_latency") + volume * (nodes - 1.0) / nodes / (
        np.minimum(machine.link, _NODE_LINK) * efficiency
    )
    return np.where(machine.ways > 1, model.layers * (each + beyond), 0.0)


def concurrent_sequences(work: Workload) -> Any:
    """How many sequences of the batch decode at once: those whose whole cache fits."""
    request, model, memory = work.request, work.model, work.machine.memory
    room = memory - model.stored_bytes
    needed = model.kv_bytes_per_token * (request.prompt_tokens + request.output_tokens)
    held = np.maximum(room / np.maximum(needed, 1.0), 1.0)
    return np.where(np.isfinite(memory), np.minimum(request.batch, held), request.batch)


def prefill_seconds(work: Workload, parameters: Parameters) -> Any:
    """Seconds to process the prompts of the whole batch.

    Matrix products cost 2 FLOP per parameter and token, causal attention 2 x layers x width x
    tokens^2; both at their own utilisation, plus the all-reduces of tensor parallelism.
    """
    model, machine, tokens = work.model, work.machine, work.request.prompt_tokens
    products = 2.0 * model.block_parameters * tokens / parameters.value("prefill.matrix")
    attention = 2.0 * model.layers * model.attention_width * tokens**2 / parameters.value("prefill.attention")
    volume = model.layers * 8.0 * (machine.ways - 1.0) / machine.ways * tokens * model.hidden
    reduce = np.where(machine.ways > 1, volume / (machine.link * _BULK_LINK_SHARE), 0.0)
    return work.request.batch * ((products + attention) / (machine.prefill_peak * machine.ways) + reduce)


def _arithmetic(work: Workload, parameters: Parameters, tokens: Any) -> tuple[Any, Any]:
    """Seconds of matrix products (hidden behind the reads), and of vector kernels on top of them."""
    engine, machine = np.asarray(work.software.engine), work.machine
    vector = _IS_VECTOR[engine]
    padded = np.maximum(tokens, np.where(vector > 0, 1.0, machine.tile))
    peak = machine.prefill_peak * machine.ways * parameters.value("decode.utilisation")
    products = 2.0 * work.model.decode_parameters * padded / peak
    outside = machine.unit_rate * machine.ways * parameters.value("unit.vector_flops")
    beyond = np.maximum(tokens - _VECTOR_SEQUENCES, 0.0) * _MATRIX_SHARE
    extra = (
        2.0 * work.model.decode_parameters * (np.minimum(tokens, _VECTOR_SEQUENCES) - 1.0 + beyond) / outside
    )
    return products, _IS_GGML[engine] * extra


def break_down(work: Workload, parameters: Parameters) -> dict[str, Any]:
    """Seconds of one step per sequence by cause; they add up to the reciprocal of tokens/s.

    Keys: bandwidth, unit_wall, compute, kv_cache, layer_overhead, step_overhead, communication,
    queueing, prefill. Every value has the broadcast shape of the workload (or (K, n) for K
    parameter variants).
    """
    request, machine, model = work.request, work.machine, work.model
    batch = concurrent_sequences(work)
    tokens = batch * request.pass_tokens
    weights = bytes_read(model, tokens, parameters.value("experts.independence"))
    stream = weights / (_stream_bandwidth(work, parameters, weights) * machine.ways)
    units = weights / (_unit_bandwidth(work, parameters) * machine.ways)
    read = (stream**_CORNER + units**_CORNER) ** (1.0 / _CORNER)
    products, extra = _arithmetic(work, parameters, tokens)
    cache = batch * (attended(model, request.context) * model.kv_bytes_per_token + 2.0 * model.state_bytes)
    kv_ways = np.minimum(machine.ways, model.kv_ways)
    cache = cache / (machine.bandwidth * kv_ways * parameters.value("memory.kv_efficiency"))
    communication = _all_reduce(work, parameters, tokens)
    layer = model.layers * _layer_overhead(work, parameters)
    # An eager host runs ahead of the device: only what the device does not hide is waited for.
    device_time = np.maximum(read, products) + extra + cache + communication
    layer = np.where(_IS_EAGER[work.software.engine] > 0, np.maximum(layer - device_time, 0.0), layer)
    step = _step_overhead(work, parameters, batch)
    prefill = np.where(
        request.end_to_end > 0,
        prefill_seconds(work, parameters) / np.maximum(request.output_tokens, 1.0),
        0.0,
    )
    return {
        "bandwidth": stream,
        "unit_wall": read - stream,
        "compute": np.maximum(products - read, 0.0) + extra,
        "kv_cache": cache,
        "layer_overhead": layer,
        "step_overhead": step,
        "communication": communication,
        "queueing": (request.batch / batch - 1.0) * (device_time + layer + step),
        "prefill": prefill,
    }


def step_seconds(work: Workload, parameters: Parameters) -> Any:
    """Seconds per token of one sequence: the sum of `break_down`."""
    return total_seconds(break_down(work, parameters))


def _bandwidth_bound(machine: Machine, model: ModelWork) -> Any:
    """Bytes per second of one device; a model that fits a known cache is held against the cache."""
    in_cache = (model.weight_bytes < machine.cache_bytes) & (machine.cache_bandwidth > 0)
    return np.where(in_cache, np.maximum(machine.cache_bandwidth, machine.bandwidth), machine.bandwidth)


def roofline_rate(work: Workload) -> Any:
    """Tokens per second per sequence that memory and arithmetic allow at best, no overhead at all.

    A decode rate above it is impossible without a draft (or the stated numbers are wrong). Arithmetic
    counts where a peak is published. Of experts only those of one sequence are counted: a batch may
    choose the same ones.
    """
    model, machine, request = work.model, work.machine, work.request
    cache = attended(model, request.context) * model.kv_bytes_per_token + model.state_bytes
    moved = model.weight_bytes + request.batch * cache
    reading = moved / (machine.ways * _bandwidth_bound(machine, model))
    peak = np.where(machine.peak_known > 0, machine.prefill_peak, np.inf)
    computing = 2.0 * model.decode_parameters * request.batch / (machine.ways * peak)
    return 1.0 / np.maximum(reading, computing)
