"""What the emulator is compared with, on the same rows: a plain roofline and LLM-Viewer.

- *plain roofline*: bytes over bandwidth, nothing else (no parameter);
- *one efficiency*: the same divided by one fitted share (one parameter, refitted per fold);
- *simple model*: one fitted share per family of software;
- *LLM-Viewer* (hahnyuan/LLM-Viewer, `model_analyzer.py` at 01b269d, MIT): a roofline per operation
  of a layer, written here from its published formulas. It knows activations, cache and arithmetic,
  but no efficiency, no overhead, no communication and no prefill share. Its README says that only
  relative relationships can be referenced.
"""

from collections.abc import Iterator

import numpy as np

from k2repro.wafer.calibration.fit import Sample
from k2repro.wafer.calibration.rates import Rate
from k2repro.wafer.calibration.widths import rate_family
from k2repro.wafer.model.parameters import FloatArray
from k2repro.wafer.model.shapes import ModelShape

_ACTIVATION_BYTES = 2.0


def plain_roofline(sample: Sample) -> FloatArray:
    """Tokens/s per sequence from bytes and bandwidth alone, shape (n,)."""
    model, request, machine = sample.work.model, sample.work.request, sample.work.machine
    moved = model.weight_bytes + request.batch * request.context * model.kv_bytes_per_token
    return np.asarray(machine.ways * machine.bandwidth / moved)


def fit_family_efficiencies(sample: Sample) -> dict[str, float]:
    """The simple model: one share of bandwidth per family of software, the median over its sources."""
    ratios = sample.rates / plain_roofline(sample)
    families = np.array([rate_family(row) for row in sample.rows])
    found = {}
    for name in sorted(set(families.tolist())):
        chosen = families == name
        sources = sample.sources[chosen]
        medians = [np.median(ratios[chosen][sources == source]) for source in sorted(set(sources.tolist()))]
        found[name] = float(np.median(medians))
    return found


def simple_rates(sample: Sample, efficiencies: dict[str, float]) -> FloatArray:
    """Tokens/s per sequence of the simple model, shape (n,)."""
    usual = float(np.median(list(efficiencies.values())))
    shares = [efficiencies.get(rate_family(row), usual) for row in sample.rows]
    return np.asarray(plain_roofline(sample) * np.array(shares))


def fit_one_efficiency(sample: Sample) -> float:
    """The share of bandwidth that makes the median ratio to the plain roofline one."""
    return float(np.median(sample.rates / plain_roofline(sample)))


# One operation of a decode step: arithmetic operations and bytes moved.
Operation = tuple[float, float]


def _linear(inputs: float, outputs: float, batch: float, weight_bytes: float, ways: float) -> Operation:
    """A matrix product with its weights, activations in and out; split over `ways`."""
    activations = (inputs + outputs / ways) * batch * _ACTIVATION_BYTES
    return 2.0 * inputs * outputs * batch / ways, inputs * outputs * weight_bytes / ways + activations


def _layer_products(shape: ModelShape) -> list[tuple[int, int]]:
    """(inputs, outputs) of q, k, v, o, gate, up, down."""
    query, value = shape.q_heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return [
        (shape.hidden, query),
        (shape.hidden, value),
        (shape.hidden, value),
        (query, shape.hidden),
        (shape.hidden, shape.ffn),
        (shape.hidden, shape.ffn),
        (shape.ffn, shape.hidden),
    ]


def _layer_operations(row: Rate, weight_bytes: float) -> Iterator[Operation]:
    """All operations of one layer as LLM-Viewer counts them for decode, without flash attention."""
    shape, batch, length, ways = row.shape, row.batch, row.mean_context, float(row.ways)
    for inputs, outputs in _layer_products(shape):
        yield _linear(inputs, outputs, batch, weight_bytes, ways)
    heads, width = shape.q_heads / ways, shape.head_dim
    cache = length * width * batch * (shape.kv_heads / ways) * _ACTIVATION_BYTES
    scores = length * batch * heads * _ACTIVATION_BYTES
    vectors = width * batch * heads * _ACTIVATION_BYTES
    for _ in ("scores", "values"):
        yield 2.0 * length * width * heads * batch, cache + scores + vectors
    yield 5.0 * batch * heads * length, 2.0 * scores
    hidden = batch * shape.hidden
    for flops, copies in ((7, 2), (7, 2), (1, 2), (1, 2), (2, 3)):
        yield flops * hidden, copies * hidden * _ACTIVATION_BYTES


def llm_viewer_rate(row: Rate) -> float:
    """Tokens/s per sequence by LLM-Viewer's decode formulas for one measured row."""
    machine = row.workload().machine
    per_weight = row.weight_read_gb * 1e9 / row.shape.decode_parameters
    bandwidth, peak = float(machine.bandwidth), float(machine.peak_flops)

    def seconds(flops: float, bytes_moved: float) -> float:
        """Roofline of one operation: the slower of moving and computing."""
        return max(bytes_moved / bandwidth, flops / peak)

    layer = sum(seconds(*operation) for operation in _layer_operations(row, per_weight))
    head = _linear(row.shape.hidden, row.shape.vocab, row.batch, per_weight, float(row.ways))
    return 1.0 / (row.shape.layers * layer + seconds(*head))


def llm_viewer(sample: Sample) -> FloatArray:
    """`llm_viewer_rate` of every row, shape (n,)."""
    return np.array([llm_viewer_rate(row) for row in sample.rows])
