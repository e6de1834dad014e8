"""Mixtures of experts: what a batch reads, what is resident, and that none is scored as dense."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.wafer import Experts, ModelShape, find_shape, load_rates, load_shapes, predict
from k2repro.wafer.calibration.fit import log_residuals, make_sample
from k2repro.wafer.model.parameters import load_parameters
from k2repro.wafer.model.precisions import find_precision
from k2repro.wafer.model.roofline import bytes_read, step_seconds
from k2repro.wafer.model.workload import model_work, weight_bytes

MIXTURES = sorted(name for name, shape in load_shapes().items() if shape.experts)
PUBLISHED = {  # billions: total, active
    "Qwen3-30B-A3B": (30.5, 3.0),
    "Qwen3-235B-A22B": (235, 22),
    "gpt-oss-120b": (116.8, 5.1),
    "gpt-oss-20b": (20.9, 3.6),
    "DeepSeek-V3-671B": (671, 37),
    "Kimi-K2": (1026, 32),
    "GLM-4.5-355B": (355, 32),
    "Llama-4-Scout": (109, 17),
    "Mixtral-8x7B": (46.7, 12.9),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_sizes_are_the_published_ones(name):
    """A width of another column: total and active parameters are those that the makers state."""
    total, active = PUBLISHED[name]
    shape = find_shape(name)
    assert shape.parameters / 1e9 == pytest.approx(total, rel=0.015)
    assert shape.decode_parameters / 1e9 == pytest.approx(active, rel=0.06)


def mixture_rows():
    return [row for row in load_rates("decode_rates_2026.csv").scored() if row.shape.experts]


def test_mixture_rows_are_met_alone_and_in_a_batch():
    """A mixture that only works at batch one: medians of 20 per cent alone and 30 in a batch."""
    sample = make_sample(mixture_rows())
    error = np.abs(np.exp(log_residuals(sample, load_parameters())) - 1)
    batched = sample.work.request.batch > 1
    assert np.median(error[~batched]) <= 0.20
    assert np.median(error[batched]) <= 0.30


def test_a_mixture_scored_as_dense_is_caught():
    """Wrong twin: one token's experts serve the whole batch, as in a dense model of the active size."""
    sample = make_sample([row for row in mixture_rows() if row.batch > 1])
    dense = replace(sample.work, model=replace(sample.work.model, expert_bytes=0.0 * sample.rates))
    ratio = 1 / (step_seconds(dense, load_parameters()) * sample.rates)
    assert np.median(ratio) > 2
    right = np.exp(log_residuals(sample, load_parameters()))
    assert np.max(np.abs(right - 1)) < 0.3


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.sampled_from(MIXTURES), st.integers(1, 4096), st.integers(1, 4096))
def test_a_batch_reads_more_experts_and_never_more_than_there_are(name, batch, more):
    """Experts counted per sequence without end: bytes grow with the batch, up to what is resident."""
    shape, kind = find_shape(name), find_precision("bf16")
    work = model_work(shape, weight_bytes(shape, kind), shape.kv_bytes_per_token())
    few, many = (float(bytes_read(work, n, 0.8)) for n in (batch, batch + more))
    one, resident = float(bytes_read(work, 1, 0.8)), weight_bytes(shape, kind).stored
    assert one == pytest.approx(weight_bytes(shape, kind).read)
    assert one <= few <= many <= resident * (1 + 1e-9)


def test_all_experts_are_resident():
    """Capacity of the active part: 30 billion parameters in 16 bit do not fit one 24 GB card."""
    with pytest.raises(K2ReproError, match="does not fit 1 x RTX4090"):
        predict("Qwen3-30B-A3B", "RTX4090")
    assert predict("Qwen3-30B-A3B", "RTX4090", precision="q4_k_m", engine="llama.cpp").fits


@pytest.mark.parametrize(
    ("experts", "message"),
    [
        (Experts(8, 9, 512, 4), "9 experts a token of 8"),
        (Experts(8, 2, 512, 40), "40 layers with experts of 4"),
    ],
)
def test_impossible_experts_are_refused(experts, message):
    """More experts a token than experts, or more such layers than layers."""
    with pytest.raises(K2ReproError, match=message):
        ModelShape("x", 4, 512, 8, 8, 64, 2048, 1000, experts=experts)
