"""How the rotary position embedding is stretched: reading and writing of the `rope_*` config keys.

transformers 4 writes `rope_theta` beside `rope_scaling`; transformers 5 writes one `rope_parameters`
with both. Both are read. The older form is written, since either generation reads it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from k2repro.architecture.checks import boolean, positive_float, positive_int, read_key
from k2repro.errors import K2ReproError, unknown

ROPE_KINDS = ("default", "linear", "yarn", "llama3")
# Kinds that transformers has and this decoder has not, with the reason a reader is owed.
REFUSED_KINDS = {
    "dynamic": "its frequencies follow the longest text seen so far, so cached keys become stale",
    "longrope": "it belongs to Phi 3",
    "proportional": "it belongs to Gemma",
    "axial": "it belongs to vision models",
    "mrope": "it belongs to Qwen2-VL",
}
_UNSTATED = math.nan
_YARN_FAST, _YARN_SLOW = 32.0, 1.0
# Where the ramp begins and ends, in rotations.
_RAMP_KEYS = {"yarn": ("beta_fast", "beta_slow"), "llama3": ("high_freq_factor", "low_freq_factor")}
SCALING_KEYS = {
    "default": (),
    "linear": ("factor",),
    "yarn": (
        "factor",
        "original_max_position_embeddings",
        "attention_factor",
        "beta_fast",
        "beta_slow",
        "truncate",
    ),
    "llama3": ("factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"),
}


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """A stretched rotary embedding.

    kind: "linear" (all frequencies divided by `factor`), "yarn" (arXiv 2309.00071: slow
        frequencies divided by `factor`, fast ones kept, a ramp between, attention sharpened), or
        "llama3" (Llama 3.1, arXiv 2407.21783: the same with a ramp over rotations, nothing sharpened).
    factor: how many times longer the context becomes; None in YaRN means the ratio of the two lengths.
    original_max_position_embeddings: context length before stretching, in tokens (YaRN, Llama 3).
    attention_factor: multiplies cos and sin; None means 0.1 ln(factor) + 1 (YaRN).
    beta_fast, beta_slow: rotations over the original context where the ramp begins and ends; Llama 3
        calls them high_freq_factor and low_freq_factor. Unstated: 32 and 1 in YaRN, refused in Llama 3.
    truncate: round the ends of the ramp to whole dimensions.
    """

    kind: str
    factor: float
    original_max_position_embeddings: int | None = None
    attention_factor: float | None = None
    beta_fast: float = _UNSTATED
    beta_slow: float = _UNSTATED
    truncate: bool = True

    def __post_init__(self) -> None:
        if self.kind not in ROPE_KINDS or self.kind == "default":
            raise unknown("rope scaling", self.kind, ROPE_KINDS[1:])
        if self.factor < 1:
            raise K2ReproError(f"rope scaling factor = {self.factor}: must be at least 1")
        if self.kind != "linear" and self.original_max_position_embeddings is None:
            raise K2ReproError(f"{self.kind} needs original_max_position_embeddings, in tokens")
        if self.kind == "llama3" and (self.attention_factor is not None or not self.truncate):
            raise K2ReproError(
                f"llama3 has no attention_factor (given: {self.attention_factor}) and no truncate (given: "
                f"{self.truncate}); they belong to yarn"
            )
        self._set_ramp()

    def _set_ramp(self) -> None:
        """YaRN's ends where none are stated; K2ReproError for a missing, crossed or too steep ramp."""
        llama3 = self.kind == "llama3"
        names = _RAMP_KEYS.get(self.kind, ("beta_fast", "beta_slow"))
        for field, name, usual in zip(
            ("beta_fast", "beta_slow"), names, (_YARN_FAST, _YARN_SLOW), strict=True
        ):
            if math.isnan(getattr(self, field)):
                if llama3:
                    raise K2ReproError(f"llama3 needs {field} ({name}): it has no usual value")
                object.__setattr__(self, field, usual)
        if self.beta_fast < self.beta_slow:
            raise K2ReproError(
                f"{self.kind} {names[0]} = {self.beta_fast} is below {names[1]} = {self.beta_slow}: "
                "the ramp runs from fast to slow rotations"
            )
        if llama3 and self.beta_fast == self.beta_slow:
            raise K2ReproError(f"{names[0]} = {names[1]} = {self.beta_slow}: the ramp has no width")

    def to_dict(self) -> dict[str, object]:
        """The `rope_scaling` value of a config.json; `type` is for readers before transformers 4.43."""
        values: dict[str, object] = {"rope_type": self.kind, "type": self.kind, "factor": self.factor}
        if self.kind != "linear":
            values["original_max_position_embeddings"] = self.original_max_position_embeddings
            values |= zip(_RAMP_KEYS[self.kind], (self.beta_fast, self.beta_slow), strict=True)
            if self.attention_factor is not None:
                values["attention_factor"] = self.attention_factor
            if not self.truncate:
                values["truncate"] = False
        return values


