"""Published configurations: counted as the reference library builds them, or refused for what they hold."""

import json

import pytest

from k2repro.errors import K2ReproError
from k2repro.wafer import predict
from k2repro.wafer.commands import Hardware, emulate
from k2repro.wafer.model.config_families import CHECKED, unknown_part
from k2repro.wafer.model.configs import read_config
from k2repro.wafer.model.shapes import ModelShape

SMALL = {
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 768,
    "vocab_size": 4096,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
}
EXPERTS = {"moe_intermediate_size": 128, "num_experts_per_tok": 2, "num_experts": 8}
MAMBA = {"mamba_n_heads": 16, "mamba_d_head": 32, "mamba_d_state": 64, "mamba_n_groups": 2}
LATENT = {
    "q_lora_rank": 96,
    "kv_lora_rank": 64,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 16,
    "v_head_dim": 32,
}
DELTA = {
    "linear_num_key_heads": 4,
    "linear_num_value_heads": 8,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
}
ENCODERS = (
    "clip_text_model",
    "siglip_text_model",
    "xlm-roberta",
    "distilbert",
    "mpnet",
    "layoutlm",
    "layoutlmv3",
    "longformer",
    "siglip2_text_model",
    "chinese_clip_text_model",
)
MIXED = ["linear_attention", "linear_attention", "full_attention"] * 2
WINDOWED = ["sliding_attention", "sliding_attention", "full_attention"] * 2
FAMILIES = {
    "qwen3": {"head_dim": 64},
    "gemma3_text": {"head_dim": 64, "sliding_window": 32, "layer_types": WINDOWED},
    "olmo3": {"sliding_window": 32, "layer_types": WINDOWED},
    "cohere2": {"sliding_window": 32, "layer_types": WINDOWED},
    "starcoder2": {},
    "apertus": {"hidden_act": "xielu"},
    "arcee": {"hidden_act": "relu2"},
    "gpt_neox": {"num_key_value_heads": 8},
    "phi3": {},
    "qwen3_moe": {**EXPERTS, "head_dim": 32, "mlp_only_layers": [0], "decoder_sparse_step": 1},
    "glm4_moe": {**EXPERTS, "n_routed_experts": 8, "n_shared_experts": 1, "first_k_dense_replace": 2},
    "ernie4_5_moe": {
        "moe_num_experts": 8,
        "moe_k": 2,
        "moe_intermediate_size": 128,
        "moe_num_shared_experts": 2,
        "moe_layer_start_index": 1,
        "moe_layer_end_index": 5,
    },
    "deepseek_v3": {
        **LATENT,
        "n_routed_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 128,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
    },
    "qwen3_next": {
        **EXPERTS,
        **DELTA,
        "head_dim": 64,
        "shared_expert_intermediate_size": 128,
        "layer_types": MIXED,
        "mlp_only_layers": [],
    },
    "olmo_hybrid": {**DELTA, "linear_value_head_dim": 64, "layer_types": MIXED},
    "granitemoehybrid": {
        **MAMBA,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 192,
        "layer_types": ["mamba", "mamba", "attention"] * 2,
    },
    "falcon_h1": {**MAMBA, "mamba_d_ssm": 512},
    "lfm2": {"layer_types": ["conv", "conv", "full_attention"] * 2},
    "minimax": {"num_local_experts": 8, "num_experts_per_tok": 2, "layer_types": MIXED, "head_dim": 32},
}


