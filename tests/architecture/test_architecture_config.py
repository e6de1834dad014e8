"""ModelConfig: what it reads, what it writes, what it refuses."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.architecture import ModelConfig, RopeScaling
from k2repro.errors import K2ReproError

BASE = ModelConfig.preset("qwen2.5-0.5b").to_dict()


def changed(**values):
    return {**BASE, **values}


def without(key):
    return {name: value for name, value in BASE.items() if name != key}


@st.composite
def configs(draw):
    groups, shared = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    heads, half = groups * shared, draw(st.integers(1, 8))
    stated = draw(st.booleans())
    yarn = RopeScaling(kind="yarn", factor=4.0, original_max_position_embeddings=64)
    linear = RopeScaling(kind="linear", factor=2.5)
    return ModelConfig(
        vocab_size=draw(st.integers(1, 200)),
        hidden_size=draw(st.integers(1, 9)) if stated else heads * half * 2,
        intermediate_size=draw(st.integers(1, 50)),
        num_hidden_layers=draw(st.integers(1, 3)),
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=half * 2 if stated else 0,
        rope_theta=draw(st.sampled_from([1e4, 1e6])),
        rope_scaling=draw(st.sampled_from([None, linear, yarn])),
        tie_word_embeddings=draw(st.booleans()),
        eos_token_id=draw(st.sampled_from([None, 0, (0, 3)])),
        dtype=draw(st.sampled_from(["float32", "bfloat16"])),
    )


@given(configs())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_written_config_reads_back_equal(config):
    """Catches a field that is written under one name and read under another."""
    assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@given(configs())
@settings(deadline=None, derandomize=True, max_examples=25)
def test_transformers_understands_what_is_written(config):
    """Catches a config.json that transformers loads with its own defaults in place of our values."""
    from transformers import Qwen2Config

    theirs = Qwen2Config.from_dict(config.to_dict())
    for key in ("hidden_size", "num_key_value_heads", "rms_norm_eps", "tie_word_embeddings", "vocab_size"):
        assert theirs.to_dict()[key] == config.to_dict()[key]
    assert theirs.rope_parameters["rope_theta"] == config.rope_theta
    kind = config.rope_scaling.kind if config.rope_scaling else "default"
    assert theirs.rope_parameters["rope_type"] == kind
    assert str(theirs.dtype).removeprefix("torch.") == config.dtype


@given(configs())
@settings(deadline=None, derandomize=True, max_examples=25)
def test_what_transformers_5_writes_reads_back(config):
    """Catches a reader that only knows the rope keys of transformers 4."""
    from transformers import Qwen2Config

    written = Qwen2Config.from_dict(config.to_dict()).to_dict()
    assert "rope_theta" not in written
    assert ModelConfig.from_dict(written) == config


def test_transformers_4_layout_is_read():
    """Catches a reader that only knows the rope keys of transformers 5."""
    scaling = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    config = ModelConfig.from_dict(changed(rope_theta=10000.0, rope_scaling=scaling))
    assert config.rope_theta == 1e4
    assert config.rope_scaling == RopeScaling(kind="yarn", factor=4.0, original_max_position_embeddings=32768)


def test_written_layout_has_the_keys_of_transformers_4():
    """Catches writing only `rope_parameters`, which transformers 4 ignores in favour of theta 10000."""
    assert BASE["rope_theta"] == 1e6
    assert BASE["rope_scaling"] is None
    assert "rope_parameters" not in BASE


@pytest.mark.parametrize("name", ModelConfig.preset_names())
def test_presets_state_a_base_qwen2(name):
    """Catches a preset that loads only because a missing key fell back to a default."""
    config = ModelConfig.preset(name)
    assert config.rope_theta == 1e6
    assert config.dtype == "bfloat16"
    assert config.head_dim in (64, 128)
    assert config.tie_word_embeddings == (name in ("qwen2.5-0.5b", "qwen2.5-1.5b", "qwen2.5-3b"))


def test_k2_think_is_its_base_model():
    """Catches the two presets drifting apart."""
    assert ModelConfig.preset("k2-think") == ModelConfig.preset("qwen2.5-32b")


# Bad input: each message names the value, the rule and what exists.

REFUSED = {
    "not divisible": (changed(hidden_size=897), ["897", "14", "divisible"]),
    "KV heads do not divide": (changed(num_key_value_heads=4), ["14", "4", "divisible"]),
    "odd head": (changed(head_dim=33), ["head_dim = 33", "odd"]),
    "string for a number": (changed(num_hidden_layers="24"), ["num_hidden_layers", "'24'", "whole number"]),
    "float for a count": (changed(vocab_size=151936.0), ["vocab_size", "whole number"]),
    "bool for a count": (changed(num_hidden_layers=True), ["num_hidden_layers", "whole number"]),
    "zero layers": (changed(num_hidden_layers=0), ["num_hidden_layers = 0", "at least 1"]),
    "negative epsilon": (changed(rms_norm_eps=-1e-6), ["rms_norm_eps", "above 0"]),
    "endless theta": (changed(rope_theta=float("inf")), ["rope_theta", "finite"]),
    "number for a truth value": (changed(tie_word_embeddings=1), ["tie_word_embeddings", "true or false"]),
    "llama in name only": (changed(model_type="llama"), ["Qwen2ForCausalLM", "LlamaForCausalLM"]),
    "mistral": (changed(model_type="mistral"), ["'mistral'", "llama, qwen2"]),
    "mixture of experts": (changed(model_type="qwen2_moe"), ["'qwen2_moe'", "qwen2"]),
    "experts inside": (changed(num_experts=60), ["num_experts = 60", "mixtures of experts"]),
    "classifier": (
        changed(architectures=["Qwen2ForSequenceClassification"]),
        ["Qwen2ForSequenceClassification", "Qwen2ForCausalLM"],
    ),
    "llama class in a qwen2 file": (changed(architectures=["LlamaForCausalLM"]), ["LlamaForCausalLM"]),
    "sliding window": (changed(use_sliding_window=True), ["use_sliding_window", "sliding-window"]),
    "sliding layers": (
        changed(layer_types=["full_attention", "sliding_attention"]),
        ["sliding_attention", "full_attention"],
    ),
    "another activation": (changed(hidden_act="gelu"), ["'gelu'", "'silu'", "SwiGLU"]),
    "dropout": (changed(attention_dropout=1.5), ["attention_dropout", "probability"]),
    "no bias": (changed(attention_bias=False), ["attention_bias", "bias"]),
    "quantised by a word": (changed(quantization_config="awq"), ["quantization_config", "JSON object"]),
    "misspelt key": (changed(rope_tetha=1e4), ["'rope_tetha'", "did you mean 'rope_theta'"]),
    "unread key": (changed(logit_scale=0.5), ["'logit_scale'", "ignore_keys"]),
    "unknown dtype": (changed(torch_dtype="float8_e4m3fn"), ["float8_e4m3fn", "bfloat16"]),
    "negative token id": (changed(eos_token_id=-2), ["eos_token_id", "negative"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_config_is_refused(case):
    """Catches a config that would load and compute something other than it says."""
    values, words = REFUSED[case]
    with pytest.raises(K2ReproError) as error:
        ModelConfig.from_dict(values)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "key",
    [
        "model_type",
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "max_position_embeddings",
        "rms_norm_eps",
        "rope_theta",
    ],
)
def test_missing_key_is_named(key):
    """Catches a default that silently stands in for a value the file should state."""
    values = without(key)
    values.pop("architectures")
    with pytest.raises(K2ReproError, match=f"'{key}' is missing"):
        ModelConfig.from_dict(values)


def test_unknown_preset_lists_those_that_exist():
    """Catches a bare KeyError where the user needs the list."""
    with pytest.raises(K2ReproError, match="did you mean 'k2-think'.*qwen2.5-72b"):
        ModelConfig.preset("k2think")


def test_preset_name_cannot_leave_its_folder():
    """Catches a preset name used as a path."""
    with pytest.raises(K2ReproError, match="unknown model preset"):
        ModelConfig.preset("../presets/k2-think")


def test_named_key_is_ignored_on_request():
    """Catches ignore_keys that does not reach the check."""
    assert ModelConfig.from_dict(changed(my_note="x"), ignore_keys=("my_note",)).vocab_size == 151936


def test_constructed_config_is_checked_too():
    """Catches validation that lives only in the JSON reader."""
    with pytest.raises(K2ReproError, match="not divisible"):
        ModelConfig(
            vocab_size=10,
            hidden_size=10,
            intermediate_size=10,
            num_hidden_layers=1,
            num_attention_heads=3,
            num_key_value_heads=1,
        )


@pytest.mark.parametrize("text", ['{"model_type": "qwen2", "hid', "[1, 2]", ""])
def test_cut_off_file_is_refused(tmp_path, text):
    """Catches half a config.json ending in a traceback of the JSON reader."""
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(K2ReproError, match="config"):
        ModelConfig.from_file(tmp_path)


def test_missing_file_is_named(tmp_path):
    """Catches an error that does not say which file was looked for."""
    with pytest.raises(K2ReproError, match=r"config\.json does not exist"):
        ModelConfig.from_file(tmp_path)
