"""`ModelConfig`: the shape of a Qwen2 decoder, read from and written to a Hugging Face config.json.

Paper: section 3 of the facts; K2-Think is Qwen2.5-32B with further training, so its preset is that
model's config. A Llama of the plain kind (SmolLM2) is a Qwen2 without biases, and is read as one.
Differs from transformers: every value is checked, nothing unknown is ignored.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from k2repro.architecture.checks import boolean, natural_int, positive_float, positive_int, read_key
from k2repro.architecture.config_keys import (
    SIZE_KEYS,
    check_architecture,
    check_keys,
    quantization_method,
    refuse_pointer,
)
from k2repro.architecture.rope_config import RopeScaling, read_rope
from k2repro.errors import K2ReproError, unknown
from k2repro.reading import shipped_json

DTYPES = ("float32", "bfloat16", "float16")
_LLAMA_KEYS = {"attention_bias": False, "mlp_bias": False}


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Shape of a Qwen2 decoder; field names are those of the Hugging Face config.json.

    `head_dim` defaults to hidden_size / num_attention_heads. `eos_token_id` may be several ids.
    `dtype` says how the weights are stored, not how they are computed. `attention_bias`: whether queries,
    keys and values have a bias; every Qwen2 has one, a Llama has none. `quantization`: the method that a
    config.json states, with which shape and counts are as without it, but no weights are read.
    Raises K2ReproError when the numbers do not fit together.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int = 0
    max_position_embeddings: int = 32768
    rms_norm_eps: float = 1e-6
    rope_theta: float = 1_000_000.0
    rope_scaling: RopeScaling | None = None
    tie_word_embeddings: bool = False
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int | tuple[int, ...] | None = None
    pad_token_id: int | None = None
    dtype: str = "float32"
    attention_bias: bool = True
    quantization: str | None = None

    def __post_init__(self) -> None:
        for key in SIZE_KEYS:
            positive_int(key, vars(self)[key])
        for key in ("rms_norm_eps", "rope_theta", "initializer_range"):
            positive_float(key, vars(self)[key])
        boolean("tie_word_embeddings", self.tie_word_embeddings)
        boolean("attention_bias", self.attention_bias)
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        natural_int("head_dim", self.head_dim)
        if self.head_dim == 0:
            object.__setattr__(self, "head_dim", self._even_split())
        _check_heads(self)

    def _even_split(self) -> int:
        if self.hidden_size % self.num_attention_heads:
            raise K2ReproError(
                f"hidden_size = {self.hidden_size} is not divisible by num_attention_heads = "
                f"{self.num_attention_heads}: each head takes an equal share, or head_dim is stated"
            )
        return self.hidden_size // self.num_attention_heads

    @property
    def query_heads_per_kv_head(self) -> int:
        """How many query heads share one key and value head (grouped-query attention)."""
        return self.num_attention_heads // self.num_key_value_heads

    @classmethod
    def from_dict(cls, values: Mapping[str, object], *, ignore_keys: tuple[str, ...] = ()) -> "ModelConfig":
        """Read a Hugging Face config.json (transformers 4 or 5) given as a mapping.

        ignore_keys: further keys that the caller knows not to change the computation.
        Raises K2ReproError naming the key, the value and the rule.
        """
        if not isinstance(values, Mapping):
            raise K2ReproError(f"a config is a JSON object, not {type(values).__name__}")
        family = check_architecture(values)
        check_keys(values, ignore_keys, family)
        if family == "llama":
            values = _llama_defaults(values)
        sizes = {key: positive_int(key, read_key(values, key)) for key in SIZE_KEYS}
        theta, scaling = read_rope(values)
        head_dim = values.get("head_dim")
        # The two defaults are those of every transformers release for Qwen2; the rest must be stated.
        return cls(
            **sizes,
            head_dim=0 if head_dim is None else positive_int("head_dim", head_dim),
            rms_norm_eps=positive_float("rms_norm_eps", read_key(values, "rms_norm_eps")),
            rope_theta=theta,
            rope_scaling=scaling,
            tie_word_embeddings=boolean("tie_word_embeddings", values.get("tie_word_embeddings", False)),
            initializer_range=positive_float("initializer_range", values.get("initializer_range", 0.02)),
            bos_token_id=_token_id("bos_token_id", values),
            eos_token_id=_end_tokens(values),
            pad_token_id=_token_id("pad_token_id", values),
            dtype=_dtype(values),
            attention_bias=family == "qwen2",
            quantization=quantization_method(values),
        )

    @classmethod
    def from_file(cls, path: str | Path, *, ignore_keys: tuple[str, ...] = ()) -> "ModelConfig":
        """Read a config.json, or the config.json of a checkpoint folder; raises K2ReproError."""
        path = Path(path)
        path = path / "config.json" if path.is_dir() else path
        if not path.is_file():
            raise K2ReproError(f"{path} does not exist; a checkpoint folder holds a config.json")
        refuse_pointer(path)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise K2ReproError(
                f"{path} is not JSON ({error}). Usual cause: an interrupted download"
            ) from error
        return cls.from_dict(values, ignore_keys=ignore_keys)

    @classmethod
    def preset(cls, name: str) -> "ModelConfig":
        """One of `ModelConfig.preset_names()`, for example "k2-think"; raises K2ReproError."""
        if name not in cls.preset_names():
            raise unknown("model preset", name, cls.preset_names())
        return cls.from_dict(shipped_json("k2repro.architecture", f"presets/{name}.json"))

    @staticmethod
    def preset_names() -> tuple[str, ...]:
        """Names of all presets, sorted; sources are in presets/SOURCES.md."""
        folder = resources.files(__package__) / "presets"
        names = [entry.name for entry in folder.iterdir() if entry.name.endswith(".json")]
        return tuple(sorted(name.removesuffix(".json") for name in names))

    def to_dict(self) -> dict[str, object]:
        """A config.json that transformers 4 and 5, vLLM and `from_dict` read; without the quantisation."""
        values: dict[str, object] = {
            "architectures": ["Qwen2ForCausalLM" if self.attention_bias else "LlamaForCausalLM"],
            "model_type": "qwen2" if self.attention_bias else "llama",
            **{key: vars(self)[key] for key in SIZE_KEYS},
            "head_dim": self.head_dim,
            "hidden_act": "silu",
            "rms_norm_eps": self.rms_norm_eps,
            "rope_theta": self.rope_theta,
            "rope_scaling": self.rope_scaling.to_dict() if self.rope_scaling else None,
            "tie_word_embeddings": self.tie_word_embeddings,
            "initializer_range": self.initializer_range,
            "attention_dropout": 0.0,
            "use_cache": True,
            **({"use_sliding_window": False} if self.attention_bias else _LLAMA_KEYS),
            "bos_token_id": self.bos_token_id,
            "eos_token_id": list(self.eos_token_id)
            if isinstance(self.eos_token_id, tuple)
            else self.eos_token_id,
            "pad_token_id": self.pad_token_id,
            "torch_dtype": self.dtype,
        }
        if self.head_dim * self.num_attention_heads == self.hidden_size:
            # Released Qwen2 configs leave the key out; older readers do not know it.
            del values["head_dim"]
        return values


def _llama_defaults(values: Mapping[str, object]) -> Mapping[str, object]:
    """What early Llamas do not state: one key and value head for each query head, a base of 10,000."""
    filled = dict(values)
    filled.setdefault("num_key_value_heads", values.get("num_attention_heads"))
    if not {"rope_theta", "rope_parameters"} & set(values):
        filled["rope_theta"] = 10_000.0
    return filled


def _check_heads(config: ModelConfig) -> None:
    if config.rope_theta <= 1:
        raise K2ReproError(f"rope_theta = {config.rope_theta}: must be above 1, the base of the wavelengths")
    if config.num_attention_heads % config.num_key_value_heads:
        raise K2ReproError(
            f"num_attention_heads = {config.num_attention_heads} is not divisible by "
            f"num_key_value_heads = {config.num_key_value_heads}: each key and value head serves "
            "an equal group of query heads"
        )
    if config.head_dim % 2:
        raise K2ReproError(
            f"head_dim = {config.head_dim} is odd: the rotary embedding turns pairs of dimensions"
        )


def _token_id(key: str, values: Mapping[str, object]) -> int | None:
    value = values.get(key)
    # Some releases write -1 for "none".
    return None if value is None or value == -1 else natural_int(key, value)


def _end_tokens(values: Mapping[str, object]) -> int | tuple[int, ...] | None:
    value = values.get("eos_token_id")
    if isinstance(value, (list, tuple)):
        return tuple(natural_int("eos_token_id", item) for item in value)
    return _token_id("eos_token_id", values)


def _dtype(values: Mapping[str, object]) -> str:
    stated = [str(values[key]).removeprefix("torch.") for key in ("torch_dtype", "dtype") if values.get(key)]
    if len(set(stated)) == 2:
        raise K2ReproError(
            f"torch_dtype = {stated[0]!r} and dtype = {stated[1]!r}: must be the same. "
            "Usual cause: a config.json of transformers 4 edited by transformers 5; remove one"
        )
    value = name = stated[0] if stated else "float32"
    if name not in DTYPES:
        raise unknown("torch_dtype", value, DTYPES)
    return name
