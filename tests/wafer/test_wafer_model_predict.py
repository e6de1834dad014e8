"""Questions a person asks: near names, fits, formats, speculation, energy; and no torch."""

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.wafer import (
    Device,
    ModelShape,
    Speculation,
    cost_per_million_tokens,
    find_shape,
    load_devices,
    needed_acceptance,
    predict,
    predict_prefill,
)
from k2repro.wafer.model.engines import find_engine
from k2repro.wafer.model.speculation import expected_tokens


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"device": "RTX409"}, "unknown device 'RTX409'; did you mean 'RTX4090'"),
        ({"config": "Qwen2.5-33B"}, "did you mean .*Qwen2.5-32B"),
        ({"precision": "fp88"}, "unknown precision 'fp88'.*fp8"),
        ({"engine": "onnxruntime"}, "unknown engine"),
        ({"precision": "fp8", "device": "A100-80GB-SXM"}, "A100-80GB-SXM has no arithmetic for fp8"),
        ({"precision": "bf16", "device": "V100"}, "V100 has no arithmetic for bf16"),
        ({"precision": "q4_k_m", "device": "WSE-3"}, "WSE-3 has no arithmetic for q4_k_m"),
        ({"batch_size": 0}, "batch_size = 0 must be"),
        ({"batch_size": -4}, "batch_size = -4"),
        ({"context_length": 0}, "context_length = 0"),
        ({"devices": 0}, "devices = 0"),
        ({"devices": 1.5}, "devices = 1.5"),
        ({"context_length": float("nan")}, "nan"),
        ({"batch_size": "8"}, "batch_size = '8'"),
        ({"kv_bytes_per_value": 0}, "kv_bytes_per_value"),
    ],
)
def test_bad_questions_are_refused_by_name(asked, message):
    """A silent default or a traceback: the error names value, rule and near names."""
    question = {"config": "k2-think", "device": "H100-SXM", **asked}
    with pytest.raises(K2ReproError, match=message):
        predict(question.pop("config"), question.pop("device"), **question)


def test_a_model_that_does_not_fit_says_by_how_much():
    """A rate for a model that cannot be loaded: gigabytes too much and devices needed are said."""
    with pytest.raises(K2ReproError, match=r"does not fit 1 x WSE-3: 2\d\.\d GB too much.*needs 2"):
        predict("k2-think", "WSE-3")
    found = predict("k2-think", "WSE-3", check_fit=False)
    assert (found.fits, found.devices_needed) == (False, 2)
    assert found.bytes_over == pytest.approx(21.8e9, rel=0.02)
    assert predict("k2-think", "H100-SXM", context_length=32_000).fits
    assert not predict("k2-think", "H100-SXM", context_length=65_536, check_fit=False).fits
    assert predict("k2-think", "H200", context_length=65_536, batch_size=3).fits


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    st.sampled_from(["k2-think", "Llama-3.1-70B", "Llama-3.1-8B"]),
    st.sampled_from(["H100-SXM", "RTX4090", "WSE-3", "Apple-M2Ultra"]),
    st.integers(1, 32),
    st.integers(1, 50_000),
)
def test_the_devices_it_asks_for_are_enough(model, device, batch, context):
    """A count that is one short, or more than needed."""
    asked = {"batch_size": batch, "context_length": context, "check_fit": False}
    needed = predict(model, device, **asked).devices_needed
    assert predict(model, device, devices=needed, **asked).fits
    if needed > 1:
        assert not predict(model, device, devices=needed - 1, **asked).fits


def test_a_model_configuration_is_accepted():
    """Field names of another library: a Qwen2 configuration gives the shape of its name."""

    @dataclass(frozen=True)
    class Config:
        hidden_size: int = 5120
        num_hidden_layers: int = 64
        num_attention_heads: int = 40
        num_key_value_heads: int = 8
        head_dim: int = 128
        intermediate_size: int = 27648
        vocab_size: int = 152064
        tie_word_embeddings: bool = False

    assert (
        predict(Config(), "H100-SXM").tokens_per_second == predict("k2-think", "H100-SXM").tokens_per_second
    )


