"""Model shapes: what a decode step must read and compute, dense or with experts.

A `ModelShape` is the small part of an architecture that decides decode speed. It comes by name from
`data/model_shapes.csv`, from a `k2repro.architecture.ModelConfig`, or from any Hugging Face
`config.json` (`configs.py`). A decode step reads every block and the output head, but only one row
of the input embedding: counting the whole embedding would slow a small model by up to 40 %. Of a
mixture it reads the experts that its tokens chose, while all of them must be resident.
"""

import functools
import math
from dataclasses import dataclass, replace

from k2repro.architecture.config import ModelConfig
from k2repro.errors import K2ReproError
from k2repro.reading import shipped_lines


@dataclass(frozen=True)
class Experts:
    """Routed experts of a mixture. Sizes per layer.

    count: experts; per_token: how many a token chooses; width: their feed-forward width. shared:
    width of the feed-forward that every token passes beside them (0: none). layers: layers that
    have experts; the others are dense with the shape's `ffn`. each: parameters of one expert, where
    they are not those of a gated feed-forward of that width.
    """

    count: int
    per_token: int
    width: int
    layers: int
    shared: int = 0
    each: int | None = None

    def parameters(self, hidden: int) -> int:
        """Parameters of one expert."""
        return 3 * hidden * self.width if self.each is None else self.each


