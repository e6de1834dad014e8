"""Families of decoders by their `model_type`: which were counted, which are something else.

An architecture with parts that the emulator does not know is refused, and the part is named. One
that nobody has looked at is read as a plain decoder and its answer says so.
"""

from collections.abc import Mapping
from typing import Any

# Counted against the modules of transformers 5.23 to 1 % (most to 0.1 %).
_COUNTED = (
    "afmoe", "apertus", "arcee", "aria_text", "axk1", "axk2", "bamba", "beam", "biogpt", "bitnet",
    "bloom", "codegen", "cohere", "cohere2", "cohere2_moe", "cwm", "deepseek_v3", "deepseek_v32",
    "diffllama", "dots1", "emu3", "ernie4_5", "ernie4_5_moe", "exaone4", "exaone_moe", "falcon",
    "falcon_h1", "flex_olmo", "flint", "fuyu", "gemma", "gemma2", "gemma3", "gemma3_text", "gemma4",
    "gemma4_text", "gemma4_unified", "gemma4_unified_text", "glm", "glm4", "glm4_moe", "glm4_moe_lite",
    "glm_moe_dsa", "gpt2", "gpt_bigcode", "gpt_neox", "gpt_neox_japanese", "gpt_oss", "gptj", "granite",
    "granite_swa", "granitemoe", "granitemoe_swa", "granitemoehybrid", "granitemoeshared", "helium",
    "hunyuan_v1_dense", "hunyuan_v1_moe", "hy_v3", "hyperclovax", "internlm3", "iquestcoder", "jais2",
    "kimi_k25", "kolibri1", "laguna", "lfm2", "lfm2_moe", "llama", "llama4", "llama4_text", "mellum",
    "mimo_v2_flash", "minicpm3", "minimax", "minimax_m2", "minimax_m3_vl_text", "ministral3", "mistral",
    "mixtral", "mllama", "mllama_text_model", "mpt", "nanochat", "nemotron", "nemotron_h", "olmo",
    "olmo2", "olmo3", "olmo_hybrid", "olmoe", "persimmon", "phi", "phi3", "phimoe", "qwen2",
    "qwen2_moe", "qwen3", "qwen3_5", "qwen3_5_moe", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_moe",
    "qwen3_next", "qwen3_vl", "qwen3_vl_moe", "qwen3_vl_moe_text", "qwen3_vl_text", "seed_oss",
    "smollm3", "solar_open", "stablelm", "starcoder2", "step3p7", "step3p7_text", "vaultgemma", "youtu",
)  # fmt: skip
# The same architectures under other names, and two whose published totals come out.
_ELSEWHERE = (
    "kimi_k2", "deepseek_v2", "minimax_m1", "minimax_text_01", "minimax_m3", "mistral3", "ministral",
)  # fmt: skip
CHECKED = frozenset((*_COUNTED, *_ELSEWHERE))
# Whose embedding is tied where the file does not say (defaults of transformers 5.23).
TIED = (
    "gemma", "gemma2", "gemma3", "gemma3_text", "gemma4", "gemma4_text", "gemma4_unified",
    "gemma4_unified_text", "cohere", "cohere2", "cohere2_moe", "gpt2", "lfm2", "lfm2_moe", "smollm3",
    "starcoder2", "falcon", "ernie4_5", "ernie4_5_moe", "opt", "bloom", "mpt", "vaultgemma", "biogpt",
    "gpt_bigcode",
    "gpt_neox_japanese", "granite_swa", "minicpm3", "youtu",
)  # fmt: skip
# Feed-forwards without a gate: two matrices. So are all with these activations.
UNGATED = (
    "starcoder2", "gpt_neox", "gpt_neox_japanese", "gptj", "gpt2", "gpt_bigcode", "gpt_neo", "codegen", "phi",
    "opt", "falcon", "bloom", "mpt", "persimmon", "fuyu", "biogpt", "xglm",
)  # fmt: skip
UNGATED_ACTIVATIONS = ("relu", "relu2", "xielu", "squared_relu")
# What a family's own code adds where the file is silent: Qwen's gate as wide as the query, a rule of
# LFM2, and sizes that published Gemma 3 files leave out.
_GATE = {"attn_output_gate": True}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "qwen3_next": _GATE,
    "qwen3_5": _GATE,
    "qwen3_5_text": _GATE,
    "qwen3_5_moe": _GATE,
    "qwen3_5_moe_text": _GATE,
    "lfm2": {"block_auto_adjust_ff_dim": True},
    "gemma3_text": {
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 262208,
    },
}

