"""Predictions on wafers: layers in regions of the mesh, requests pipelined through the regions."""

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.wafer.model import mesh
from k2repro.wafer.model.answers import Prediction
from k2repro.wafer.model.breakdown import name_bound, total_seconds
from k2repro.wafer.model.parameters import FloatArray
from k2repro.wafer.model.question import Question

# The wafer that the mesh was fitted on: an interval of what leaving a model out showed.
_FITTED = "WSE-2"
_FITTED_SPREAD = 0.06
# Contexts at which placements that do not fit are looked at one by one.
_KNOTS = 33


def _cores(question: Question) -> float:
    units = question.device.execution_units
    if units is None:
        raise K2ReproError(f"{question.device.name}: the number of cores is not known")
    return float(units)


def find_placement(question: Question, batch: float, context: float) -> mesh.Placement:
    """Where the declared rule puts the layers, with the caches of the whole batch resident."""
    return mesh.best_placement(
        question.shape,
        _cores(question),
        question.devices,
        bits=question.precision.bits,
        context_length=context,
        cached_tokens=context * batch,
        kv_bytes_per_token=question.kv_bytes_per_token,
        side=question.mesh_side,
    )


def _pass_seconds(question: Question, region: mesh.Region, tokens: float, lanes: float = 1.0) -> float:
    """Seconds of a pass of so many tokens; lanes: multiplications that one read may serve."""
    parts = mesh.layer_seconds(region, mesh.load_mesh_parameters(), 1.0 + (tokens - 1.0) / lanes)
    return question.shape.layers * sum(parts.values())


def _lanes(question: Question) -> float:
    """Multiplications of one core per cycle, from the dense peak."""
    device = question.device
    peak = device.peak_tflops.get("bf16", 0.0) * 1e12
    return max(1.0, peak / (2.0 * _cores(question) * (device.clock_ghz or 1.0) * 1e9))


def _interval(
    question: Question, placement: mesh.Placement, context: float, tokens: float
) -> tuple[float, float]:
    """(low, high) as factors of the predicted rate.

    On the fitted wafer, what leaving a model out showed. On another, nobody published where the
    layers lie: from every layer in a region of its own to the declared placement, and a quarter
    either way for other kernels. Reading a weight once for several tokens widens it upwards.
    """
    here = _pass_seconds(question, placement.region, tokens)
    reused = _pass_seconds(question, placement.region, tokens, _lanes(question))
    if question.device.name == _FITTED:
        return 1.0 / (1.0 + _FITTED_SPREAD), here / reused * (1.0 + _FITTED_SPREAD)
    even = mesh.even_placement(question.shape, _cores(question), question.devices, context_length=context)
    slowest = max(here, _pass_seconds(question, even.region, tokens))
    spread = 1.0 + mesh.TRANSFER_SPREAD
    return here / slowest / spread, here / reused * spread


def predict_mesh(question: Question, batch: float, context: float, tokens: float = 1.0) -> Prediction:
    """One pass of `tokens` tokens per sequence, without counting what a draft adds or yields."""
    placement = find_placement(question, batch, context)
    layers = question.shape.layers
    parts = mesh.layer_seconds(placement.region, mesh.load_mesh_parameters(), tokens)
    breakdown = {cause: seconds * layers for cause, seconds in parts.items() if seconds > 0}
    one = total_seconds(breakdown)
    breakdown["queueing"] = one * max(0.0, batch / placement.regions - 1.0)
    seconds = one + breakdown["queueing"]
    rate = 1.0 / seconds
    low, high = _interval(question, placement, context, tokens)
    common = question.common_fields(batch, context)
    if not placement.fits and common["fits"]:
        common["notes"] += (
            "the layers fit the wafers' memory, but not its regions without crossing a wafer",
        )
    device = question.device
    if device.name != _FITTED:
        common["notes"] += (
            f"no rate of a {device.name} was fitted, and nobody published where its layers lie: the interval "
            f"is declared, from every layer in a region of its own to the placement of the {_FITTED}",
        )
    plain = layers * sum(mesh.layer_seconds(placement.region, mesh.load_mesh_parameters()).values())
    reading = common["bytes_per_step"] / (question.devices * device.bandwidth_gbs * 1e9)
    peak = device.peak_bf16_flops
    computing = 0.0 if peak is None else common["flops_per_step"] / (question.devices * peak)
    return Prediction(
        **common,
        tokens_per_second=rate,
        step_seconds=seconds,
        low=rate * low,
        high=rate * high,
        bound=name_bound(breakdown),
        breakdown=breakdown,
        roofline_tokens_per_second=1.0 / max(reading, computing),
        ceiling_tokens_per_second=(1.0 + mesh.TRANSFER_SPREAD) / (plain * seconds / one),
        joules_per_token=question.energy(rate * batch),
    )


def sweep_mesh(question: Question, batch: FloatArray, context: FloatArray) -> FloatArray:
    """Tokens per second on a grid.

    Cells whose best region holds its layers are answered at once; the others one by one, or
    interpolated over the context where there are many.
    """
    batch, context = np.broadcast_arrays(batch, context)
    shape, cores, parameters = question.shape, _cores(question), mesh.load_mesh_parameters()
    kv = question.kv_bytes_per_token
    weights = shape.active_block_parameters * 2e-3 / shape.layers
    cache = kv * context * 1e-3 / shape.layers
    best = (2 * parameters.load_s_per_kb * (weights + cache) / parameters.hop_s) ** (2 / 3)
    size = np.minimum(np.maximum(best, mesh.SMALLEST_SIDE**2), cores)
    regions = np.minimum(shape.layers, question.devices * np.maximum(1, cores // size))
    resident = (shape.block_parameters * question.precision.bits / 8 + kv * context * batch) / shape.layers
    fits = np.ceil(shape.layers / regions) * resident <= size * mesh.CORE_BYTES
    layer = (
        parameters.start_s
        + parameters.hop_s * np.sqrt(size)
        + parameters.load_s_per_kb * (weights + cache) / size
    )
    rates = 1.0 / (shape.layers * layer * np.maximum(1.0, batch / regions))
    for count in np.unique(batch[~fits]):
        cells = ~fits & (batch == count)
        asked = np.unique(context[cells])
        knots = asked if asked.size <= _KNOTS else np.linspace(asked[0], asked[-1], _KNOTS)
        known = [predict_mesh(question, float(count), float(knot)).tokens_per_second for knot in knots]
        rates[cells] = np.interp(context[cells], knots, known)
    return rates


def prefill_seconds_mesh(question: Question, batch: float, prompt: float) -> tuple[float, float, float]:
    """(seconds, low, high) of prompts: one pass of all their tokens, a multiplication per weight and token.

    That is within the range that WaferLLM reports for an 8B model. low: every read serves all
    lanes of a core and the prompts pipeline through the regions.
    """
    placement = find_placement(question, batch, prompt)
    seconds = _pass_seconds(question, placement.region, batch * prompt)
    fastest = _pass_seconds(question, placement.region, batch * prompt, _lanes(question))
    spread = 1.0 + mesh.TRANSFER_SPREAD
    return seconds, fastest / placement.regions / spread, seconds * spread
