"""The Qwen2 decoder of K2-Think: its configuration, its exact costs, the model and its weights.

Paper: K2-Think (arXiv 2509.07604) is Qwen2.5-32B with further training; the architecture is Qwen2's.
The configuration and the accounting need no torch; the model and its weights are loaded on first use.
"""

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


def __getattr__(name: str) -> object:
    """Import the torch half of the room when one of its names is first used."""
    if name in ("KVCache", "Qwen2", "init_weights"):
        from k2repro.architecture import qwen2

        return {"KVCache": qwen2.KVCache, "Qwen2": qwen2.Qwen2, "init_weights": qwen2.init_weights}[name]
    if name in ("load_pretrained", "save_pretrained"):
        from k2repro.architecture import weights

        return {"load_pretrained": weights.load_pretrained, "save_pretrained": weights.save_pretrained}[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
