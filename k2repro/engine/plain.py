"""How a language model writes: one page, on `Qwen2` and torch alone, to be read from top to bottom.

What is left out here, and stands in `sampler.py` and `fast/`:
1. Batches. One response at a time is written; the engine keeps many rows in flight, which leave and join.
2. Speed. Every operation goes through torch modules; `fast/` folds the weights and compiles a whole step.
3. Text. Prompt and response are token ids, and only a token can stop a response, not a string.
4. Half of the care: prompts that do not fit, seeds, logits that are not finite.
Nothing of this changes a token: a test holds the tokens of both equal, given the same random numbers.

Shapes: T tokens of the prompt, V words of the vocabulary.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from k2repro.architecture import KVCache, Qwen2


@torch.inference_mode()
def plain_sample(
    model: Qwen2,
    prompt: Sequence[int],
    numbers: Sequence[float],
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    stop: Collection[int] = (),
) -> list[int]:
    """The response to `prompt`, at most one token for each of `numbers`; a stop token is its last.

    numbers: uniform in [0, 1), one for each token that may be drawn. temperature 0: the likeliest token.
    """
    # Keys and values of every token read so far: no token is read twice.
    cache = KVCache(model.config, batch_size=1, max_length=len(prompt) + len(numbers))
    logits = model(torch.tensor([prompt]), cache=cache)[0, -1]  # [1, T] -> [1, T, V] -> [V]: of the last
    response: list[int] = []
    for number in numbers:
        token = choose_token(logits, number, temperature, top_p)
        response.append(token)
        if token in stop or len(response) == len(numbers):
            break
        logits = model(torch.tensor([[token]]), cache=cache)[0, -1]  # [1, 1] -> [1, 1, V] -> [V]
    return response


def choose_token(logits: Tensor, number: float, temperature: float, top_p: float) -> int:
    """One token from logits [V]: softmax, then the nucleus, then a dart at a line of length one."""
    if temperature == 0:
        return int(logits.argmax())
    weights = torch.softmax(logits / temperature, -1)  # [V], sums to 1
    if top_p < 1:
        weights = keep_nucleus(weights, top_p)  # [V], zeros outside; sums to at least top_p
    ends = weights.double().cumsum(-1)  # [V]: token v owns the stretch from ends[v - 1] to ends[v]
    dart = number * ends[-1]
    return int(torch.searchsorted(ends, dart, right=True).clamp(max=len(ends) - 1))


def keep_nucleus(weights: Tensor, top_p: float) -> Tensor:
    """The likeliest tokens that together have a mass of top_p, and all as likely as the last of them."""
    falling = weights.sort(descending=True).values  # [V]
    mass = falling.double().cumsum(-1)  # [V]: of the n likeliest tokens
    enough = int((mass < top_p * mass[-1]).sum())  # the first n with the mass wanted, less one
    return torch.where(weights >= falling[enough], weights, 0.0)
