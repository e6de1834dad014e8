"""Tiny decoders for the tests of the architecture room, with every weight random.

Fresh biases are 0 and norms 1; left so, a forgotten bias or norm would change nothing.
"""

import torch

from k2repro.architecture import ModelConfig
from k2repro.architecture.qwen2 import Qwen2

TOLERANCE = 1e-5


def tiny_config(*, ratio: int = 2, **changes: object) -> ModelConfig:
    """Two layers, `2 * ratio` query heads on 2 KV heads of 8 dimensions."""
    heads = 2 * ratio
    values: dict[str, object] = {
        "vocab_size": 97,
        "hidden_size": 8 * heads,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "num_key_value_heads": 2,
        **changes,
    }
    return ModelConfig(**values)  # type: ignore[arg-type]


def random_model(config: ModelConfig, seed: int = 0) -> Qwen2:
    """A decoder whose biases and norms are random too."""
    generator = torch.Generator().manual_seed(seed)
    model = Qwen2(config, generator=generator).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight"):
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.normal_(0.0, 0.2, generator=generator)
    return model


def reference(model: Qwen2):
    """transformers' Qwen2ForCausalLM with the same weights, in evaluation mode."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    theirs = Qwen2ForCausalLM(Qwen2Config.from_dict(model.config.to_dict()))
    theirs.load_state_dict(model.state_dict())
    return theirs.eval()


def random_tokens(batch: int, length: int, seed: int = 1) -> torch.Tensor:
    """Token ids [batch, length] below 97."""
    return torch.randint(97, (batch, length), generator=torch.Generator().manual_seed(seed))


def relative_difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest absolute difference over the largest absolute reference value."""
    assert ours.shape == theirs.shape
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()
