"""The shape of any decoder from its Hugging Face `config.json`.

Only sizes are read: what a decode step reads and computes. Quantisation, rotary embeddings and
whatever else the file holds do not matter here. Layers may differ: full and windowed attention,
delta nets, Mamba and convolutions (`config_mixers.py`) are counted one by one. What the emulator
does not know is refused by name (`config_families.py`), never counted as something else.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.wafer.model import config_families as families
from k2repro.wafer.model import config_mixers as mixers
from k2repro.wafer.model.config_feed_forward import FeedForward, read_feed_forward
from k2repro.wafer.model.config_mixers import Keys, Mixer, first, whole
from k2repro.wafer.model.shapes import ModelShape

# For every size: the keys under which families store it, most common first.
_NAMES: dict[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model", "dim"),
    "q_heads": ("num_attention_heads", "n_head", "n_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_kv_heads"),
    "ffn": (
        "intermediate_size_mlp",
        "dense_intermediate_size",
        "intermediate_size",
        "ffn_hidden_size",
        "n_inner",
        "ffn_dim",
        "moe_intermediate_size",
    ),
    "vocab": ("vocab_size", "padded_vocab_size"),
}
# What families call the kinds of their layers.
_KINDS = {
    "full_attention": "attention",
    "attention": "attention",
    "global_attention": "attention",
    "indexed_attention": "attention",
    "deepseek_sparse_attention": "attention",
    "sliding_attention": "windowed",
    "chunked_attention": "windowed",
    "linear_attention": "linear",
    "mamba": "mamba",
    "mamba2": "mamba",
    "conv": "convolution",
    "mlp": "mlp",
    "moe": "moe",
}
_PATTERN = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}


def _text_part(config: Keys) -> Keys:
    """The language model of a file that also describes a vision tower."""
    for key in ("text_config", "llm_config", "language_config", "thinker_config"):
        inner = config.get(key)
        if isinstance(inner, Mapping) and (
            first(inner, _NAMES["layers"]) is not None or "layers_block_type" in inner
        ):
            return {"tie_word_embeddings": config.get("tie_word_embeddings"), **inner}
        if isinstance(inner, Mapping) and isinstance(inner.get("text_config"), Mapping):
            return _text_part(inner)
    return config


def _window(config: Keys, layers: int) -> tuple[int | None, int]:
    """(tokens, layers) of layers that look back a window only, where no list says which."""
    window = config.get("sliding_window") or config.get("attention_chunk_size")
    if not isinstance(window, int) or config.get("use_sliding_window") is False:
        return None, 0
    pattern = config.get("sliding_window_pattern")
    if isinstance(pattern, int) and pattern > 1:
        return window, layers - layers // pattern
    if isinstance(pattern, str) and pattern:
        return window, sum(pattern[at % len(pattern)] == "L" for at in range(layers))
    kind, from_layer = str(config.get("model_type")), config.get("max_window_layers")
    if kind.startswith("qwen2") and isinstance(from_layer, int):
        return window, max(layers - from_layer, 0)
    if kind in ("gemma2", "gpt_oss"):
        return window, layers // 2
    if kind.startswith("llama4"):
        return window, layers - layers // 4
    if kind.startswith("gemma3"):
        return window, layers - layers // 6
    return window, layers if kind in ("mistral", "phi3") else 0


def _listed_kinds(config: Keys) -> list[str] | None:
    """The kind of every layer as the file lists it, or None."""
    pattern = config.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return [_PATTERN.get(letter, letter) for letter in pattern]
    if isinstance(config.get("hybrid_layer_pattern"), list):
        return ["windowed" if narrow else "attention" for narrow in config["hybrid_layer_pattern"]]
    if isinstance(config.get("attn_type_list"), list):
        return ["attention" if full else "linear" for full in config["attn_type_list"]]
    listed = config.get("layers_block_type") or config.get("layer_types")
    return [_KINDS.get(kind, str(kind)) for kind in listed] if isinstance(listed, list) else None


def _kinds(config: Keys, layers: int, name: str) -> list[str]:
    """The kind of every layer; K2ReproError for a list of another length and for unknown kinds."""
    kinds = _listed_kinds(config)
    interval = config.get("full_attention_interval")
    chosen = first(config, ("attn_layer_indices", "full_attn_idxs"))
    if kinds is None and isinstance(interval, int) and "linear_num_value_heads" in config:
        kinds = ["linear" if (at + 1) % interval else "attention" for at in range(layers)]
    if kinds is None and config.get("model_type") == "bamba":
        chosen = chosen or []
    if kinds is None and isinstance(chosen, list):
        other = "convolution" if "conv_L_cache" in config else "mamba"
        kinds = ["attention" if at in chosen else other for at in range(layers)]
    if kinds is None:
        _, windowed = _window(config, layers)
        return ["attention"] * (layers - windowed) + ["windowed"] * windowed
    if len(kinds) != layers:
        raise K2ReproError(
            f"{name}: {len(kinds)} layers are listed and {layers} stated; one of the two is of another model"
        )
    strange = sorted(set(kinds) - set(_KINDS.values()))
    if strange:
        raise K2ReproError(
            f"{name}: layers of kind {', '.join(map(repr, strange))} are not modelled; known are "
            f"{', '.join(sorted(_KINDS))}"
        )
    return kinds


def _mixer(config: Keys, kind: str, index: int, hidden: int, heads: int) -> Mixer:
    """What mixes tokens in one layer of that kind."""
    apart = config.get("per_layer_config")
    if isinstance(apart, Mapping) and isinstance(apart.get(f"{index:02d}"), Mapping):
        config = {**config, **apart[f"{index:02d}"]}
    if kind == "linear" and "linear_num_value_heads" in config:
        return mixers.gated_delta(config, hidden)
    if kind == "linear" and str(config.get("model_type")).startswith("minimax"):
        return mixers.lightning(config, hidden)
    if kind in ("mamba", "linear") and first(config, ("mamba_n_heads", "mamba_num_heads")):
        return mixers.mamba(config, hidden)
    if kind == "convolution":
        return mixers.short_convolution(config, hidden)
    if kind in ("mamba", "linear"):
        raise K2ReproError(
            f"{config.get('model_type')!r} has {kind} layers of a kind that was never counted; known are "
            "gated delta nets, Mamba 2 and the lightning attention of MiniMax"
        )
    if isinstance(config.get("kv_lora_rank"), int):
        return mixers.latent_attention(config, hidden, heads)
    plain = mixers.attention(config, hidden, index, windowed=kind == "windowed")
    beside = config.get("model_type") == "falcon_h1"
    return mixers.both(plain, mixers.mamba(config, hidden)) if beside else plain


def _sizes(text: Keys, kind: str, name: str) -> dict[str, int]:
    """Every size as a whole number; K2ReproError naming the keys that are missing."""
    sizes = {size: first(text, keys) for size, keys in _NAMES.items()}
    listed = _listed_kinds(text)
    sizes["layers"] = sizes["layers"] or (len(listed) if listed else None)
    sizes["kv_heads"] = sizes["kv_heads"] or sizes["q_heads"]
    if kind in families.UNGATED and sizes["hidden"]:
        sizes["ffn"] = sizes["ffn"] or 4 * sizes["hidden"]
    missing = [_NAMES[size][0] for size, value in sizes.items() if value is None]
    missing = [key.removesuffix("_mlp") for key in missing]
    if missing:
        raise K2ReproError(
            f"{name}: architecture {kind!r} is not understood; missing key(s) {', '.join(missing)} "
            f"(also looked for under {', '.join(key for size in sizes for key in _NAMES[size][1:])})"
        )
    return {size: whole(value, name, _NAMES[size][0]) for size, value in sizes.items()}


def read_config(config: Keys, name: str = "model") -> ModelShape:
    """The shape that a configuration describes.

    Raises K2ReproError naming the keys that are missing, or the part of the architecture that the
    emulator does not know.
    """
    text = _text_part(config)
    kind = str(text.get("model_type") or config.get("model_type") or "unnamed")
    part = families.unknown_part({**text, "model_type": kind})
    if part:
        raise K2ReproError(f"{name}: architecture {kind!r} has {part}; the emulator has no model of that")
    text = {**families.DEFAULTS.get(kind, {}), **text}
    sizes = _sizes(text, kind, name)
    kinds = _kinds(text, sizes["layers"], name)
    try:
        mixed = [
            _mixer(text, each, at, sizes["hidden"], sizes["q_heads"])
            for at, each in enumerate(kinds)
            if each not in ("mlp", "moe")
        ]
        fed = read_feed_forward(text, kinds, sizes, name)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        if isinstance(error, K2ReproError):
            raise
        raise K2ReproError(
            f"{name}: architecture {kind!r}: a size is missing or is no number ({error}); "
            "was the file cut or edited?"
        ) from None
    tied = first(text, ("tie_word_embeddings", "tie_embedding"))
    return _shape(text, kind, name, sizes, mixed, fed, kind in families.TIED if tied is None else bool(tied))


def _shape(
    text: Keys, kind: str, name: str, sizes: dict[str, int], mixed: list[Mixer], fed: FeedForward, tied: bool
) -> ModelShape:
    """The layers added up; what is the same in every layer stays a number per layer."""
    hidden, heads, kv_heads = sizes["hidden"], sizes["q_heads"], sizes["kv_heads"]
    width = int(first(text, ("head_dim", "attention_head_dim")) or hidden // heads)
    usual = Mixer(hidden * width * 2 * (heads + kv_heads), 2 * kv_heads * width)
    alike = {(each.parameters, each.cached, each.state) for each in mixed}
    one = mixed[0] if len(alike) == 1 else None
    plain = one is not None and not one.state and fed.plain
    window, _ = _window({**text, "use_sliding_window": True}, sizes["layers"])
    windowed = [each for each in mixed if each.windowed]
    # Named per layer only where all layers are alike and differ from the usual.
    unusual = one if plain and one is not None and one != replace(usual, windowed=one.windowed) else None
    compressed = unusual is not None and unusual.cached != usual.cached
    return ModelShape(
        name,
        layers=len(mixed),
        hidden=hidden,
        q_heads=heads,
        kv_heads=kv_heads,
        head_dim=width,
        ffn=sizes["ffn"],
        vocab=sizes["vocab"],
        tied=tied,
        experts=fed.experts,
        kv_width=unusual.cached if unusual is not None and compressed else None,
        attention_parameters=None if unusual is None else unusual.parameters,
        window=window if windowed else None,
        windowed_layers=len(windowed),
        shared_parameters=None if plain else sum(each.parameters for each in mixed) + fed.shared_parameters,
        cache_values=None if plain else sum(each.cached for each in mixed),
        windowed_values=None if plain else sum(each.cached for each in windowed),
        attention_layers=None if plain else sum(each.cached > 0 for each in mixed),
        state_values=sum(each.state for each in mixed),
        note=_note(text, kind, any(each.state for each in mixed)),
    )


def _note(text: Keys, kind: str, recurrent: bool) -> str:
    """What a reader of the answer should know about how the file was read."""
    found = []
    if kind not in families.CHECKED:
        found.append(f"architecture {kind!r} was never checked here and is read as a plain decoder")
    if recurrent:
        found.append("no measured rate of a model with recurrent layers was fitted")
    if text.get("index_topk") or text.get("sparse_attention_config"):
        found.append("sparse attention is counted as if it read the whole cache")
    return "; ".join(found)


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
