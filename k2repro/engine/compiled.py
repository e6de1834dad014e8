"""The decoder whose step is one compiled function: what `fused.py` does, without a call a layer.

Differs from `FusedDecoder` in `step` only; prompts are read by the same code. Not used by `Sampler` yet: with
it every sample would be drawn from logits that differ in the last bit, so it comes with artifacts made anew.
"""

import numpy as np
import torch
from torch import Tensor

from ..errors import K2ReproError
from .fused import FusedDecoder
from .kernels import ROW_MULTIPLE, decode
from .row_cache import round_up
from .weights import FusedWeights

WIDTH_MULTIPLE = 4


class CompiledDecoder(FusedDecoder):
    """As FusedDecoder, which see.

    Raises K2ReproError for widths that are not multiples of 4, which the compiled products take together.
    """

    def __init__(self, weights: FusedWeights, rows: int, positions: int) -> None:
        super().__init__(weights, rows, positions)
        config = weights.config
        queries = config.num_attention_heads * config.head_dim
        for name, width in (("hidden_size", config.hidden_size), ("heads * head_dim", queries),
                            ("intermediate_size", config.intermediate_size)):
            if width % WIDTH_MULTIPLE:
                raise K2ReproError(f"{name} = {width}: compiled products need multiples of {WIDTH_MULTIPLE}")
        parts = ("qkv", "bias", "output", "gate_up", "down")
        # Line by line in memory: stacked views of transposed matrices would stay transposed.
        stacked = (np.stack([getattr(layer, part).numpy() for layer in weights.layers]) for part in parts)
        self._arrays = (
            weights.embedding, *map(np.ascontiguousarray, stacked), np.ascontiguousarray(weights.head.numpy())
        )
        self._turns = (np.ascontiguousarray(self._rotation.real), np.ascontiguousarray(self._rotation.imag))
        widest = max(round_up(positions, ROW_MULTIPLE), config.intermediate_size)
        self._scores, self._bits = np.zeros(widest, np.float32), np.zeros(widest, np.int32)

    @torch.no_grad()
    def step(self, tokens: Tensor) -> None:
        count = len(tokens)
        filled = round_up(count, ROW_MULTIPLE)
        work, cache = self._work, self._cache
        buffers = (
            work.residual[:filled], work.normed[:filled], work.qkv[:filled], work.mixed[:filled],
            work.gate_up[:filled], work.product[:filled], self._scores, self._bits,
        )
        decode(
            tokens.numpy(), cache.lengths[:count], self._arrays, cache.keys, cache.values, self._turns,
            np.float32(self._weights.config.rms_norm_eps), buffers, self._padded_logits.numpy()[:filled],
        )
        cache.extend(count)
