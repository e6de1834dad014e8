"""Which keys of a config.json change the computation, which do not, and which are refused.

An unknown key is refused rather than ignored: a key nobody reads is how a Qwen3 or a mixture of
experts would load as a Qwen2 and quietly compute something else.
"""

from collections.abc import Mapping
from pathlib import PurePath

from k2repro.errors import K2ReproError, unknown

# Keys that ModelConfig reads.
READ_KEYS = frozenset(
    {
        "model_type",
        "architectures",
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "max_position_embeddings",
        "rms_norm_eps",
        "rope_theta",
        "rope_scaling",
        "rope_parameters",
        "tie_word_embeddings",
        "initializer_range",
        "bos_token_id",
        "eos_token_id",
        "pad_token_id",
        "torch_dtype",
        "dtype",
    }
)

# Keys with one value that this decoder computes; any other value would change the result.
FIXED_KEYS: dict[str, tuple[tuple[object, ...], str]] = {
    "hidden_act": (("silu",), "the feed-forward block is SwiGLU"),
    "use_sliding_window": ((False, None), "sliding-window attention is not implemented"),
    "attention_dropout": ((0, 0.0, None), "there is no dropout; at inference 0.0 is the same"),
    "attention_bias": ((True, None), "q, k and v have a bias in every Qwen2"),
    "qkv_bias": ((True, None), "q, k and v have a bias in every Qwen2"),
    "mlp_bias": ((False, None), "the feed-forward block has no bias in any Qwen2"),
    "use_mrope": ((False, None), "multimodal rotary embedding belongs to Qwen2-VL"),
    "use_qk_norm": ((False, None), "query and key norms belong to Qwen3"),
    "partial_rotary_factor": ((1, 1.0, None), "the whole head is rotated in Qwen2"),
    "quantization_config": ((None,), "quantised weights need their own kernels"),
    "num_experts": ((None,), "mixtures of experts are another architecture"),
}

# Keys without influence on the logits: what the transformers library writes beside the architecture.
_INERT = """
_name_or_path _attn_implementation_autoset _commit_hash auto_map transformers_version use_cache
max_window_layers sliding_window layer_types tokenizer_class return_dict output_attentions
output_hidden_states chunk_size_feed_forward id2label label2id problem_type is_encoder_decoder
is_decoder add_cross_attention cross_attention_hidden_size tie_encoder_decoder torchscript
use_bfloat16 pruned_heads finetuning_task task_specific_params prefix sep_token_id
decoder_start_token_id bad_words_ids begin_suppress_tokens suppress_tokens diversity_penalty
do_sample early_stopping encoder_no_repeat_ngram_size exponential_decay_length_penalty
forced_bos_token_id forced_eos_token_id length_penalty max_length min_length
no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_scores
remove_invalid_values repetition_penalty return_dict_in_generate temperature tf_legacy_loss
top_k top_p typical_p unsloth_fixed unsloth_version pretraining_tp
"""
INERT_KEYS = frozenset(_INERT.split())


def check_keys(values: Mapping[str, object], ignore_keys: tuple[str, ...]) -> None:
    """Refuse keys that would change the computation or that nobody knows; raises K2ReproError."""
    for key, value in values.items():
        if key in ignore_keys or key in READ_KEYS:
            continue
        if key in FIXED_KEYS:
            accepted, reason = FIXED_KEYS[key]
            if value not in accepted:
                raise K2ReproError(f"{key} = {value!r}: must be {accepted[0]!r}, because {reason}")
        elif key not in INERT_KEYS:
            raise K2ReproError(
                f"{unknown('config key', key, READ_KEYS | FIXED_KEYS.keys())}. A key that is not read "
                "could change the computation; if it does not, name it in ignore_keys"
            )
    _refuse_sliding_layers(values)


def check_architecture(values: Mapping[str, object]) -> None:
    """Refuse everything but a Qwen2 language model, dense and with a head; raises K2ReproError."""
    architectures = values.get("architectures") or ["Qwen2ForCausalLM"]
    model_type = values.get("model_type")
    if model_type is None and not values.get("architectures"):
        raise K2ReproError(
            'config key \'model_type\' is missing; a Qwen2 config.json states "model_type": "qwen2". '
            "Usual cause: a file that is not a config.json"
        )
    if model_type not in (None, "qwen2"):
        raise unknown("model_type", model_type, ["qwen2"])
    if architectures != ["Qwen2ForCausalLM"]:
        raise unknown("architecture", architectures, ["Qwen2ForCausalLM"])


def check_shard_name(name: object) -> str:
    """A shard is a plain `*.safetensors` name: an index must not point outside its own folder."""
    if not isinstance(name, str) or PurePath(name).name != name:
        raise K2ReproError(f"shard {name!r}: must be a file name without a folder")
    if not name.endswith(".safetensors"):
        raise K2ReproError(
            f"shard {name!r}: only .safetensors is read; pickled weights can run code. Convert them first"
        )
    return name


def _refuse_sliding_layers(values: Mapping[str, object]) -> None:
    kinds = values.get("layer_types")
    if isinstance(kinds, list) and set(kinds) - {"full_attention"}:
        raise K2ReproError(
            f"layer_types holds {sorted(set(map(str, kinds)))}: every layer must be "
            "'full_attention', because sliding-window attention is not implemented"
        )
