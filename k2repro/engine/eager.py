"""The decoder as it is, row by row in a static cache: for large models, 16-bit weights and accelerators.

Differs from `fast/decoder.py`: nothing is prepared or folded, every operation goes through torch modules.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from k2repro.architecture.kv_cache import KVCache
from k2repro.architecture.qwen2 import Qwen2
from k2repro.fast import Prefix


class EagerDecoder:
    """model: any Qwen2. rows, positions: size of the cache, allocated once."""

    def __init__(self, model: Qwen2, rows: int, positions: int) -> None:
        self._model = model
        weight = model.lm_head.weight
        self._like = {"dtype": weight.dtype, "device": weight.device}
        self._cache = KVCache(model.config, rows, positions, dtype=weight.dtype, device=weight.device)
        self.logits = torch.empty(rows, model.config.vocab_size)

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        return [self._read(prompt) for prompt in prompts]

    def _read(self, prompt: Sequence[int]) -> Prefix:
        weight = self._model.lm_head.weight
        cache = KVCache(self._model.config, 1, len(prompt), dtype=weight.dtype, device=weight.device)
        tokens = torch.tensor([list(prompt)], device=weight.device)
        last = torch.tensor([[len(prompt) - 1]], device=weight.device)
        logits = self._model(tokens, cache=cache, logits_at=last)[0, 0]
        return Prefix(cache.keys[:, 0], cache.values[:, 0], logits.float().cpu())

    def put(self, row: int, prefix: Prefix) -> None:
        self._cache.keys[:, row, :, : prefix.length] = prefix.keys
        self._cache.values[:, row, :, : prefix.length] = prefix.values
        self._cache.lengths[row] = prefix.length
        self.logits[row] = prefix.logits

    def move(self, source: int, target: int) -> None:
        self._cache.keys[:, target] = self._cache.keys[:, source]
        self._cache.values[:, target] = self._cache.values[:, source]
        self._cache.lengths[target] = self._cache.lengths[source]

    @torch.inference_mode()
    def step(self, tokens: Tensor) -> None:
        active = self._rows(0, len(tokens))
        logits = self._model(tokens[:, None].to(active.keys.device), cache=active)[:, 0]
        self._cache.lengths[: len(tokens)] = active.lengths
        self.logits[: len(tokens)] = logits.float()

    @torch.inference_mode()
    def extend(self, row: int, tokens: Sequence[int]) -> Tensor:
        own = self._rows(row, row + 1)
        logits = self._model(torch.tensor([list(tokens)], device=own.keys.device), cache=own)[0]
        self._cache.lengths[row] = own.lengths[0]
        return logits.float().cpu()

    def cut(self, row: int, length: int) -> None:
        self._cache.lengths[row] = length

    def _rows(self, first: int, last: int) -> KVCache:
        """The cache of rows first .. last - 1; its keys and values are those of the whole cache."""
        active = copy.copy(self._cache)
        active.keys, active.values = self._cache.keys[:, first:last], self._cache.values[:, first:last]
        active.lengths = self._cache.lengths[first:last]
        active.longest = int(active.lengths.max())
        active.uniform = bool((active.lengths == active.longest).all())
        return active
