"""Which keys of a config.json change the computation, which do not, and which are refused.

An unknown key is refused rather than ignored: a key nobody reads is how a Qwen3 or a mixture of
experts would load as a Qwen2 and quietly compute something else.
"""

from collections.abc import Mapping
from pathlib import Path, PurePath

from k2repro.errors import K2ReproError, unknown

_POINTER = b"version https://git-lfs"

# Sizes that every file states, and the other keys that ModelConfig reads.
SIZE_KEYS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
_OTHERS = """
model_type architectures head_dim rms_norm_eps rope_theta rope_scaling rope_parameters tie_word_embeddings
initializer_range bos_token_id eos_token_id pad_token_id torch_dtype dtype
"""
READ_KEYS = frozenset((*SIZE_KEYS, *_OTHERS.split()))

# Keys with one value that this decoder computes; any other value would change the result.
FIXED_KEYS: dict[str, tuple[tuple[object, ...], str]] = {
    "hidden_act": (("silu",), "the feed-forward block is SwiGLU"),
    "attention_bias": ((True, None), "q, k and v have a bias in every Qwen2"),
    "qkv_bias": ((True, None), "q, k and v have a bias in every Qwen2"),
    "mlp_bias": ((False, None), "the feed-forward block has no bias in any Qwen2"),
    "use_mrope": ((False, None), "multimodal rotary embedding belongs to Qwen2-VL"),
    "use_qk_norm": ((False, None), "query and key norms belong to Qwen3"),
    "partial_rotary_factor": ((1, 1.0, None), "the whole head is rotated in Qwen2"),
    "rope_interleaved": ((False, None), "dimension i is paired with i + D/2"),
    "num_experts": ((None, 0), "mixtures of experts are another architecture"),
}
# The same for a Llama, where they differ.
LLAMA_KEYS: dict[str, tuple[tuple[object, ...], str]] = {
    "attention_bias": ((False, None), "a Llama is read as a Qwen2 without biases"),
    "qkv_bias": ((False, None), "a Llama is read as a Qwen2 without biases"),
}
FAMILIES = {"qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}
# Keys with rules of their own, below.
RULED_KEYS = frozenset(
    {"quantization_config", "quantization", "use_sliding_window", "attention_dropout", "layer_types"}
)

# Keys without influence on the logits: what the transformers library writes beside the architecture.
# dual_chunk_attention_config (Qwen2.5-1M): vLLM's attention beyond 262,144 tokens; transformers ignores it.
_INERT = """
dual_chunk_attention_config transformers.js_config is_llama_config
_name_or_path _attn_implementation_autoset _commit_hash auto_map transformers_version use_cache
max_window_layers sliding_window tokenizer_class return_dict output_attentions
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


def check_keys(values: Mapping[str, object], ignore_keys: tuple[str, ...], family: str = "qwen2") -> None:
    """Refuse keys that would change the computation or that nobody knows; raises K2ReproError."""
    fixed = FIXED_KEYS | LLAMA_KEYS if family == "llama" else FIXED_KEYS
    for key, value in values.items():
        if key in ignore_keys or key in READ_KEYS or key in RULED_KEYS:
            continue
        if key in fixed:
            accepted, reason = fixed[key]
            if value not in accepted:
                raise K2ReproError(f"{key} = {value!r}: must be {accepted[0]!r}, because {reason}")
        elif key not in INERT_KEYS:
            raise K2ReproError(
                f"{unknown('config key', key, READ_KEYS | FIXED_KEYS.keys() | RULED_KEYS)}. "
                "A key that is not read could change the computation; if it does not, name it in ignore_keys"
            )
    _check_dropout(values.get("attention_dropout"))
    if not {"layer_types", "use_sliding_window"} & set(ignore_keys):
        _refuse_sliding(values)


def check_architecture(values: Mapping[str, object]) -> str:
    """ "qwen2" or "llama"; refuses all but a dense language model with a head. Raises K2ReproError."""
    architectures = values.get("architectures")
    model_type = values.get("model_type")
    if model_type is None and not architectures:
        raise K2ReproError(
            'config key \'model_type\' is missing; a Qwen2 config.json states "model_type": "qwen2". '
            "Usual cause: a file that is not a config.json"
        )
    if isinstance(architectures, str):
        raise K2ReproError(
            f"architectures = {architectures!r}: must be a list, [{architectures!r}]. "
            "Usual cause: a hand-written config.json"
        )
    if model_type is not None and model_type not in FAMILIES:
        raise unknown("model_type", model_type, FAMILIES)
    named = [family for family, name in FAMILIES.items() if architectures == [name]]
    family = str(model_type or (named[0] if named else "qwen2"))
    if architectures and architectures != [FAMILIES[family]]:
        raise unknown("architecture", architectures, [FAMILIES[family]])
    return family


def quantization_method(values: Mapping[str, object]) -> str | None:
    """How the weights are quantised, by the name that the file gives; None when they are not."""
    for key in ("quantization_config", "quantization"):
        stated = values.get(key)
        if isinstance(stated, Mapping):
            # MLX states only a group size and bits.
            return str(stated.get("quant_method") or f"{stated.get('bits', '?')}-bit")
        if stated is not None:
            raise K2ReproError(f"{key} = {stated!r}: must be a JSON object that names the method")
    return None


def refuse_pointer(path: Path) -> None:
    """Name a file that git left as a pointer; raises K2ReproError."""
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise K2ReproError(
                f"{path} is a pointer of git-lfs, not the file. Usual cause: a clone without git-lfs; "
                "run `git lfs pull` in the checkpoint's folder, or download the file"
            )


def check_shard_name(name: object) -> str:
    """A shard is a plain `*.safetensors` name: an index must not point outside its own folder."""
    if not isinstance(name, str) or PurePath(name).name != name:
        raise K2ReproError(f"shard {name!r}: must be a file name without a folder")
    if not name.endswith(".safetensors"):
        raise K2ReproError(
            f"shard {name!r}: only .safetensors is read; pickled weights can run code. Convert them first"
        )
    return name


def _check_dropout(value: object) -> None:
    """A probability, which at inference does nothing; here training has none either."""
    if value is not None and (
        isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1
    ):
        raise K2ReproError(f"attention_dropout = {value!r}: must be a probability below 1")


def _refuse_sliding(values: Mapping[str, object]) -> None:
    """Every layer must attend to everything, whichever key says so; raises K2ReproError."""
    layers, kinds = values.get("num_hidden_layers"), values.get("layer_types")
    if kinds is not None:
        if not isinstance(kinds, list) or len(kinds) != layers:
            raise K2ReproError(
                f"layer_types = {str(kinds)[:80]!r}: must be a list, one kind for each of {layers} layers"
            )
        if set(map(str, kinds)) - {"full_attention"}:
            raise K2ReproError(
                f"layer_types holds {sorted(set(map(str, kinds)))}: every layer must be "
                "'full_attention', because sliding-window attention is not implemented"
            )
    slides = values.get("use_sliding_window")
    if slides not in (None, False, True) or isinstance(slides, int) and not isinstance(slides, bool):
        raise K2ReproError(f"use_sliding_window = {slides!r}: must be true or false")
    first = values.get("max_window_layers")
    # transformers lets layers slide from max_window_layers on.
    none_slides = isinstance(first, int) and isinstance(layers, int) and first >= layers
    if slides and not none_slides and kinds is None:
        raise K2ReproError(
            f"use_sliding_window = True with max_window_layers = {first!r}: layers slide from there on, and "
            "sliding-window attention is not implemented"
        )
