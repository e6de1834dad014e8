"""One token's journey: which step turns which shape into which, as the decoder itself reports it.

Used by notebook 01. Works on the meta device too, so the shapes of the 32-billion model come from running
its real code without a byte of weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from k2repro.architecture.config import ModelConfig
from k2repro.architecture.kv_cache import KVCache
from k2repro.architecture.qwen2 import Qwen2

# Module (of the first layer, where it is in a layer), and what happens there.
STEPS = (
    ("model.embed_tokens", "look up the token's row"),
    ("input_layernorm", "scale to root mean square 1"),
    ("self_attn.q_proj", "ask: one query for each head"),
    ("self_attn.k_proj", "offer: one key for each KV head, into the cache"),
    ("self_attn.v_proj", "content: one value for each KV head, into the cache"),
    ("self_attn.o_proj", "mix the heads' answers"),
    ("post_attention_layernorm", "scale again"),
    ("mlp.gate_proj", "feed-forward: gate"),
    ("mlp.up_proj", "feed-forward: content"),
    ("mlp.down_proj", "feed-forward: back to the stream"),
    ("model.norm", "after all layers: scale a last time"),
    ("lm_head", "compare with every token of the vocabulary"),
)


@dataclass(frozen=True)
class JourneyStop:
    """One stop: module name, what happens, shape after it, parameters used (all layers together)."""

    module: str
    meaning: str
    shape: tuple[int, ...]
    parameters: int


def trace_token(config: ModelConfig, context_length: int, *, device: str = "cpu") -> list[JourneyStop]:
    """Decode one token at `context_length` (itself included) and report every step's output shape.

    device: "meta" runs any size without memory and gives shapes only.
    """
    model = Qwen2(config, device=device)
    cache = KVCache(config, 1, context_length, device=device)
    tokens = torch.zeros(1, context_length, dtype=torch.long, device=device)
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.no_grad():
        if context_length > 1:
            model(tokens[:, :-1], cache=cache)
        handles = [
            module.register_forward_hook(_note(shapes, name)) for name, module in model.named_modules()
        ]
        model(tokens[:, -1:], cache=cache)
    for handle in handles:
        handle.remove()
    steps = [_step(model, shapes, module, meaning) for module, meaning in STEPS]
    cached = JourneyStop("(KV cache)", "keys of all tokens so far, one layer", tuple(cache.keys[0].shape), 0)
    return [*steps[:5], cached, *steps[5:]]


def _step(model: Qwen2, shapes: dict[str, tuple[int, ...]], module: str, meaning: str) -> JourneyStop:
    name = module if module in shapes else f"model.layers.0.{module}"
    suffix = f".{module}" if name != module else module
    parameters = sum(
        parameter.numel()
        for owner, part in model.named_modules()
        # A tied head uses the embedding's matrix, which is counted there.
        if not (owner == "lm_head" and model.config.tie_word_embeddings)
        and (owner == module or (name != module and owner.endswith(suffix)))
        for parameter in part.parameters()
    )
    return JourneyStop(module, meaning, shapes[name], parameters)


def _note(
    shapes: dict[str, tuple[int, ...]], name: str
) -> Callable[[nn.Module, tuple[object, ...], Tensor], None]:
    def hook(module: nn.Module, inputs: tuple[object, ...], output: Tensor) -> None:
        shapes[name] = tuple(output.shape)

    return hook
