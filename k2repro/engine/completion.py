"""`Completion`: what one sample of one prompt came to."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Finish = Literal["stop", "length"]


@dataclass(frozen=True)
class Completion:
    """The response to a prompt, prompt excluded.

    tokens: token ids; the stop token, or the token that completes a stop string, is the last one.
    finish: "stop", or "length" when `max_new_tokens` or the model's context was used up first.
    logprobs: float32 [tokens], natural logarithm of the probability of each token at temperature 1 over
        the whole vocabulary, whatever temperature and top-p it was drawn with; None unless asked for.
    text: all of `tokens` as text, special tokens included; None without a tokenizer.
    """

    tokens: tuple[int, ...]
    finish: Finish
    logprobs: NDArray[np.float32] | None = None
    text: str | None = None
