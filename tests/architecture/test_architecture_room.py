"""The room as a whole: what importing it costs, and that its bench measures what it says."""

import subprocess
import sys

import pytest

import k2repro.architecture
from k2repro.bench import BENCHES
from k2repro.bench.architecture import SIZES, bench_architecture
from k2repro.bench.timing import alternate, ratio_of_medians

CODE = """
import sys
from k2repro.architecture import ModelConfig, count_parameters, forward_flops, kv_cache_bytes, weight_bytes
config = ModelConfig.preset("k2-think")
assert count_parameters(config).total and kv_cache_bytes(config, 1) and forward_flops(config, 1)
heavy = {"torch", "transformers", "safetensors", "numpy"} & set(sys.modules)
assert not heavy, heavy
from k2repro.architecture import Qwen2, KVCache, init_weights, load_pretrained, save_pretrained
assert "torch" in sys.modules and "transformers" not in sys.modules
"""


def test_accounting_needs_no_torch():
    """Catches an import at the top that makes the torch-free rooms and the command line wait."""
    subprocess.run([sys.executable, "-c", CODE], check=True, timeout=120)


def test_every_public_name_exists():
    """Catches a name in __all__ that the lazy import does not know, and unknown names passing."""
    for name in k2repro.architecture.__all__:
        assert getattr(k2repro.architecture, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Qwen3'"):
        _ = k2repro.architecture.Qwen3


def test_a_ratio_above_one_means_that_ours_is_faster():
    """Catches a ratio that is turned round, so that being slower reads as a success."""
    clock = [0.0]

    def taking(seconds: float):
        return lambda: clock.__setitem__(0, clock[0] + seconds)

    seconds = alternate(taking(1.0), taking(3.0), 3, clock=lambda: clock[0])
    assert ratio_of_medians(*seconds) == pytest.approx(3.0)


def test_bench_reports_ratios_of_equal_work():
    """Catches a bench that times different models or reports seconds for a ratio."""
    records = bench_architecture(repeats=1, prompt_tokens=16, decode_steps=2)
    assert BENCHES["architecture"] == "k2repro.bench.architecture:bench_architecture"
    assert [(record["size"], record["job"]) for record in records] == [
        (size, job) for size in SIZES for job in ("prefill 1x16", "decode 2 steps")
    ]
    assert all(record["ratio"] > 0 for record in records)
    assert 0.9e6 < records[0]["parameters"] < 1.1e6
    assert 27e6 < records[-1]["parameters"] < 33e6
