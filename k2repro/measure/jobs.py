"""The measurements as jobs: a JSON request in, a JSON result out.

Every job runs in a process of its own (`worker.py`), because BLAS libraries read their thread count
when they are loaded, and because seven gigabytes of weights are returned surest by a process that
ends. Calling `run_job` directly does the same in this process, with its threads.
"""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from k2repro.errors import unknown
from k2repro.measure.bandwidth import ReadProbe, measure_bandwidth
from k2repro.measure.caches import bandwidth_curve
from k2repro.measure.calibrate import chooser, measure_costs
from k2repro.measure.costs import of_one_pool
from k2repro.measure.decode import DecoderWeights, MeasuredDecoder
from k2repro.measure.gemm import measure_matrix_rates
from k2repro.measure.machine import build_product
from k2repro.measure.matvec import KERNELS
from k2repro.measure.neighbours import Neighbours
from k2repro.measure.weights import random_matrices, random_weights
from k2repro.wafer.model.shapes import ModelShape

Tell = Callable[[str], None]
Values = dict[str, Any]


def _bandwidth(request: Values, tell: Tell) -> Values:
    results = [
        asdict(result)
        for megabytes in request["megabytes"]
        for result in measure_bandwidth(megabytes, runs=request["runs"], tell=tell)
    ]
    return {"bandwidth": results}


def _curve(request: Values, tell: Tell) -> Values:
    return {"curve": bandwidth_curve(request["sizes"], runs=request["runs"], tell=tell)}


def _matrix_rates(request: Values, tell: Tell) -> Values:
    return asdict(measure_matrix_rates(request["size"], runs=request["runs"], tell=tell))


def _costs(request: Values, tell: Tell) -> Values:
    products, glue = measure_costs(
        KERNELS[request["precision"]],
        bytes_per_weight=request["bytes_per_weight"],
        cache_bytes=request["cache_bytes"],
        context=request["context"],
        draw=random_matrices(np.random.default_rng(0)),
        quick=request["quick"],
        tell=tell,
    )
    return {"products": [asdict(cost) for cost in products], "glue": asdict(glue)}


def _decode(request: Values, tell: Tell) -> Values:
    """Decode a random model; every timed run has a read of plain memory beside it."""
    shape = ModelShape(**request["shape"])
    costs = [build_product(values) for values in request["products"]]
    footprint = shape.decode_parameters * costs[0].bytes_per_weight
    used: dict[str, int] = {}
    choose = chooser(of_one_pool(costs, shape, footprint), request["precision"], footprint, used)
    tell(f"{shape.name}, {request['precision']}: building {footprint / 1e9:.2f} GB")
    weights = random_weights(shape, choose, random_matrices(np.random.default_rng(0)))
    tokens, context = request["tokens"], request["context"]
    decoder = MeasuredDecoder(shape, weights, max_context=context + tokens)
    probe = ReadProbe(request["probe_megabytes"])
    rates, reads = [], []
    _decode_run(decoder, context, min(tokens, 2))
    neighbours = Neighbours.watch()
    for run in range(request["runs"]):
        tell(f"{shape.name}, {request['precision']}: run {run + 1} of {request['runs']}")
        reads.append(probe.gbs())
        rates.append(tokens / _decode_run(decoder, context, tokens))
    return {
        "rates": rates,
        "reads_gbs": reads,
        "read_bytes": _read_bytes(weights),
        "kernels": used,
        "others_cores": None if neighbours is None else neighbours.cores(),
    }


def _decode_run(decoder: MeasuredDecoder, context: int, tokens: int) -> float:
    """Seconds of `tokens` greedy steps from a context of `context` tokens."""
    rows = len(decoder.weights.embedding)
    decoder.move_to(context)
    token = 1
    start = time.perf_counter()
    for _ in range(tokens):
        # The largest vocabularies share a short embedding table (weights.py).
        token = int(decoder.step(token % rows).argmax())
    return time.perf_counter() - start


def _read_bytes(weights: DecoderWeights) -> int:
    layers = sum(
        matrix.read_bytes
        for layer in weights.layers
        for matrix in (layer.qkv, layer.output, layer.gate_up, layer.down)
    )
    return layers + weights.head.read_bytes


JOBS: dict[str, Callable[[Values, Tell], Values]] = {
    "bandwidth": _bandwidth,
    "curve": _curve,
    "matrix_rates": _matrix_rates,
    "costs": _costs,
    "decode": _decode,
}


def run_job(request: Values, tell: Tell = lambda text: None) -> Values:
    """Run one job; K2ReproError for a job that does not exist."""
    name = request["job"]
    if name not in JOBS:
        raise unknown("measurement", name, JOBS)
    return JOBS[name](request, tell)
