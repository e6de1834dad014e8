"""Configs and checkpoints as they are found: read, counted or refused with the true cause."""

import json

import architecture_tiny as tiny
import pytest
import torch
from safetensors.torch import load_file, save_file

from k2repro.architecture import ModelConfig, count_parameters, load_pretrained, save_pretrained
from k2repro.errors import K2ReproError

SMALL = ModelConfig.preset("qwen2.5-0.5b").to_dict()
SEVEN = ModelConfig.preset("qwen2.5-7b").to_dict()
SEVEN_BILLION = 7_615_616_512
LAYERS = int(str(SMALL["num_hidden_layers"]))
# Keys and values from the config.json of the releases named.
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True}
LONG = {"chunk_size": 262144, "local_size": 8192, "original_max_position_embeddings": 262144}
SMOLLM2_135M = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "hidden_act": "silu",
    "hidden_size": 576,
    "initializer_range": 0.041666666666666664,
    "intermediate_size": 1536,
    "is_llama_config": True,
    "max_position_embeddings": 8192,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_interleaved": False,
    "rope_scaling": None,
    "rope_theta": 100000,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": 49152,
}

COUNTED = {
    "Qwen2.5-7B-Instruct-1M": {**SEVEN, "dual_chunk_attention_config": LONG},
    "AWQ": {**SEVEN, "quantization_config": AWQ},
    "GPTQ": {**SEVEN, "quantization_config": {"quant_method": "gptq", "bits": 8}},
    "fp8": {**SEVEN, "quantization_config": {"quant_method": "fp8"}},
    "bitsandbytes": {**SEVEN, "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
    "MLX": {**SEVEN, "quantization": {"group_size": 64, "bits": 4}},
    "sliding from beyond the last layer": {**SEVEN, "use_sliding_window": True, "max_window_layers": 28},
    "no experts": {**SEVEN, "num_experts": 0},
    "dropout of a fine-tuning": {**SEVEN, "attention_dropout": 0.1},
    "layer types of transformers 5": {**SEVEN, "layer_types": ["full_attention"] * 28},
    "head_dim null": {**SEVEN, "head_dim": None},
    "a dtype with its module": {**SEVEN, "torch_dtype": "torch.bfloat16"},
}

REFUSED = {
    "layer types as a word": (
        {**SMALL, "layer_types": "sliding_attention"},
        "must be a list, one kind for each",
    ),
    "layer types of another depth": (
        {**SMALL, "layer_types": ["full_attention"] * 3},
        f"each of {LAYERS} layers",
    ),
    "a layer that slides": (
        {**SMALL, "layer_types": ["full_attention"] * (LAYERS - 1) + ["sliding_attention"]},
        "'full_attention', because sliding-window",
    ),
    "layers that slide": (
        {**SMALL, "use_sliding_window": True, "max_window_layers": LAYERS - 1},
        "layers slide from",
    ),
    "sliding by a word": ({**SMALL, "use_sliding_window": "yes"}, "must be true or false"),
    "architecture as a word": ({**SMALL, "architectures": "Qwen2ForCausalLM"}, r"must be a list, \['Qwen2"),
    "two dtypes": (
        {**SMALL, "torch_dtype": "bfloat16", "dtype": "float32"},
        "'bfloat16' and dtype = 'float32'",
    ),
    "a Llama with biases": ({**SMOLLM2_135M, "attention_bias": True}, "without biases"),
    "a Llama 3.1 that leaves out where the stretch begins": (
        {**SMOLLM2_135M, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}},
        "'low_freq_factor' is missing",
    ),
    "interleaved rotation": ({**SMOLLM2_135M, "rope_interleaved": True}, "rope_interleaved"),
}


@pytest.mark.parametrize("name", COUNTED)
def test_a_valid_config_is_counted(name):
    """Catches a refusal of a first-party release, or of a quantised file whose shape is plain."""
    config = ModelConfig.from_dict(COUNTED[name])
    assert count_parameters(config).total == SEVEN_BILLION


@pytest.mark.parametrize("name", REFUSED)
def test_an_invalid_config_is_refused_for_its_own_reason(name):
    """Catches a layer that would be computed as another kind, and a message that says what is not so."""
    values, words = REFUSED[name]
    with pytest.raises(K2ReproError, match=words):
        ModelConfig.from_dict(values)


def test_a_quantised_config_is_refused_for_weights_in_one_line(tmp_path):
    """Catches packed integers read as weights, and a message of thousands of characters."""
    save_pretrained(tiny.random_model(tiny.tiny_config()), tmp_path)
    ignored = [f"model.layers.{layer}.mlp.down_proj" for layer in range(200)]
    change_config(tmp_path, quantization_config={"quant_method": "compressed-tensors", "ignore": ignored})
    with pytest.raises(K2ReproError, match=r"quantised weights \(compressed-tensors\)") as error:
        load_pretrained(tmp_path)
    assert len(str(error.value)) < 300 + len(str(tmp_path))
    assert load_pretrained(tmp_path, ignore_keys=("quantization_config",))


