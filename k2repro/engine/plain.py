"""Sampling on one page: several responses to one prompt, token by token, with a KV cache.

This is what every sampler computes; `k2repro.engine.sample` draws the same tokens, only faster. Left out
here: many prompts in flight at once (`run.py`), a finished row making room for the next, stop strings, bad
input with a reason (`checks.py`), and the compiled pass (`k2repro.fast`).

Autoregressive decoding as in any textbook; nucleus: Holtzman et al., arXiv 1904.09751, section 3.1.

Shapes: N samples of one prompt, P tokens of the prompt, T most new tokens, V vocabulary.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from k2repro.architecture.kv_cache import KVCache
from k2repro.architecture.qwen2 import Qwen2


class Samples(NamedTuple):
    """tokens: int64 [N, T], zeros behind the end. mask: bool [N, T], true for real tokens, the stop token
    included. logprobs: float32 [N, T], natural log of each token's probability at temperature 1."""

    tokens: Tensor
    mask: Tensor
    logprobs: Tensor


@torch.no_grad()
def sample_plainly(
    model: Qwen2,
    prompt: Sequence[int],
    uniforms: Tensor,
    *,
    stop: Sequence[int] = (),
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> Samples:
    """N responses to `prompt`, P token ids, each of at most T tokens or up to a token of `stop`.

    uniforms: float64 [N, T] in [0, 1), the only source of chance: one number a token, so the same numbers
    give the same text. temperature 0 takes the likeliest token.
    """
    count, longest = uniforms.shape
    cache = KVCache(model.config, batch_size=1, max_length=len(prompt) + longest)
    logits = model(torch.tensor([list(prompt)]), cache=cache)[:, -1]  # [1, P] -> [1, V]: the prompt, once
    cache = cache.select(torch.zeros(count, dtype=torch.long))  # N rows that begin with the same keys, values
    logits = logits.expand(count, -1)  # [N, V]

    tokens = torch.zeros(count, longest, dtype=torch.long)  # [N, T]
    mask = torch.zeros(count, longest, dtype=torch.bool)  # [N, T]
    logprobs = torch.zeros(count, longest)  # [N, T]
    running = torch.ones(count, dtype=torch.bool)  # [N]
    for t in range(longest):
        chosen = draw(logits, uniforms[:, t], temperature, top_p)  # [N]
        logprob = logits.log_softmax(-1).gather(1, chosen[:, None])[:, 0]  # [N]
        tokens[:, t] = torch.where(running, chosen, 0)
        logprobs[:, t] = torch.where(running, logprob, 0.0)
        mask[:, t] = running
        running &= ~torch.isin(chosen, torch.tensor(list(stop), dtype=torch.long))
        if t + 1 == longest or not running.any():
            break
        # A row that has stopped is computed on and never looked at: simple, and a waste.
        logits = model(chosen[:, None], cache=cache)[:, -1]  # [N, 1] -> [N, V]
    return Samples(tokens, mask, logprobs)


def draw(logits: Tensor, uniforms: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """One token a row, int64 [N]: the first whose cumulative probability exceeds the row's number.

    logits: [N, V]. uniforms: float64 [N].
    """
    if temperature == 0:
        return logits.argmax(-1)
    weights = (logits / temperature).softmax(-1)  # [N, V]
    if top_p < 1:
        falling = weights.sort(-1, descending=True).values
        before = falling.cumsum(-1, dtype=torch.float64) - falling  # mass of all likelier tokens
        last = (before < top_p).sum(-1, keepdim=True) - 1  # [N, 1]: the smallest set of mass top_p ends here
        weights = weights.where(weights >= falling.gather(-1, last), 0.0)
    cumulative = weights.cumsum(-1, dtype=torch.float64)  # [N, V]; 32 bit would lose the unlikely tokens
    total = cumulative[:, -1:]  # [N, 1]: the kept mass need not be 1
    # The product may round up to the total, which no cumulative probability exceeds.
    targets = torch.minimum(uniforms[:, None] * total, total.nextafter(torch.zeros_like(total)))
    return torch.searchsorted(cumulative, targets, right=True)[:, 0]