@pytest.mark.parametrize(("field", "value"), [("layers", 0), ("hidden", -1), ("vocab", 1.5)])
def test_a_shape_with_a_bad_size_is_refused(field, value):
    """Zero layers decode infinitely fast."""
    sizes = {
        "layers": 2,
        "hidden": 64,
        "q_heads": 2,
        "kv_heads": 2,
        "head_dim": 32,
        "ffn": 128,
        "vocab": 100,
        field: value,
    }
    with pytest.raises(K2ReproError, match=field):
        ModelShape("x", **sizes)


def test_a_device_without_bandwidth_is_refused():
    """A blank cell read as zero."""
    with pytest.raises(K2ReproError, match="bandwidth_gbs"):
        Device("x", "gpu", bandwidth_gbs=0.0, capacity_gb=8)


def test_every_device_of_the_table_predicts():
    """A device whose peak or clock is blank: all predict 8B with a format they have."""
    for device in load_devices().values():
        precision = "bf16" if "bf16" in device.native_precisions else device.native_precisions[-1]
        found = predict("Llama-3.1-8B", device, precision=precision, check_fit=False)
        assert np.isfinite(found.tokens_per_second)
        assert found.tokens_per_second > 0


def test_a_measured_machine_overrides_the_fit():
    """Micro-benchmarks ignored: bandwidth, layer and step overhead are those that were measured."""
    machine = Device.measured(
        "mine", sustained_gbs=20, capacity_gb=16, layer_overhead_s=1e-3, step_overhead_s=5e-3
    )
    shape = find_shape("Qwen2.5-0.5B")
    found = predict(shape, machine, precision="fp32", engine="k2repro", context_length=1)
    expected = shape.decode_parameters * 4 / 20e9 + shape.layers * 1e-3 + 5e-3
    assert found.step_seconds == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("acceptance", "gamma", "speed"),
    [(0.6, 2, 1.96), (0.7, 3, 2.53), (0.8, 2, 2.44), (0.8, 5, 3.69), (0.9, 2, 2.71), (0.9, 10, 6.86)],
)
def test_speculation_reproduces_leviathan(acceptance, gamma, speed):
    """An off-by-one in gamma: all six speeds of the paper's table 1 (draft for free)."""
    plain = predict("k2-think", "H100-SXM")
    drafted = predict("k2-think", "H100-SXM", speculation=Speculation(acceptance, gamma))
    assert drafted.tokens_per_second / plain.tokens_per_second == pytest.approx(speed, abs=0.005)
    without_bonus = (1 - acceptance**gamma) / (1 - acceptance)
    assert abs(without_bonus - speed) > 0.1


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.floats(0, 1), st.integers(1, 12), st.floats(0, 0.5))
def test_a_draft_pays_only_above_its_cost(acceptance, gamma, cost):
    """A draft that always helps: theorem 3.8 holds, and the breakdown still adds up."""
    plain = predict("k2-think", "H100-SXM")
    found = predict("k2-think", "H100-SXM", speculation=Speculation(acceptance, gamma, cost_ratio=cost))
    gain = found.tokens_per_second / plain.tokens_per_second
    assert gain == pytest.approx(expected_tokens(acceptance, gamma) / (gamma * cost + 1))
    assert sum(found.breakdown.values()) == pytest.approx(found.step_seconds)
    assert found.tokens_per_second * found.step_seconds == pytest.approx(found.tokens_per_step)


def test_verification_is_not_free_for_a_large_batch():
    """Speed-up at any batch: where arithmetic binds, verifying five tokens costs more than it gives."""
    asked = {"devices": 8, "batch_size": 512, "context_length": 256, "check_fit": False}
    plain = predict("k2-think", "H100-SXM", **asked)
    drafted = predict("k2-think", "H100-SXM", speculation=Speculation(0.5, 8), **asked)
    assert drafted.tokens_per_second < 1.2 * plain.tokens_per_second