def build(kind: str, config: dict[str, object]) -> int:
    """Parameters of the reference library's model, without allocating them."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(
            transformers.AutoConfig.for_model(kind, **config)
        )
    return sum(weights.numel() for weights in model.parameters())


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_family_is_counted_as_the_reference_builds_it(kind):
    """A gate, a third matrix or a kind of layer left out: the total is that of the built model."""
    config = {**SMALL, **FAMILIES[kind]}
    shape = read_config({"model_type": kind, **config}, kind)
    assert shape.parameters == pytest.approx(build(kind, config), rel=0.01)
    assert not shape.note or "recurrent" in shape.note


def test_a_delta_net_counted_as_attention_is_caught():
    """Wrong twin: every layer read as attention misses the built total by more than the tolerance."""
    config = {**SMALL, **FAMILIES["olmo_hybrid"]}
    plain = read_config({**config, "layer_types": None, "model_type": "olmo_hybrid"}, "x")
    assert abs(plain.parameters / build("olmo_hybrid", config) - 1) > 0.02


NEXT = {
    **SMALL,
    **DELTA,
    "model_type": "qwen3_next",
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
    "head_dim": 256,
    "num_experts": 512,
    "num_experts_per_tok": 10,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "full_attention_interval": 4,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "vocab_size": 151936,
}
NANO = {
    "model_type": "nemotron_h",
    "hidden_size": 2688,
    "num_hidden_layers": 52,
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "intermediate_size": 1856,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
    "n_routed_experts": 128,
    "n_shared_experts": 1,
    "num_experts_per_tok": 6,
    "mamba_num_heads": 64,
    "mamba_head_dim": 64,
    "n_groups": 8,
    "ssm_state_size": 128,
    "mlp_hidden_act": "relu2",
    "vocab_size": 131072,
}
HUNYUAN = {
    "model_type": "hunyuan_v1_moe",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 3072,
    "moe_intermediate_size": [3072] * 32,
    "moe_topk": [8] * 32,
    "num_shared_expert": [1] * 32,
    "num_experts": 64,
    "vocab_size": 128167,
    "tie_word_embeddings": True,
}
GEMMA_3_4B = {
    "model_type": "gemma3",
    "text_config": {
        "model_type": "gemma3_text",
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 34,
        "sliding_window": 1024,
    },
    "vision_config": {"hidden_size": 1152},
}


@pytest.mark.parametrize(
    ("config", "total", "active"),
    [(NEXT, 79.67, 3.51), (NANO, 31.58, 3.2), (HUNYUAN, 80.39, 12.75), (GEMMA_3_4B, 3.88, 3.88)],
    ids=["Qwen3-Next-80B-A3B", "Nemotron-3-Nano-30B-A3B", "Hunyuan-A13B", "gemma-3-4b"],
)
def test_published_files_give_the_published_sizes(config, total, active):
    """Lists instead of numbers, a pattern of letters, sizes left out: total and active in billions."""
    shape = read_config(config, "x")
    assert shape.parameters / 1e9 == pytest.approx(total, rel=0.01)
    assert shape.decode_parameters / 1e9 == pytest.approx(active, rel=0.01)


def test_recurrent_layers_cache_no_tokens_and_carry_a_state():
    """A delta net given a key-value cache: only one layer in four grows with the context."""
    shape = read_config(NEXT, "next")
    assert shape.kv_bytes_per_token() == 12 * 2 * 2 * 256 * 2
    assert shape.state_values > 36 * 32 * 128 * 128
    near, far = (
        predict(shape, "H200", devices=2, context_length=n, batch_size=32, engine="vllm").breakdown[
            "kv_cache"
        ]
        for n in (1, 100_000)
    )
    assert near > 32 * 2 * shape.state_bytes / (2 * 4.8e12)
    assert far > 10 * near


def test_windows_of_unlike_layers_keep_their_own_share():
    """Windowed layers with more cache than the full ones: the share is of values, not of layers."""
    shape = read_config(
        {
            **SMALL,
            "model_type": "mimo_v2_flash",
            "hybrid_layer_pattern": [0, 1, 1, 0, 1, 1],
            "swa_num_key_value_heads": 8,
            "sliding_window": 128,
        },
        "mimo",
    )
    assert shape.windowed_layers == 4
    assert shape.windowed_share == pytest.approx(4 * 8 / (4 * 8 + 2 * 2))


@pytest.mark.parametrize(
    ("kind", "keys", "reason"),
    [
        ("gemma3n_text", {}, "per-layer embeddings"),
        ("kimi_linear", {}, "Kimi delta attention"),
        ("mamba", {}, "state-space layers and no attention"),
        ("jamba", {}, "Mamba-1"),
        ("bert", {}, "an encoder"),
        *((kind, {}, "an encoder") for kind in ENCODERS),
        ("new-net", {**EXPERTS, "num_experts": [8, 4, 8, 4]}, "num_experts = .* must be one whole number"),
        ("new-net", {**EXPERTS, "num_experts": "8"}, "num_experts = '8' must be one whole number"),
        ("new-net", {**EXPERTS, "num_experts": 8.0}, "num_experts = 8.0 must be one whole number"),
        (
            "new-net",
            {**EXPERTS, "num_experts_per_tok": 0},
            "num_experts_per_tok = 0 must be one whole number",
        ),
        ("new-net", {**EXPERTS, "first_k_dense_replace": "1"}, "first_k_dense_replace = '1' must be one"),
        ("new-net", {**EXPERTS, "decoder_sparse_step": "two"}, "decoder_sparse_step = 'two' must be one"),
        ("new-net", {**EXPERTS, "n_shared_experts": "1"}, "n_shared_experts = '1' must be one whole"),
        ("new-net", {"block_configs": [{}]}, "layers that differ one by one"),
        ("new-net", {"compress_ratios": [4]}, "a cache compressed in blocks"),
        ("new-net", {"layer_types": ["hyena"] * 6}, "'hyena' are not modelled"),
        ("new-net", {"layer_types": ["full_attention"] * 3}, "3 layers are listed and 6 stated"),
        ("new-net", {"layer_types": ["linear_attention"] * 6}, "linear layers of a kind"),
        ("qwen3_next", {"layer_types": MIXED, "linear_num_value_heads": 8}, "a size is missing"),
        ("new-net", {"num_experts": 8}, "8 experts, but no num_experts_per_tok"),
        ("llama", {"intermediate_size": [768, 512]}, "must be one whole number"),
    ],
)
def test_what_is_not_modelled_is_refused_by_its_name(kind, keys, reason):
    """A stranger counted as a plain decoder without a word: one line says which part is not known."""
    with pytest.raises(K2ReproError, match=reason) as caught:
        read_config({**SMALL, "model_type": kind, **keys}, "x")
    assert "\n" not in str(caught.value)


def test_every_encoder_of_transformers_is_refused():
    """An encoder under a name that nobody thought of, answered with tokens per second."""
    modeling_auto = pytest.importorskip("transformers.models.auto.modeling_auto")
    masked = set(modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    encoders = masked - set(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert len(encoders) > 30
    assert [kind for kind in sorted(encoders) if not unknown_part({**SMALL, "model_type": kind})] == []


def test_a_decoder_beside_an_encoder_is_not_called_one():
    """A reason that is false: ModernBERT's decoder decodes, but has a part that is not counted."""
    assert "decodes nothing" not in unknown_part({**SMALL, "model_type": "modernbert-decoder"})
    assert unknown_part({**SMALL, "model_type": "modernbert-decoder"})


