"""The Qwen2 decoder of K2-Think: its configuration, its exact costs, the model and its weights.

Paper: K2-Think (arXiv 2509.07604) is Qwen2.5-32B with further training; the architecture is Qwen2's.
The configuration and the accounting need no torch; the model and its weights are loaded on first use.
"""

import importlib
from typing import TYPE_CHECKING

from k2repro.architecture.accounting import (
    count_parameters,
    decode_flops,
    forward_flops,
    kv_cache_bytes,
    prefill_flops,
)
from k2repro.architecture.config import ModelConfig
from k2repro.architecture.memory import PRECISIONS, devices_needed, memory_by_precision, weight_bytes
from k2repro.architecture.rope_config import RopeScaling

if TYPE_CHECKING:
    from k2repro.architecture.qwen2 import KVCache, Qwen2, init_weights
    from k2repro.architecture.weights import load_pretrained, save_pretrained

__all__ = [
    "PRECISIONS",
    "KVCache",
    "ModelConfig",
    "Qwen2",
    "RopeScaling",
    "count_parameters",
    "decode_flops",
    "devices_needed",
    "forward_flops",
    "init_weights",
    "kv_cache_bytes",
    "load_pretrained",
    "memory_by_precision",
    "prefill_flops",
    "save_pretrained",
    "weight_bytes",
]


# The torch half of the room, imported when one of its names is first used.
_TORCH = {
    "KVCache": "qwen2",
    "Qwen2": "qwen2",
    "init_weights": "qwen2",
    "load_pretrained": "weights",
    "save_pretrained": "weights",
}


def __getattr__(name: str) -> object:
    """A name of the torch half."""
    if name not in _TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_TORCH[name]}"), name)
