"""Families of decoders by their `model_type`: which were counted, which are something else.

An architecture with parts that the emulator does not know is refused, and the part is named. One
that nobody has looked at is read as a plain decoder and its answer says so.
"""

from collections.abc import Mapping
from typing import Any

from k2repro.reading import shipped_toml

_SECTIONS = "counted elsewhere tied ungated ungated_activations encoders unknown_types unknown_keys defaults"
_FAMILIES = shipped_toml("k2repro.wafer", "data/families.toml", _SECTIONS.split())
# Counted here, or the same under another name.
CHECKED = frozenset((*_FAMILIES["counted"], *_FAMILIES["elsewhere"]))
# Whose embedding is tied where the file does not say; whose feed-forward has two matrices.
TIED, UNGATED = tuple(_FAMILIES["tied"]), tuple(_FAMILIES["ungated"])
# Keys that a family's own code adds where the file is silent.
DEFAULTS: Mapping[str, Mapping[str, Any]] = _FAMILIES["defaults"]


def unknown_part(config: Mapping[str, Any]) -> str:
    """What in this architecture the emulator does not know, in words; empty if nothing is known to be."""
    kind = str(config.get("model_type") or "")
    if kind in _FAMILIES["unknown_types"]:
        return str(_FAMILIES["unknown_types"][kind])
    if kind not in CHECKED and any(
        kind == name or kind.startswith((f"{name}-", f"{name}_")) for name in _FAMILIES["encoders"]
    ):
        return "an encoder, which decodes nothing token by token"
    return next((part for key, part in _FAMILIES["unknown_keys"].items() if config.get(key)), "")


def is_ungated(config: Mapping[str, Any]) -> bool:
    """Whether a feed-forward has two matrices instead of three."""
    activation = config.get("hidden_act") or config.get("mlp_hidden_act") or config.get("activation_function")
    kind = config.get("model_type")
    return kind in UNGATED or (activation in _FAMILIES["ungated_activations"] and kind != "bitnet")