def change_config(directory, **changes):
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_smollm2_is_counted_as_published():
    """Catches biases counted in a model that has none: 134,515,008 is what its safetensors hold."""
    config = ModelConfig.from_dict(SMOLLM2_135M)
    assert not config.attention_bias
    assert count_parameters(config).total == 134_515_008
    assert count_parameters(ModelConfig.from_dict(SMALL)).total == 494_032_768


def test_early_llamas_state_less():
    """Catches a refusal of configs without key and value heads or a rotary base, and a wrong base."""
    values = {
        key: value for key, value in SMOLLM2_135M.items() if key not in ("num_key_value_heads", "rope_theta")
    }
    config = ModelConfig.from_dict(values)
    assert (config.num_key_value_heads, config.rope_theta) == (9, 10_000.0)


def test_a_llama_computes_what_transformers_computes(tmp_path):
    """Catches a Llama read as a Qwen2 with biases that are not there, or written as what it is not."""
    from transformers import AutoModelForCausalLM

    model = tiny.random_model(tiny.tiny_config(attention_bias=False, rope_theta=1e5))
    assert not any(name.endswith(".bias") for name, _ in model.named_parameters())
    save_pretrained(model, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert type(theirs).__name__ == "LlamaForCausalLM"
    tokens = tiny.random_tokens(2, 9)
    with torch.no_grad():
        ours = load_pretrained(tmp_path)(tokens)
        assert tiny.relative_difference(ours, theirs(tokens).logits) < tiny.TOLERANCE
    assert ModelConfig.from_file(tmp_path) == model.config


# Checkpoints


def saved(tmp_path):
    """A checkpoint folder and its model."""
    model = tiny.random_model(tiny.tiny_config())
    save_pretrained(model, tmp_path)
    return model


def rewrite(directory, change):
    """Rewrite the weights file after `change(tensors)`."""
    path = directory / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def test_one_file_with_an_index_is_one_set_of_weights(tmp_path):
    """Catches a refusal of what mlx-lm writes, with the advice to delete half of it."""
    model = saved(tmp_path)
    names = load_file(tmp_path / "model.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, "model.safetensors")}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    tokens = tiny.random_tokens(1, 5)
    assert torch.equal(load_pretrained(tmp_path)(tokens), model(tokens))


def test_an_index_beside_a_file_it_does_not_name_is_two_sets(tmp_path):
    """Catches stale weights loaded in place of new ones."""
    saved(tmp_path)
    index = {"weight_map": {"model.norm.weight": "model-00001-of-00001.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "model-00001-of-00001.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes())
    with pytest.raises(K2ReproError, match="two sets of weights"):
        load_pretrained(tmp_path)


CAUSES = {
    "torch.compile": ("_orig_mod.", "torch.compile"),
    "DDP": ("module.", "DistributedDataParallel"),
    "LoRA": ("base_model.model.", "LoRA adapter"),
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_prefix_is_named_with_its_cause(tmp_path, name):
    """Catches "two different models" for a model that was saved in its wrapping."""
    prefix, words = CAUSES[name]
    saved(tmp_path)
    rewrite(tmp_path, lambda tensors: {prefix + key: value for key, value in tensors.items()})
    with pytest.raises(K2ReproError, match=words):
        load_pretrained(tmp_path)


def test_a_model_without_its_head_is_named(tmp_path):
    """Catches "two different models" for a base model."""
    saved(tmp_path)
    rewrite(tmp_path, lambda tensors: {key.removeprefix("model."): value for key, value in tensors.items()})
    with pytest.raises(K2ReproError, match="without its head"):
        load_pretrained(tmp_path)


def test_another_model_is_still_called_one(tmp_path):
    """Catches a cause that is named for every checkpoint that does not fit."""
    saved(tmp_path)
    change_config(tmp_path, num_hidden_layers=3)
    with pytest.raises(K2ReproError, match="config and weights of two different models"):
        load_pretrained(tmp_path)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_pointer_of_git_lfs_is_named(tmp_path, file):
    """Catches "an interrupted download" for a clone without git-lfs."""
    saved(tmp_path)
    (tmp_path / file).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(K2ReproError, match="pointer of git-lfs"):
        load_pretrained(tmp_path)


def test_double_precision_is_not_called_quantised(tmp_path):
    """Catches the wrong cause for a checkpoint of float64."""
    saved(tmp_path)
    rewrite(tmp_path, lambda tensors: {key: value.double() for key, value in tensors.items()})
    with pytest.raises(K2ReproError, match="double precision"):
        load_pretrained(tmp_path)


def test_the_compiled_passes_refuse_a_llama():
    """Catches a missing bias that ends in a KeyError far from its cause."""
    from k2repro.fast.folding import Folding

    with pytest.raises(K2ReproError, match="use the plain decoder"):
        Folding(tiny.tiny_config(attention_bias=False), {})