_DELTA = "Kimi delta attention"
_STATE_SPACE = "state-space layers and no attention"
_UNKNOWN_TYPES = {
    "jamba": "Mamba-1 layers",
    "zamba": "Mamba-1 layers and shared blocks",
    "zamba2": "blocks that several layers share",
    "kimi_linear": _DELTA,
    "kimi_k3": _DELTA,
    "bailing_hybrid": _DELTA,
    "recurrent_gemma": "recurrent units (RG-LRU)",
    "rwkv": "recurrent layers and no attention",
    "rwkv6": "recurrent layers and no attention",
    "rwkv7": "recurrent layers and no attention",
    "xlstm": "recurrent layers and no attention",
    "mamba": _STATE_SPACE,
    "mamba2": _STATE_SPACE,
    "falcon_mamba": _STATE_SPACE,
    "gemma3n": "per-layer embeddings, side paths and layers that share a cache",
    "gemma3n_text": "per-layer embeddings, side paths and layers that share a cache",
    "hrm_text": "layers that a token passes several times",
    "longcat_flash": "experts without weights, so that tokens differ in what they read",
    "doge": "a dynamic mask and retrieved experts",
    "jetmoe": "experts inside attention",
    "blt": "bytes grouped into patches by a second model",
    "lfm3": "convolutions of a kind that was never counted",
    "dbrx": "sizes kept under attn_config and ffn_config",
    "dots3_note": "layers that differ in heads and ranks",
    "dots3_note_text": "layers that differ in heads and ranks",
    "phi4_multimodal": "adapters of two other senses",
    "moshi": "speech decoded by a second model",
    "moss_transcribe_diarize": "speech decoded by a second model",
    "modernbert-decoder": "a layer before the output that was never counted",
    "git": "a picture encoder in front of an encoder's blocks",
}
_UNKNOWN_KEYS = {
    "hidden_size_per_layer_input": "per-layer embeddings",
    "block_configs": "layers that differ one by one (found by a search)",
    "compress_ratios": "a cache compressed in blocks",
    "compress_rates": "a cache compressed in blocks",
    "hc_mult": "several residual streams (hyper-connections)",
    "zero_expert_num": "experts without weights, so that tokens differ in what they read",
    "linear_attn_config": _DELTA,
    "lru_width": "recurrent units (RG-LRU)",
    "is_encoder_decoder": "an encoder beside the decoder",
    "num_kv_shared_layers": "layers that share a cache",
}
_ENCODERS = (
    "bert", "roberta", "electra", "camembert", "xlm", "albert", "deberta", "ernie", "rembert", "roformer",
    "big_bird", "data2vec", "megatron-bert", "modernbert", "nomic_bert", "clip", "siglip", "vit", "roc_bert",
    "xmod", "distilbert", "mpnet", "layoutlm", "layoutlmv2", "layoutlmv3", "longformer", "convbert", "esm",
    "esmc", "eurobert", "flaubert", "fnet", "funnel", "gte", "ibert", "jina_embeddings_v3", "luke",
    "mobilebert", "modernvbert", "mra", "neomme", "nystromformer", "perceiver", "squeezebert", "tapas",
    "ultrabert", "ultravbert", "yoso", "altclip", "chinese_clip", "clipseg", "metaclip_2", "siglip2",
    "tipsv2", "xclip",
)  # fmt: skip


def unknown_part(config: Mapping[str, Any]) -> str:
    """What in this architecture the emulator does not know, in words; empty if nothing is known to be."""
    kind = str(config.get("model_type") or "")
    if kind in _UNKNOWN_TYPES:
        return _UNKNOWN_TYPES[kind]
    if kind not in CHECKED and any(
        kind == name or kind.startswith((f"{name}-", f"{name}_")) for name in _ENCODERS
    ):
        return "an encoder, which decodes nothing token by token"
    return next((part for key, part in _UNKNOWN_KEYS.items() if config.get(key)), "")


def is_ungated(config: Mapping[str, Any]) -> bool:
    """Whether a feed-forward has two matrices instead of three."""
    activation = config.get("hidden_act") or config.get("mlp_hidden_act") or config.get("activation_function")
    kind = config.get("model_type")
    return kind in UNGATED or (activation in UNGATED_ACTIVATIONS and kind != "bitnet")
