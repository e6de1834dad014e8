"""What mixes tokens in one layer: attention of several kinds, delta nets, Mamba, short convolutions.

Sizes come from a Hugging Face configuration; norms, biases and routers (below 0.1 %) are left out.
Formulas are those of the modules in transformers 5.23; tests build the modules and count.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k2repro.errors import K2ReproError

Keys = Mapping[str, Any]


@dataclass(frozen=True)
class Mixer:
    """parameters: of one layer. cached: values that a token adds to the cache. windowed: whether it
    looks back a window only. state: values per sequence that every step reads and writes."""

    parameters: int
    cached: int = 0
    windowed: bool = False
    state: int = 0


def first(config: Keys, names: tuple[str, ...]) -> Any:
    """The first of these keys that has a value."""
    return next((config[name] for name in names if config.get(name) is not None), None)


def whole(value: Any, name: str, key: str, least: int = 1) -> int:
    """A size that is one number for all layers; K2ReproError for anything else."""
    if isinstance(value, list) and value and all(each == value[0] for each in value):
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise K2ReproError(f"{name}: {key} = {value!r} must be one whole number, the same for all layers")
    return value


def attention(config: Keys, hidden: int, index: int, *, windowed: bool) -> Mixer:
    """Grouped attention. Windowed and full layers may have other heads (MiMo: swa_*, Gemma 4: global_*)."""
    own = "swa_" if windowed else "global_"
    listed = config.get("num_attention_heads_per_layer")
    heads = listed[index] if isinstance(listed, list) else config.get(f"{own}num_attention_heads")
    heads = int(heads or first(config, ("num_attention_heads", "n_head", "n_heads")))
    kv = config.get("swa_num_key_value_heads" if windowed else "num_global_key_value_heads")
    kv = int(kv or first(config, ("num_key_value_heads", "num_kv_heads", "n_kv_heads")) or heads)
    kv = 1 if config.get("multi_query") and not config.get("new_decoder_architecture") else kv
    width = config.get(f"{own}head_dim") or first(config, ("head_dim", "attention_head_dim"))
    width = int(width or hidden // heads)
    value = int(config.get(f"{own}v_head_dim") or config.get("v_head_dim") or width)
    shared = bool(config.get("attention_k_eq_v")) and not windowed
    gated = bool(config.get("attn_output_gate") or config.get("attention_output_gate"))
    query = heads * width * (2 if gated else 1)
    values = 0 if shared else kv * value
    parameters = hidden * (query + kv * width + values + heads * value)
    return Mixer(parameters, kv * (width + value), windowed)


def latent_attention(config: Keys, hidden: int, heads: int) -> Mixer:
    """Multi-head latent attention of DeepSeek; with index_topk, the indexer of its sparse form."""
    rank, query_rank = int(config["kv_lora_rank"]), config.get("q_lora_rank")
    rope, nope = int(config.get("qk_rope_head_dim") or 0), int(config.get("qk_nope_head_dim") or 0)
    value = int(config.get("v_head_dim") or nope)
    width = heads * (nope + rope)
    query = hidden * query_rank + query_rank * width if query_rank else hidden * width
    rest = hidden * (rank + rope) + rank * heads * (nope + value) + heads * value * hidden
    index = 0
    if config.get("index_topk") and query_rank:
        wide, many = int(config["index_head_dim"]), int(config["index_n_heads"])
        index = query_rank * many * wide + hidden * (wide + many)
    return Mixer(query + rest + index, rank + rope)


def gated_delta(config: Keys, hidden: int) -> Mixer:
    """Gated delta net of Qwen3-Next, Qwen3.5 and OLMo hybrid."""
    heads = int(config["linear_num_value_heads"])
    key, value = int(config["linear_key_head_dim"]), int(config["linear_value_head_dim"])
    keys, values = int(config["linear_num_key_heads"]) * key, heads * value
    kernel = int(config.get("linear_conv_kernel_dim") or 4)
    channels = 2 * keys + values
    parameters = hidden * (2 * keys + 3 * values + 2 * heads) + channels * kernel
    return Mixer(parameters, state=heads * key * value + channels * (kernel - 1))


def mamba(config: Keys, hidden: int) -> Mixer:
    """Mamba 2 of Nemotron-H, Granite 4, Falcon-H1 and Bamba, which name its sizes differently."""
    heads = int(first(config, ("mamba_num_heads", "mamba_n_heads")))
    width = first(config, ("mamba_head_dim", "mamba_d_head"))
    expanded = int(config.get("mamba_expand") or config.get("expand") or 2) * hidden
    inner = int(config.get("mamba_d_ssm") or (expanded if width in (None, "auto") else heads * int(width)))
    groups = int(first(config, ("n_groups", "mamba_n_groups")) or 1)
    size = int(first(config, ("ssm_state_size", "mamba_d_state")))
    kernel = int(first(config, ("conv_kernel", "mamba_d_conv")) or 4)
    channels = inner + 2 * groups * size
    parameters = hidden * (2 * inner + 2 * groups * size + heads) + channels * kernel + inner * hidden
    return Mixer(parameters, state=inner * size + channels * (kernel - 1))


def lightning(config: Keys, hidden: int) -> Mixer:
    """Linear attention of MiniMax-Text-01 and M1: q, k, v, a gate and the output."""
    heads = int(config["num_attention_heads"])
    width = int(config.get("head_dim") or hidden // heads)
    return Mixer(5 * hidden * heads * width, state=heads * width * width)


def short_convolution(config: Keys, hidden: int) -> Mixer:
    """The gated convolution of LFM2: three projections in, one out."""
    reach = int(config.get("conv_L_cache") or 3)
    return Mixer(4 * hidden * hidden + hidden * reach, state=hidden * (reach - 1))


def both(left: Mixer, right: Mixer) -> Mixer:
    """Two mixers side by side in one layer (Falcon-H1)."""
    return Mixer(
        left.parameters + right.parameters,
        left.cached + right.cached,
        left.windowed,
        left.state + right.state,
    )