def read_rope(values: Mapping[str, object]) -> tuple[float, RopeScaling | None]:
    """`(theta, scaling)` from a config.json of transformers 4 or 5; raises K2ReproError.

    When both forms are present they must agree: a half-edited file would otherwise pick one silently.
    """
    scaling = _mapping("rope_scaling", values.get("rope_scaling"))
    parameters = _mapping("rope_parameters", values.get("rope_parameters"))
    if scaling and parameters and _without_theta(scaling) != _without_theta(parameters):
        raise K2ReproError(
            f"rope_scaling {scaling} and rope_parameters {parameters} disagree; keep one of them"
        )
    chosen = parameters or scaling
    thetas = [place["rope_theta"] for place in (parameters, scaling, values) if "rope_theta" in place]
    if not thetas:
        read_key(values, "rope_theta")
    if any(theta != thetas[0] for theta in thetas):
        raise K2ReproError(f"rope_theta is given as {thetas}; keep one value")
    theta = positive_float("rope_theta", thetas[0])
    return theta, _read_scaling(chosen, values) if chosen else None


def _read_scaling(chosen: Mapping[str, object], values: Mapping[str, object]) -> RopeScaling | None:
    kind = _supported_kind(chosen.get("rope_type", chosen.get("type", "default")))
    allowed = {"rope_type", "type", "rope_theta", *SCALING_KEYS[kind]}
    for key, value in chosen.items():
        if key == "partial_rotary_factor" and value in (None, 1):
            continue
        if key not in allowed and value is not None:
            raise unknown(f"{kind} rope key", key, allowed)
    if kind == "default":
        return None
    if kind == "linear":
        return RopeScaling(
            kind=kind,
            factor=positive_float("rope factor", read_key(chosen, "factor", "a linear rope_scaling")),
        )
    return _read_llama3(chosen) if kind == "llama3" else _read_yarn(chosen, values)


def _supported_kind(kind: object) -> str:
    if isinstance(kind, str) and kind in REFUSED_KINDS:
        raise K2ReproError(
            f"rope type {kind!r} is not supported: {REFUSED_KINDS[kind]}. Supported: {', '.join(ROPE_KINDS)}"
        )
    if not isinstance(kind, str) or kind not in ROPE_KINDS:
        raise unknown("rope type", kind, ROPE_KINDS)
    return kind


def _read_yarn(chosen: Mapping[str, object], values: Mapping[str, object]) -> RopeScaling:
    longest = positive_int("max_position_embeddings", read_key(values, "max_position_embeddings"))
    original = positive_int(
        "original_max_position_embeddings", chosen.get("original_max_position_embeddings") or longest
    )
    attention = chosen.get("attention_factor")
    return RopeScaling(
        kind="yarn",
        factor=positive_float("rope factor", chosen.get("factor") or longest / original),
        original_max_position_embeddings=original,
        attention_factor=None if attention is None else positive_float("attention_factor", attention),
        beta_fast=positive_float("beta_fast", chosen.get("beta_fast") or _YARN_FAST),
        beta_slow=positive_float("beta_slow", chosen.get("beta_slow") or _YARN_SLOW),
        truncate=boolean("truncate", chosen.get("truncate", True)),
    )


def _read_llama3(chosen: Mapping[str, object]) -> RopeScaling:
    """All four keys must be there: transformers has no defaults for them."""
    place = "a llama3 rope_scaling"
    low, high = (
        positive_float(key, read_key(chosen, key, place)) for key in ("low_freq_factor", "high_freq_factor")
    )
    key = "original_max_position_embeddings"
    return RopeScaling(
        kind="llama3",
        factor=positive_float("rope factor", read_key(chosen, "factor", place)),
        original_max_position_embeddings=positive_int(key, read_key(chosen, key, place)),
        beta_fast=high,
        beta_slow=low,
    )


def _mapping(key: str, value: object) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise K2ReproError(f"{key} = {value!r}: must be an object or null")
    return value


def _without_theta(scaling: Mapping[str, object]) -> dict[str, object]:
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    rest = {k: v for k, v in scaling.items() if k not in ("rope_theta", "rope_type", "type")}
    return {"rope_type": kind, **rest}
