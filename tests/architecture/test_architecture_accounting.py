"""Parameters, KV bytes, FLOPs and memory: exact against built models, the published number, FlopCounter."""

import csv
import math
from importlib import resources

import architecture_tiny as tiny
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from k2repro.architecture import (
    PRECISIONS,
    KVCache,
    ModelConfig,
    Qwen2,
    count_parameters,
    decode_flops,
    devices_needed,
    forward_flops,
    kv_cache_bytes,
    memory_by_precision,
    prefill_flops,
    weight_bytes,
)
from k2repro.errors import K2ReproError

K2 = ModelConfig.preset("k2-think")
SHAPES = st.fixed_dictionaries(
    {
        "ratio": st.sampled_from([1, 2, 5, 7]),
        "vocab_size": st.integers(1, 120),
        "intermediate_size": st.integers(1, 70),
        "num_hidden_layers": st.integers(1, 4),
        "head_dim": st.sampled_from([0, 2, 16]),
        "tie_word_embeddings": st.booleans(),
    }
)


def test_k2_think_count_is_exact():
    """Catches any forgotten or doubled matrix: the published sum has eleven digits."""
    count = count_parameters(K2)
    assert count.total == 32_763_876_352
    assert count.non_embedding == 31_206_740_992


@pytest.mark.parametrize("name", ModelConfig.preset_names())
def test_counts_equal_transformers_on_meta_device(name):
    """Catches a count that fits one preset by luck: every preset is built by transformers, weightless."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = ModelConfig.preset(name)
    with torch.device("meta"):
        theirs = Qwen2ForCausalLM(Qwen2Config.from_dict(config.to_dict()))
    assert count_parameters(config).total == sum(p.numel() for p in theirs.parameters())


@given(SHAPES)
@settings(deadline=None, derandomize=True, max_examples=50)
def test_count_equals_built_model(shape):
    """Catches a component counted with the wrong factor in a shape no preset has."""
    config = tiny.tiny_config(**shape)
    model = Qwen2(config, device="meta")
    count = count_parameters(config)
    assert count.total == sum(p.numel() for p in model.parameters())
    layers = sum(p.numel() for p in model.model.layers.parameters())
    assert count.non_embedding == layers + config.hidden_size
    for component, part in {"attention_query": "q_proj", "mlp_down": "down_proj"}.items():
        named = [p.numel() for name, p in model.named_parameters() if part in name]
        assert count.by_component[component] == sum(named)


def test_count_notices_forgotten_biases():
    """Catches a count without q, k, v biases: the wrong twin differs by 458,752 and looks the same in B."""
    biases = K2.num_hidden_layers * (40 + 8 + 8) * 128
    assert count_parameters(K2).total - biases != 32_763_876_352
    assert round((count_parameters(K2).total - biases) / 1e9, 2) == 32.76


def test_decoding_reads_all_but_the_unused_embedding_rows():
    """Catches counting the embedding as traffic for an untied model, or dropping a tied head."""
    assert count_parameters(K2).read_per_token == 32_763_876_352 - 152_064 * 5120
    tied = count_parameters(ModelConfig.preset("qwen2.5-0.5b"))
    assert tied.read_per_token == tied.total


def test_k2_think_cache_is_a_quarter_mebibyte_a_token():
    """Catches counting query heads for KV heads, or forgetting that keys and values are two."""
    assert kv_cache_bytes(K2, 1) == 262_144
    assert kv_cache_bytes(K2, 65_536) == 17_179_869_184
    assert kv_cache_bytes(K2, 10, batch_size=3, bytes_per_value=1) == 3 * 10 * 131_072
    assert kv_cache_bytes(K2, 0) == 0


def test_shape_table_of_the_facts_agrees():
    """Catches a preset that differs from the published shape table in layers, heads or head size."""
    table = resources.files("k2repro.wafer") / "data" / "model_shapes.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    checked = [row for row in rows if row["model"].lower() in ModelConfig.preset_names()]
    assert len(checked) == len(ModelConfig.preset_names()) - 1
    for row in checked:
        config = ModelConfig.preset(row["model"].lower())
        assert kv_cache_bytes(config, 1) == int(row["kv_bytes_per_token_fp16"])
        # The table rounds to thousandths of a billion and leaves out the biases.
        assert count_parameters(config).total / 1e9 == pytest.approx(float(row["params_b"]), abs=0.003)


@given(SHAPES, st.integers(1, 4), st.integers(1, 9), st.sampled_from([torch.float32, torch.bfloat16]))
@settings(deadline=None, derandomize=True, max_examples=40)
def test_cache_bytes_equal_allocated_tensors(shape, batch, length, dtype):
    """Catches arithmetic that describes another cache than the one the decoder allocates."""
    config = tiny.tiny_config(**shape)
    cache = KVCache(config, batch, length, dtype=dtype)
    assert cache.nbytes == kv_cache_bytes(config, length, batch, dtype.itemsize)
    assert cache.nbytes == cache.keys.numel() * dtype.itemsize * 2


def counted(config, run):
    """FLOPs by module as torch counts them. The maths kernel is the one whose products it can see."""
    model = Qwen2(config)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        run(model)
    by_module = {name: sum(flops.values()) for name, flops in counter.get_flop_counts().items()}

    def of(suffix):
        return sum(flops for name, flops in by_module.items() if name.endswith(suffix))

    attention = of("self_attn")
    projections = {key: of(f"self_attn.{key}_proj") for key in "qkvo"}
    return {
        "attention_qkv": projections["q"] + projections["k"] + projections["v"],
        "attention_products": attention - sum(projections.values()),
        "attention_output": projections["o"],
        "mlp": of(".mlp"),
        "head": of("lm_head"),
        "total": counter.get_total_flops(),
    }


def claimed(flops):
    """`forward_flops` in the components that torch can tell apart."""
    parts = dict(flops.by_component)
    products = parts.pop("attention_scores") + parts.pop("attention_values")
    return {**parts, "attention_products": products, "total": flops.total}


@pytest.mark.parametrize("ratio", [1, 2, 5])
def test_prefill_flops_equal_torch_counter(ratio):
    """Catches a wrong factor in any matrix product of a full pass."""
    config = tiny.tiny_config(ratio=ratio)
    tokens = tiny.random_tokens(3, 11)
    assert claimed(forward_flops(config, 11, batch_size=3)) == counted(config, lambda model: model(tokens))


@pytest.mark.parametrize("ratio", [1, 2, 5])
def test_decode_flops_equal_torch_counter(ratio):
    """Catches a decoding cost that forgets the cached tokens."""
    config = tiny.tiny_config(ratio=ratio)
    cache = KVCache(config, 2, 9)
    Qwen2(config)(tiny.random_tokens(2, 8), cache=cache)
    token = tiny.random_tokens(2, 1)
    assert claimed(decode_flops(config, 9, batch_size=2)) == counted(
        config, lambda model: model(token, cache=cache)
    )


def test_counter_notices_a_wrong_formula():
    """Catches a comparison that would accept KV heads for query heads, or one FLOP a multiply-add."""
    config = tiny.tiny_config(ratio=5)
    measured = counted(config, lambda model: model(tiny.random_tokens(3, 11)))
    right = claimed(forward_flops(config, 11, batch_size=3))
    assert right["attention_products"] // config.query_heads_per_kv_head != measured["attention_products"]
    assert right["total"] // 2 != measured["total"]
    assert claimed(forward_flops(config, 11, batch_size=3, attention="causal")) != measured


@given(st.integers(1, 50), st.integers(0, 50))
@settings(deadline=None, derandomize=True)
def test_causal_cost_is_the_sum_of_single_steps(new, cached):
    """Catches an off-by-one in the triangle of the causal mask."""
    steps = [forward_flops(K2, 1, cached + i).total for i in range(1, new + 1)]
    assert forward_flops(K2, new, cached + new, attention="causal").total == sum(steps)


def test_prefill_runs_the_head_once():
    """Catches charging the head for every prompt token when only the next token is wanted."""
    assert prefill_flops(K2, 1000).by_component["head"] == decode_flops(K2, 1000).by_component["head"]


def test_decode_cost_is_twice_the_weights_read():
    """Catches a cost model at odds with the rule of thumb: 2 FLOPs a weight plus attention."""
    flops = decode_flops(K2, 1)
    matrices = flops.total - flops.by_component["attention_scores"] - flops.by_component["attention_values"]
    vectors = (2 * 64 + 1) * 5120 + 64 * (40 + 8 + 8) * 128
    assert matrices == 2 * (count_parameters(K2).read_per_token - vectors)


def test_precisions_store_what_they_say():
    """Catches "4 bit" taken as half a byte for everything: scales, embedding and head cost a fifth more."""
    total = count_parameters(K2).total
    assert weight_bytes(K2, "fp32") == 4 * total
    assert weight_bytes(K2, "bf16") == 2 * total == 65_527_752_704
    assert total < weight_bytes(K2, "int8") < 1.06 * total
    assert 1.15 * total / 2 < weight_bytes(K2, "int4") < 1.2 * total / 2
    assert list(PRECISIONS) == ["fp32", "bf16", "fp8", "int8", "int4"]


def test_scales_are_counted_group_by_group():
    """Catches a ragged last group that is dropped: 130 inputs need two groups of 128."""
    config = ModelConfig(
        vocab_size=1,
        hidden_size=130,
        intermediate_size=1,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
    )
    matrices = 4 * 130 * 130 + 3 * 130
    others = count_parameters(config).total - matrices
    groups = 4 * 130 * 2 + 2 * 2 + 130
    assert weight_bytes(config, "int4") == math.ceil((4 * matrices + 16 * others + 20 * groups) / 8)


def test_memory_adds_the_cache_to_every_precision():
    """Catches a table whose cache shrinks with the weights although it has its own precision."""
    table = memory_by_precision(K2, context_length=32_768, batch_size=2)
    assert {entry["kv_cache"] for entry in table.values()} == {2 * 32_768 * 262_144}
    assert all(entry["total"] == entry["weights"] + entry["kv_cache"] for entry in table.values())


def test_one_wafer_does_not_hold_16_bit_weights():
    """Catches decimal and binary gigabytes mixed up: either way two WSE-3 are needed."""
    needed = weight_bytes(K2, "bf16")
    assert devices_needed(needed, 44e9) == devices_needed(needed, 44 * 2**30) == 2
    assert devices_needed(needed, needed) == 1
    assert devices_needed(needed, needed, usable_fraction=0.99) == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda: kv_cache_bytes(K2, -1),
        lambda: kv_cache_bytes(K2, 1.5),
        lambda: kv_cache_bytes(K2, 1, bytes_per_value=0),
        lambda: kv_cache_bytes(K2, 1, bytes_per_value="2"),
        lambda: forward_flops(K2, 0),
        lambda: forward_flops(K2, 5, 4),
        lambda: forward_flops(K2, 5, logit_positions=6),
        lambda: forward_flops(K2, 5, attention="sparse"),
        lambda: weight_bytes(K2, "int3"),
        lambda: devices_needed(1, 0),
        lambda: devices_needed(1, 1, usable_fraction=1.1),
    ],
)
def test_impossible_questions_are_refused(call):
    """Catches nonsense sizes that would give a plausible number."""
    with pytest.raises(K2ReproError):
        call()