@dataclass(frozen=True)
class ModelShape:
    """Shape of a decoder with gated feed-forward blocks.

    experts: None for a dense model. kv_width: values that a token caches per layer, where it is not
    2 x kv_heads x head_dim (compressed attention). attention_parameters: of one layer, where they
    are not those of plain q, k, v, o. window, windowed_layers: layers that look back so many tokens
    only. exact: False where only the size was known and the shape is a guess.
    Where layers differ among themselves: shared_parameters (of all blocks, without routed experts),
    cache_values (that a token caches, all layers), windowed_values (those of windowed layers),
    attention_layers. state_values: recurrent state of a sequence, read and written by every step.
    note: what a reader of an answer should know about the shape.
    Raises K2ReproError when a size is not a positive whole number or the experts make no sense.
    """

    name: str
    layers: int
    hidden: int
    q_heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    tied: bool = False
    experts: Experts | None = None
    kv_width: int | None = None
    attention_parameters: int | None = None
    window: int | None = None
    windowed_layers: int = 0
    exact: bool = True
    shared_parameters: int | None = None
    cache_values: int | None = None
    windowed_values: int | None = None
    attention_layers: int | None = None
    state_values: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        for field in ("layers", "hidden", "q_heads", "kv_heads", "head_dim", "ffn", "vocab"):
            self._require(field, getattr(self, field))
        if self.experts is None:
            return
        for field, value in vars(self.experts).items():
            if field not in ("shared", "each"):
                self._require(f"experts.{field}", value)
        if self.experts.per_token > self.experts.count:
            raise K2ReproError(
                f"model {self.name!r}: {self.experts.per_token} experts a token of "
                f"{self.experts.count} experts; a token cannot choose more than there are"
            )
        if self.experts.layers > self.layers:
            raise K2ReproError(
                f"model {self.name!r}: {self.experts.layers} layers with experts of {self.layers} layers"
            )

    def _require(self, field: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
            raise K2ReproError(
                f"model {self.name!r}: {field} = {value!r} must be a positive whole number; "
                "check the units and the column of the configuration"
            )

    @property
    def head_parameters(self) -> int:
        """Parameters of the output head (vocab x hidden), read once per step."""
        return self.vocab * self.hidden

    @property
    def expert_parameters(self) -> int:
        """Parameters of all routed experts of all layers; 0 for a dense model."""
        experts = self.experts
        return 0 if experts is None else experts.layers * experts.count * experts.parameters(self.hidden)

    @property
    def active_expert_parameters(self) -> int:
        """Parameters of the routed experts that one token passes."""
        experts = self.experts
        return 0 if experts is None else experts.layers * experts.per_token * experts.parameters(self.hidden)

    @property
    def _shared_block_parameters(self) -> int:
        """Parameters of all blocks that every token passes: attention, dense and shared parts."""
        if self.shared_parameters is not None:
            return self.shared_parameters
        attention = self.attention_parameters
        if attention is None:
            attention = self.hidden * self.head_dim * (2 * self.q_heads + 2 * self.kv_heads)
        experts = self.experts
        dense_layers = self.layers if experts is None else self.layers - experts.layers
        shared = 0 if experts is None else experts.layers * 3 * self.hidden * experts.shared
        return self.layers * attention + dense_layers * 3 * self.hidden * self.ffn + shared

    @property
    def block_parameters(self) -> int:
        """Matrix parameters of all blocks, all experts counted."""
        return self._shared_block_parameters + self.expert_parameters

    @property
    def active_block_parameters(self) -> int:
        """Matrix parameters of all blocks that one token passes."""
        return self._shared_block_parameters + self.active_expert_parameters

    @property
    def decode_parameters(self) -> int:
        """Parameters read to decode one token: its blocks and the output head, no input embedding."""
        return self.active_block_parameters + self.head_parameters

    @property
    def parameters(self) -> int:
        """All matrix parameters (norms, routers and biases, below 0.1 %, are left out)."""
        return self.block_parameters + self.head_parameters * (1 if self.tied else 2)

    def kv_bytes_per_token(self, bytes_per_value: float = 2.0) -> float:
        """Bytes of keys and values that one token adds over all layers."""
        if self.cache_values is not None:
            return self.cache_values * bytes_per_value
        width = 2 * self.kv_heads * self.head_dim if self.kv_width is None else self.kv_width
        return self.layers * width * bytes_per_value

    @property
    def windowed_share(self) -> float:
        """Part of the cache that belongs to layers which look back a window only."""
        if self.cache_values is not None:
            return (self.windowed_values or 0) / max(self.cache_values, 1)
        return self.windowed_layers / self.layers

    @property
    def attending_layers(self) -> int:
        """Layers with attention."""
        return self.layers if self.attention_layers is None else self.attention_layers

    @property
    def state_bytes(self) -> float:
        """Bytes of recurrent state per sequence, kept in 32 bit as engines do."""
        return 4.0 * self.state_values

    @staticmethod
    def from_config(config: ModelConfig, name: str = "model") -> "ModelShape":
        """The shape of a `k2repro.architecture.ModelConfig` (or any config with HF field names)."""
        return ModelShape(
            name=name,
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            q_heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=config.head_dim,
            ffn=config.intermediate_size,
            vocab=config.vocab_size,
            tied=config.tie_word_embeddings,
        )


def _whole(line: dict[str, str], column: str) -> int | None:
    return int(line[column]) if line[column] else None


def _read_shape(line: dict[str, str]) -> ModelShape:
    experts = None
    if line["experts"]:
        experts = Experts(
            int(line["experts"]),
            int(line["experts_per_token"]),
            int(line["expert_ffn"]),
            int(line["expert_layers"]),
            _whole(line, "shared_ffn") or 0,
        )
    return ModelShape(
        line["model"],
        layers=int(line["layers"]),
        hidden=int(line["hidden"]),
        q_heads=int(line["q_heads"]),
        kv_heads=int(line["kv_heads"]),
        head_dim=int(line["head_dim"]),
        ffn=int(line["ffn"]),
        vocab=int(line["vocab"]),
        tied=line["tied"] == "1",
        experts=experts,
        kv_width=_whole(line, "kv_width"),
        attention_parameters=_whole(line, "attention_parameters"),
        window=_whole(line, "window"),
        windowed_layers=_whole(line, "windowed_layers") or 0,
    )


@functools.cache
def load_shapes() -> dict[str, ModelShape]:
    """All shapes of `data/model_shapes.csv`, by model name."""
    shapes = shipped_lines("k2repro.wafer", "data/model_shapes.csv", _read_shape)
    return {shape.name: shape for shape in shapes}


def shape_from_size(name: str, parameters: float, active: float | None = None) -> ModelShape:
    """A stand-in for a model of which only the size is known: the nearest known shape, rescaled.

    Layers follow the nearest shape (in log size); the hidden width is scaled so that the
    parameters come out, in steps of one head. active: parameters a token passes; below `parameters`
    it makes a mixture. Raises K2ReproError when active is above parameters.
    """
    if active is not None and active > parameters * 1.001:
        raise K2ReproError(
            f"model {name!r}: {active / 1e9:g}B active parameters of {parameters / 1e9:g}B in total; "
            "active parameters cannot be above the total"
        )
    mixture = active is not None and active < 0.9 * parameters
    known = [shape for shape in load_shapes().values() if (shape.experts is not None) == mixture]
    near = min(known, key=lambda shape: abs(math.log(shape.parameters / parameters)))
    if mixture and active is not None:
        return _resize_mixture(near, name, parameters, active)
    scale = math.sqrt(parameters / near.parameters)
    kv_heads = max(1, round(near.kv_heads * scale))
    return replace(
        near,
        name=name,
        exact=False,
        hidden=max(near.head_dim, round(near.hidden * scale)),
        q_heads=max(kv_heads, round(near.q_heads * scale)),
        kv_heads=kv_heads,
        ffn=max(1, round(near.ffn * scale)),
    )


def _resize_mixture(near: ModelShape, name: str, parameters: float, active: float) -> ModelShape:
    """A mixture of that size: experts rescaled to the total, the rest to what is active."""
    experts = near.experts
    if experts is None:
        raise K2ReproError(f"model {near.name!r} has no experts to rescale")
    scale = math.sqrt(active / near.decode_parameters)
    hidden = max(near.head_dim, round(near.hidden * scale))
    share = experts.per_token / experts.count
    routed = (parameters - active) / (1.0 - share)
    width = max(1, round(routed / (3 * experts.layers * experts.count * hidden)))
    return replace(near, name=name, exact=False, hidden=hidden, experts=replace(experts, width=width))
