"""The shape of any decoder from its Hugging Face `config.json`.

Only sizes are read: what a decode step reads and computes. Quantisation, rotary embeddings and
whatever else the file holds do not matter here. Families whose sizes stand under other names are
listed in `_NAMES`; an architecture without the needed keys is refused with the keys that it lacks.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.wafer.model.shapes import Experts, ModelShape

# For every size: the keys under which families store it, most common first.
_NAMES: dict[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model", "dim"),
    "q_heads": ("num_attention_heads", "n_head", "n_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_kv_heads"),
    "ffn": ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", "moe_intermediate_size"),
    "vocab": ("vocab_size", "padded_vocab_size"),
}
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_PER_TOKEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "top_k_experts", "moe_k")
_WIDTH = ("moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size")
# Families whose embedding is tied unless the file says otherwise (defaults of transformers 5.23).
_TIED = ("gemma", "gemma2", "gemma3", "gemma3_text", "cohere", "cohere2", "gpt2")


def _first(config: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((config[key] for key in keys if config.get(key) is not None), None)


def _text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model of a file that also describes a vision tower."""
    for key in ("text_config", "llm_config", "language_config"):
        inner = config.get(key)
        if isinstance(inner, Mapping) and _first(inner, _NAMES["layers"]) is not None:
            return {"tie_word_embeddings": config.get("tie_word_embeddings"), **inner}
    return config


def _layers_with_experts(config: Mapping[str, Any], layers: int) -> int:
    """How many layers are mixtures; the others are dense."""
    dense = config.get("first_k_dense_replace")
    if isinstance(dense, int):
        return layers - dense
    step = config.get("interleave_moe_layer_step") or config.get("decoder_sparse_step") or 1
    listed = config.get("moe_layers")
    if isinstance(listed, list) and listed:
        return len(listed)
    return layers // int(step) - len(config.get("mlp_only_layers") or ())


def _experts(config: Mapping[str, Any], layers: int, name: str) -> Experts | None:
    count = _first(config, _EXPERTS)
    if not isinstance(count, int) or count < 2:
        return None
    per_token, width = _first(config, _PER_TOKEN), _first(config, _WIDTH)
    if not isinstance(per_token, int) or not isinstance(width, int):
        raise K2ReproError(
            f"{name}: {count} experts, but no {' or '.join(_PER_TOKEN[:2])} or no moe_intermediate_size; "
            "without them nobody can tell what a token reads"
        )
    shared = config.get("shared_expert_intermediate_size") or (config.get("n_shared_experts") or 0) * width
    if config.get("model_type") in ("llama4", "llama4_text"):
        shared = width
    return Experts(count, per_token, width, _layers_with_experts(config, layers), int(shared))


def _compressed_attention(
    config: Mapping[str, Any], hidden: int, heads: int
) -> tuple[int | None, int | None]:
    """(values cached per token, parameters) of a layer of multi-head latent attention, or None, None."""
    rank = config.get("kv_lora_rank")
    if not isinstance(rank, int):
        return None, None
    rope, nope = int(config.get("qk_rope_head_dim") or 0), int(config.get("qk_nope_head_dim") or 0)
    value, query_rank = int(config.get("v_head_dim") or nope), config.get("q_lora_rank")
    width = heads * (nope + rope)
    query = hidden * query_rank + query_rank * width if query_rank else hidden * width
    rest = hidden * (rank + rope) + rank * heads * (nope + value) + heads * value * hidden
    return rank + rope, query + rest


def _window(config: Mapping[str, Any], layers: int) -> tuple[int | None, int]:
    """(tokens, layers) of layers that look back a window only."""
    window = config.get("sliding_window") or config.get("attention_chunk_size")
    if not isinstance(window, int) or config.get("use_sliding_window") is False:
        return None, 0
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        return window, sum(kind in ("sliding_attention", "chunked_attention") for kind in kinds)
    pattern = config.get("sliding_window_pattern")
    if isinstance(pattern, int) and pattern > 1:
        return window, layers - layers // pattern
    kind = str(config.get("model_type"))
    if kind in ("gemma2", "gpt_oss"):
        return window, layers // 2
    if kind.startswith("gemma3"):
        return window, layers - layers // 6
    return window, layers if kind in ("mistral", "phi3") else 0


def read_config(config: Mapping[str, Any], name: str = "model") -> ModelShape:
    """The shape that a configuration describes.

    Raises K2ReproError naming the keys that are missing, the architecture, and the usual cause.
    """
    text = _text_part(config)
    sizes = {size: _first(text, keys) for size, keys in _NAMES.items()}
    kind = text.get("model_type") or config.get("model_type") or "unnamed"
    sizes["kv_heads"] = sizes["kv_heads"] or sizes["q_heads"]
    missing = [_NAMES[size][0] for size, value in sizes.items() if value is None]
    if missing:
        raise K2ReproError(
            f"{name}: architecture {kind!r} is not understood; missing key(s) {', '.join(missing)} "
            f"(also looked for under {', '.join(key for size in sizes for key in _NAMES[size][1:])})"
        )
    layers, hidden, heads = (int(sizes[size]) for size in ("layers", "hidden", "q_heads"))
    kv_width, attention = _compressed_attention(text, hidden, heads)
    window, windowed = _window(text, layers)
    tied = text.get("tie_word_embeddings")
    return ModelShape(
        name,
        layers=layers,
        hidden=hidden,
        q_heads=heads,
        kv_heads=int(sizes["kv_heads"]),
        head_dim=int(text.get("head_dim") or hidden // heads),
        ffn=int(text.get("intermediate_size_mlp") or sizes["ffn"]),
        vocab=int(sizes["vocab"]),
        tied=str(kind) in _TIED if tied is None else bool(tied),
        experts=_experts(text, layers, name),
        kv_width=kv_width,
        attention_parameters=attention,
        window=window,
        windowed_layers=windowed,
    )


def read_config_file(path: str | Path) -> ModelShape:
    """The shape in a config.json, or in the folder that holds one; K2ReproError when it cannot be read."""
    file = Path(path)
    file = file / "config.json" if file.is_dir() else file
    try:
        content = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise K2ReproError(f"{str(file)!r} cannot be read: {error.strerror}") from None
    except ValueError:
        raise K2ReproError(f"{str(file)!r} is not JSON; give a Hugging Face config.json") from None
    if not isinstance(content, Mapping):
        raise K2ReproError(f"{str(file)!r} holds no configuration: a JSON object is needed")
    named = file.parent.name if file.name == "config.json" else file.stem
    return read_config(content, name=named or "model")