@pytest.mark.parametrize("kind", ["ernie4_5", "ernie4_5_moe", "ernie4_5_text", "bertie", "xlmish"])
def test_a_decoder_with_the_name_of_an_encoder_is_read(kind):
    """A decoder refused because its name begins like that of an encoder."""
    assert unknown_part({**SMALL, "model_type": kind}) == ""


def test_what_was_checked_is_no_encoder():
    """A name added to the encoders that takes a counted family with it."""
    for kind in CHECKED:
        assert "decodes nothing" not in unknown_part({**SMALL, "model_type": kind})


@pytest.mark.parametrize(
    ("keys", "sparse"),
    [
        ({"decoder_sparse_step": 2, "mlp_only_layers": [0]}, 3),
        ({"decoder_sparse_step": 2, "mlp_only_layers": [0, 2]}, 3),
        ({"decoder_sparse_step": 2, "mlp_only_layers": [1]}, 2),
        ({"decoder_sparse_step": 1, "mlp_only_layers": [0, 5]}, 4),
        ({"decoder_sparse_step": 1}, 6),
        ({"interleave_moe_layer_step": 4}, 1),
        ({"first_k_dense_replace": 1}, 5),
        ({"first_k_dense_replace": 1, "moe_layer_freq": 1}, 5),
        ({"first_k_dense_replace": 1, "moe_layer_freq": 2}, 2),
        ({"first_k_dense_replace": 0, "moe_layer_freq": 2}, 3),
        ({"moe_layer_freq": 2}, 3),
        ({"moe_layer_freq": 1}, 6),
        ({"mlp_only_layers": [0, 1, 2, 3, 4, 5]}, 0),
        ({"mlp_layer_types": ["dense"] * 6}, 0),
        ({"first_k_dense_replace": 6}, 0),
    ],
)
def test_layers_with_experts_are_counted_one_by_one(keys, sparse):
    """A dense layer subtracted twice, and a model whose layers are all dense refused for its experts."""
    shape = read_config({**SMALL, **EXPERTS, "model_type": "qwen3_moe", **keys}, "x")
    assert (0 if shape.experts is None else shape.experts.layers) == sparse
    if not sparse:
        plain = read_config({**SMALL, "model_type": "qwen3_moe"}, "x")
        assert shape.parameters == plain.parameters


def test_an_architecture_nobody_checked_says_so(tmp_path):
    """A guess sold as knowledge: a new type with familiar keys is answered with a note."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**SMALL, "model_type": "new-net"}))
    assert "'new-net' was never checked here" in emulate(str(path), Hardware("H100"))
    path.write_text(json.dumps({**SMALL, "model_type": "llama"}))
    assert "never checked" not in emulate(str(path), Hardware("H100"))


def test_layers_of_one_kind_keep_the_numbers_of_the_table():
    """Two ways to say one shape: a plain file gives a shape equal to one of the table's fields."""
    shape = read_config({**SMALL, "model_type": "llama"}, "x")
    assert shape == ModelShape("x", 6, 256, 8, 2, 32, 768, 4096)
