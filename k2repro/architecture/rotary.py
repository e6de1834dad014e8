"""Frequencies of the rotary position embedding (RoPE): plain, linear, YaRN and Llama 3.

Sources: RoFormer (arXiv 2104.09864); linear position interpolation (arXiv 2306.15595); YaRN
(arXiv 2309.00071); Llama 3.1 (arXiv 2407.21783, as transformers computes it). Differs from the YaRN
paper as transformers does: the ramp runs over dimension indices, its ends are rounded outwards, and
the sharpening multiplies cos and sin.
"""

import math

import torch
from torch import Tensor

from k2repro.architecture.config import ModelConfig
from k2repro.architecture.rope_config import RopeScaling


def rope_frequencies(config: ModelConfig) -> tuple[Tensor, float]:
    """`(frequencies, magnitude)`: radians a position, float32 [head_dim / 2], and a factor on cos and sin.

    Pair i turns by theta^(-2i / head_dim) radians from one position to the next.
    """
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequencies = 1.0 / (config.rope_theta**exponents)
    scaling = config.rope_scaling
    if scaling is None:
        return frequencies, 1.0
    if scaling.kind == "linear":
        return frequencies / scaling.factor, 1.0
    llama3 = scaling.kind == "llama3"
    kept = _kept_by_rotations(frequencies, scaling) if llama3 else 1.0 - _ramp(config, scaling)
    mixed = frequencies / scaling.factor * (1.0 - kept) + frequencies * kept
    if llama3:
        return mixed, 1.0
    magnitude = scaling.attention_factor
    return mixed, 0.1 * math.log(scaling.factor) + 1.0 if magnitude is None else magnitude


def _kept_by_rotations(frequencies: Tensor, scaling: RopeScaling) -> Tensor:
    """1 for pairs that turn often over the original context, 0 for those that hardly turn [head_dim / 2]."""
    assert scaling.original_max_position_embeddings is not None  # RopeScaling guarantees it
    rotations = scaling.original_max_position_embeddings * frequencies / (2 * math.pi)
    return ((rotations - scaling.beta_slow) / (scaling.beta_fast - scaling.beta_slow)).clamp(0, 1)


def _ramp(config: ModelConfig, scaling: RopeScaling) -> Tensor:
    """0 for pairs that turn often over the original context (kept), 1 for those that hardly turn."""
    low = _pair_with_rotations(config, scaling, scaling.beta_fast)
    high = _pair_with_rotations(config, scaling, scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, config.head_dim - 1)
    if low == high:
        high += 0.001
    pairs = torch.arange(config.head_dim // 2, dtype=torch.float32)
    return ((pairs - low) / (high - low)).clamp(0, 1)


def _pair_with_rotations(config: ModelConfig, scaling: RopeScaling, rotations: float) -> float:
    """The (fractional) pair that makes `rotations` full turns over the original context."""
    assert scaling.original_max_position_embeddings is not None  # RopeScaling guarantees it for YaRN
    turns = scaling.original_max_position_embeddings / (rotations * 2 * math.pi)
    return config.head_dim * math.log(turns) / (2 * math.log(config.rope_theta))
