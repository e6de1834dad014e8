"""Is it the same model? Our decoder's logits against transformers' Qwen2ForCausalLM, same weights.

Used by notebook 01; transformers is imported when a comparison is made. The bar is 1e-5 of the largest
logit in 32 bit: room for another order of adding, none for another formula.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from k2repro.architecture.config import ModelConfig
from k2repro.architecture.kv_cache import KVCache
from k2repro.architecture.qwen2 import Qwen2

TOLERANCE = 1e-5
MODES = ("full", "cached", "left-padded")


@dataclass(frozen=True)
class Parity:
    """One comparison: mode and the largest difference of a logit, relative to the largest logit."""

    mode: str
    difference: float

    @property
    def equal(self) -> bool:
        """Whether the difference is within the bar."""
        return self.difference <= TOLERANCE


def random_decoder(config: ModelConfig, generator: torch.Generator) -> Qwen2:
    """A decoder with every parameter random, biases and norms too: fresh ones would hide their loss."""
    model = Qwen2(config, generator=generator).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.normal_(0.0, 0.2, generator=generator)
    return model


def transformers_twin(model: Qwen2) -> Any:
    """transformers' Qwen2ForCausalLM with the config and the weights of `model`."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    twin = Qwen2ForCausalLM(Qwen2Config.from_dict(model.config.to_dict()))
    twin.load_state_dict(model.state_dict())
    return twin.eval()


@torch.no_grad()
def compare_logits(model: Qwen2, twin: Any, tokens: Tensor) -> list[Parity]:
    """Compare on `tokens` [batch >= 2, length >= 4], in each of MODES.

    full: one pass. cached: a prompt, then token by token on both sides. left-padded: the second row
    begins with two padding tokens; only real tokens are compared.
    """
    expected = twin(tokens).logits
    full = relative_difference(model(tokens), expected)
    cache = KVCache(model.config, *tokens.shape)
    half = tokens.shape[1] // 2
    parts = [tokens[:, :half], *tokens[:, half:].split(1, dim=1)]
    cached = torch.cat([model(part, cache=cache) for part in parts], dim=1)
    mask = torch.ones_like(tokens)
    mask[1, :2] = 0
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    theirs = twin(tokens, attention_mask=mask, position_ids=positions).logits[mask.bool()]
    padded = relative_difference(model(tokens, attention_mask=mask)[mask.bool()], theirs)
    differences = (full, relative_difference(cached, _cached_logits(twin, parts)), padded)
    return [Parity(*pair) for pair in zip(MODES, differences, strict=True)]


def relative_difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest absolute difference, divided by the largest absolute value of `theirs`."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def _cached_logits(twin: Any, parts: list[Tensor]) -> Tensor:
    past, logits = None, []
    for part in parts:
        output = twin(part, past_key_values=past, use_cache=True)
        past = output.past_key_values
        logits.append(output.logits)
    return torch.cat(logits, dim=1)
