"""The feed-forward of every layer from a Hugging Face configuration: dense, experts, or none.

Which layers are mixtures stands under a dozen names; every one of them is read, in the order in
which the families' own code looks.
"""

from dataclasses import dataclass

from k2repro.errors import K2ReproError
from k2repro.wafer.model.config_families import is_ungated
from k2repro.wafer.model.config_mixers import Keys, whole
from k2repro.wafer.model.shapes import Experts

_COUNT = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_PER_TOKEN = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "top_k_experts", "moe_k")
_WIDTH = ("moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size")
_SHARED_WIDTH = (
    "shared_expert_intermediate_size",
    "moe_shared_expert_intermediate_size",
    "shared_intermediate_size",
)
_SHARED_COUNT = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")


@dataclass(frozen=True)
class FeedForward:
    """experts: None for a dense model. shared_parameters: of all layers, what every token passes.
    plain: whether all are gated and stand beside a mixer, so that sizes alone say everything."""

    experts: Experts | None
    shared_parameters: int
    plain: bool


def _number(config: Keys, names: tuple[str, ...], name: str, least: int = 0) -> int | None:
    """A whole number under one of these keys, None without them; K2ReproError for one that is unreadable."""
    key = next((key for key in names if config.get(key) is not None), None)
    return None if key is None else whole(config[key], name, key, least)


def _layers_with_experts(config: Keys, kinds: list[str], name: str) -> int:
    """How many layers are mixtures; the others are dense."""

    def stated(*names: str) -> int | None:
        return _number(config, names, name)

    layers = len(kinds)
    if "moe" in kinds or "mlp" in kinds:
        return kinds.count("moe")
    listed, frequency = config.get("mlp_layer_types"), config.get("moe_layer_freq")
    if isinstance(listed, list):
        return sum(kind in ("sparse", "moe") for kind in listed)
    if isinstance(frequency, list):
        return sum(bool(each) for each in frequency)
    if isinstance(config.get("moe_layers"), list) and config["moe_layers"]:
        return len(config["moe_layers"])
    start, end = stated("moe_layer_start_index"), config.get("moe_layer_end_index")
    if start is not None:
        last = layers - 1 if not isinstance(end, int) or end < 0 else min(end, layers - 1)
        interval = stated("moe_layer_interval") or 1
        return sum((at + 1) % interval == 0 for at in range(start, last + 1))
    dense, every = stated("first_k_dense_replace", "num_dense_layers"), stated("moe_layer_freq")
    if dense is not None or every is not None:
        return sum(at % (every or 1) == 0 for at in range(dense or 0, layers))
    step = stated("interleave_moe_layer_step") or stated("decoder_sparse_step") or 1
    only = config.get("mlp_only_layers") or ()
    return sum((at + 1) % step == 0 and at not in only for at in range(layers))


def _shared_width(config: Keys, width: int, name: str) -> int:
    """Width of the feed-forward that every token passes beside its experts."""
    kind = str(config.get("model_type"))
    if kind.startswith("llama4"):
        return width
    if kind.startswith("gemma4"):
        return _number(config, ("intermediate_size",), name) or 0
    stated = _number(config, _SHARED_WIDTH, name)
    return stated if stated is not None else (_number(config, _SHARED_COUNT, name) or 0) * width


def _experts(config: Keys, kinds: list[str], hidden: int, name: str) -> Experts | None:
    count = _number(config, _COUNT, name)
    if count is None or count < 2 or config.get("enable_moe_block") is False:
        return None
    layers, matrices = _layers_with_experts(config, kinds, name), 2 if is_ungated(config) else 3
    if not layers:
        return None
    per_token, width = (_number(config, names, name, least=1) for names in (_PER_TOKEN, _WIDTH))
    if per_token is None or width is None:
        raise K2ReproError(
            f"{name}: {count} experts, but no {' or '.join(_PER_TOKEN[:2])} or no moe_intermediate_size; "
            "without them nobody can tell what a token reads"
        )
    inside = int(config.get("moe_latent_size") or hidden)
    usual = matrices == 3 and inside == hidden
    return Experts(
        count,
        per_token,
        width,
        layers,
        _shared_width(config, width, name),
        each=None if usual else matrices * inside * width,
    )


def _adjusted(config: Keys, ffn: int) -> int:
    """The width that LFM2 makes of the one in its file."""
    if not config.get("block_auto_adjust_ff_dim"):
        return ffn
    multiple = int(config.get("block_multiple_of") or 256)
    wanted = int(2 * ffn / 3 * float(config.get("block_ffn_dim_multiplier") or 1.0))
    return multiple * -(-wanted // multiple)


def read_feed_forward(config: Keys, kinds: list[str], sizes: dict[str, int], name: str) -> FeedForward:
    """The feed-forward of all layers. Raises K2ReproError for experts without their sizes."""
    hidden, matrices = sizes["hidden"], 2 if is_ungated(config) else 3
    experts = _experts(config, kinds, hidden, name)
    apart = "mlp" in kinds or "moe" in kinds
    mixtures = 0 if experts is None else experts.layers
    dense = kinds.count("mlp") if apart else len(kinds) - mixtures
    ffn = _adjusted(config, sizes["ffn"])
    if experts is None and config.get("shared_intermediate_size"):
        ffn = int(config["shared_intermediate_size"])
    shared = dense * matrices * hidden * ffn
    if experts is not None:
        latent = 2 * hidden * int(config.get("moe_latent_size") or 0)
        shared += experts.layers * (matrices * hidden * experts.shared + latent)
    return FeedForward(experts, shared, not apart and matrices == 3 and ffn == sizes["ffn"])
