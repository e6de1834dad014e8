"""Model shapes: what a decode step must read and compute, for any dense transformer.

A `ModelShape` is the small part of an architecture that decides decode speed. It comes from a
`k2repro.architecture.ModelConfig` (any Qwen2 shape) or by name from `data/model_shapes.csv`
(Llama, Mistral, Qwen2, Qwen2.5, Qwen3). A decode step reads every block and the output head, but
only one row of the input embedding: counting the whole embedding would slow a small model by up
to 40 %.
"""

import functools
import math
from dataclasses import dataclass, replace
from typing import Protocol

from k2repro.errors import K2ReproError, unknown
from k2repro.reading import shipped_lines


class ConfigLike(Protocol):
    """The fields of a Hugging Face style configuration that decide decode speed."""

    @property
    def hidden_size(self) -> int: ...
    @property
    def num_hidden_layers(self) -> int: ...
    @property
    def num_attention_heads(self) -> int: ...
    @property
    def num_key_value_heads(self) -> int: ...
    @property
    def head_dim(self) -> int: ...
    @property
    def intermediate_size(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def tie_word_embeddings(self) -> bool: ...


@dataclass(frozen=True)
class ModelShape:
    """Shape of a dense decoder with gated feed-forward blocks.

    Raises K2ReproError when a size is not a positive whole number.
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

    def __post_init__(self) -> None:
        for field in ("layers", "hidden", "q_heads", "kv_heads", "head_dim", "ffn", "vocab"):
            value = getattr(self, field)
            if not isinstance(value, int) or value <= 0:
                raise K2ReproError(
                    f"model {self.name!r}: {field} = {value!r} must be a positive whole number; "
                    "check the units and the column of the configuration"
                )

    @property
    def head_parameters(self) -> int:
        """Parameters of the output head (vocab x hidden), read once per step."""
        return self.vocab * self.hidden

    @property
    def block_parameters(self) -> int:
        """Matrix parameters of all blocks: attention (q, k, v, o) and the gated feed-forward."""
        attention = self.hidden * self.head_dim * (2 * self.q_heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.ffn)

    @property
    def decode_parameters(self) -> int:
        """Parameters read in one decode step: blocks and output head, not the input embedding."""
        return self.block_parameters + self.head_parameters

    @property
    def parameters(self) -> int:
        """All matrix parameters (norms and biases, below 0.01 %, are left out)."""
        return self.decode_parameters + (0 if self.tied else self.head_parameters)

    def kv_bytes_per_token(self, bytes_per_value: float = 2.0) -> float:
        """Bytes of keys and values that one token adds over all layers."""
        return 2 * self.layers * self.kv_heads * self.head_dim * bytes_per_value

    @staticmethod
    def from_config(config: ConfigLike, name: str = "model") -> "ModelShape":
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


# Names under which a known shape is also published.
ALIASES = {
    "k2-think": "Qwen2.5-32B",
    "K2-Think": "Qwen2.5-32B",
    "K2-Think (Qwen2.5-32B)": "Qwen2.5-32B",
    "QwQ-32B (Qwen2.5-32B)": "Qwen2.5-32B",
    "QwQ-32B": "Qwen2.5-32B",
    "Llama-3-8B": "Llama-3.1-8B",
    "Llama-3-70B": "Llama-3.1-70B",
    "Llama-3.3-70B": "Llama-3.1-70B",
    "Mistral-7B-v0.1": "Mistral-7B",
    "Meta-Llama-3-8B": "Llama-3.1-8B",
    "Meta-Llama-3-70B": "Llama-3.1-70B",
}


@functools.cache
def load_shapes() -> dict[str, ModelShape]:
    """All shapes of `data/model_shapes.csv`, by model name."""
    shapes = shipped_lines("k2repro.wafer", "data/model_shapes.csv", _read_shape)
    return {shape.name: shape for shape in shapes}


def _read_shape(line: dict[str, str]) -> ModelShape:
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
    )


def match_shape(name: str) -> ModelShape | None:
    """The shape that a model name means, or None. Case and "-Instruct" do not matter."""
    shapes = load_shapes()
    folded = {key.lower(): key for key in [*shapes, *ALIASES]}
    key = folded.get(name.strip().lower().removesuffix("-instruct").removesuffix("-chat"))
    return None if key is None else shapes[ALIASES.get(key, key)]


def find_shape(name: str) -> ModelShape:
    """The shape of a named model; K2ReproError with near names when it is not known."""
    shape = match_shape(name)
    if shape is None:
        raise unknown("model", name, [*load_shapes(), "k2-think"])
    return shape


def shape_from_size(name: str, parameters: float) -> ModelShape:
    """A stand-in for a model of which only the size is known: the nearest known shape, rescaled.

    Layers follow the nearest shape (in log size); the hidden width is scaled so that the
    parameters come out, in steps of one head.
    """
    near = min(load_shapes().values(), key=lambda shape: abs(math.log(shape.parameters / parameters)))
    scale = math.sqrt(parameters / near.parameters)
    kv_heads = max(1, round(near.kv_heads * scale))
    return replace(
        near,
        name=name,
        hidden=max(near.head_dim, round(near.hidden * scale)),
        q_heads=max(kv_heads, round(near.q_heads * scale)),
        kv_heads=kv_heads,
        ffn=max(1, round(near.ffn * scale)),
    )


def as_shape(config: "ModelShape | ConfigLike | str") -> ModelShape:
    """Accept a `ModelShape`, a `ModelConfig` or a name."""
    if isinstance(config, ModelShape):
        return config
    if isinstance(config, str):
        return find_shape(config)
    return ModelShape.from_config(config)