def test_measured_acceptance_is_used_as_measured():
    """Averaging tokens as if i.i.d.: mean accepted + 1 comes back exactly."""
    measured = Speculation.from_accepted([0, 4, 4, 0], draft_tokens=4)
    assert measured.expected_tokens == 3.0
    assert measured.acceptance == pytest.approx(8 / 10)
    with pytest.raises(K2ReproError, match="accepted lengths"):
        Speculation.from_accepted([5], draft_tokens=4)
    with pytest.raises(K2ReproError, match="75 per cent is 0.75"):
        Speculation(75)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.floats(0.01, 0.99), st.integers(1, 10))
def test_needed_acceptance_inverts_the_formula(acceptance, gamma):
    """A bisection that stops early."""
    factor = expected_tokens(acceptance, gamma)
    assert needed_acceptance(factor, gamma) == pytest.approx(acceptance, abs=1e-6)


def test_energy_and_price_follow_the_rate():
    """Joules per second taken as per token: a million tokens at 700 W and the predicted rate."""
    found = predict("k2-think", "H100-SXM")
    cost = cost_per_million_tokens(found, price_per_kwh=0.3, price_per_device_hour=2.0)
    seconds = 1e6 / found.tokens_per_second
    assert cost.kilowatt_hours == pytest.approx(700 * seconds / 3.6e6)
    assert cost.price == pytest.approx(2.0 * seconds / 3600 + 0.3 * 700 * seconds / 3.6e6)
    with pytest.raises(K2ReproError, match="negative"):
        cost_per_million_tokens(found, price_per_kwh=-1)


@pytest.mark.parametrize(("device", "devices"), [("H100-SXM", 4), ("WSE-3", 3)])
def test_a_batch_shares_the_energy_of_a_step(device, devices):
    """Catches energy a token that ignores how many sequences a step serves."""
    watts = load_devices()[device].tdp_w
    for batch in (1, 8):
        found = predict("k2-think", device, devices=devices, batch_size=batch)
        joules_a_second = found.joules_per_token * found.tokens_per_second * batch
        assert joules_a_second == pytest.approx(watts * devices)


def test_unknown_power_gives_no_energy():
    """A missing number read as zero watts: no energy, and no price that needs it."""
    cost = cost_per_million_tokens(predict("Llama-3.1-8B", "TPU-v6e"), price_per_kwh=0.3)
    assert (cost.kilowatt_hours, cost.price) == (None, None)
    assert cost.device_hours > 0


def test_prefill_grows_faster_than_the_prompt():
    """Attention left out of the prompt: doubling a long prompt more than doubles its time."""
    one, short, long = (
        predict_prefill("Qwen2.5-7B", "A100-80GB-SXM", prompt_tokens=n).seconds for n in (1, 64_000, 128_000)
    )
    assert 2.3 * short < long < 4 * short
    assert one > 14e9 / 2.1e12


@pytest.mark.parametrize(
    ("name", "kind", "vendor", "expected"),
    [
        ("vLLM 0.6.3", "gpu", "NVIDIA", "serving"),
        ("vLLM 0.6.1", "gpu", "AMD", "uncaptured"),
        ("vLLM 0.9.1", "gpu", "AMD", "serving"),
        ("llama.cpp (May 2024)", "gpu", "", "ggml"),
        ("llama.cpp CPU, 2 threads", "cpu", "", "ggml-cpu"),
        ("Ollama", "cpu", "", "ggml-cpu"),
        ("TensorRT-LLM", "gpu", "", "compiled"),
        ("trtllm 1.2.0rc6", "gpu", "", "compiled"),
        ("transformers 4.46 (eager)", "gpu", "", "eager"),
        ("MLX", "soc", "", "compiled"),
    ],
)
def test_engines_map_to_their_class(name, kind, vendor, expected):
    """An early ROCm port taken for a captured engine, a CPU build for a GPU one."""
    found = find_engine(name, kind, vendor)
    assert (found.engine_class, found.known) == (expected, True)
    assert not find_engine("MyEngine", kind, vendor).known


def test_the_room_needs_no_torch():
    """A heavy import on the ground floor: predicting loads neither torch nor transformers."""
    code = (
        "import sys, k2repro.wafer as w; import k2repro.wafer.calibration.render; "
        "w.predict('k2-think', 'H100-SXM'); "
        "sys.exit(bool({'torch', 'transformers', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
