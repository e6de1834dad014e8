"""Speculative decoding: one page, on torch alone, to be read from top to bottom.

A small draft model guesses a few tokens, the large one checks all of them in one pass, and a rule decides
which stay so that the text is distributed exactly as if the large model had written it alone.
Algorithm 1 of Leviathan, Kalman and Matias, "Fast inference from transformers via speculative decoding",
arXiv 2211.17192.

What is left out here, and stands in `sampling.py` and `fast/`:
1. The cache. Every pass reads the whole text again; the fast loop reads each token once and takes back the
   keys and values of those that did not stay.
2. Batches, stop tokens, drafts that are no model, a number of guesses that adapts.
3. Two other rules that leave the text as it is: coupled (the default there) and block verification.
What is *not* left out is the argument why it is right: `exact.py` runs these very functions with fractions.

Shapes: T tokens of the text, V words; p is the target's distribution, q the draft's.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

# From a text, int64 [T], to the distributions after each of its tokens, [T, V].
Model = Callable[[Tensor], Tensor]


@torch.inference_mode()
def speculate_plainly(
    target: Model, draft: Model, text: Tensor, gamma: int, generator: torch.Generator
) -> Tensor:
    """The text with the 1 to gamma + 1 tokens of one cycle behind it.

    text: int64 [T]. gamma: guesses of the draft.
    """
    guesses, asked = propose(draft, text, gamma, generator)  # [gamma], [gamma, V]
    p = target(torch.cat((text, guesses)))[len(text) - 1 :]  # [gamma + 1, V]: after 0 .. gamma guesses
    kept: list[int] = []
    for guess, p_here, q_here in zip(guesses.tolist(), p, asked, strict=False):
        if float(torch.rand((), generator=generator)) >= acceptance(p_here, q_here, guess):
            instead = residual(p_here, q_here)  # [V]
            return torch.cat((text, torch.tensor([*kept, draw(instead, generator)])))
        kept.append(guess)
    # All guesses stay, and the pass has already said what comes behind them: one token for nothing.
    return torch.cat((text, torch.tensor([*kept, draw(p[gamma], generator)])))


def propose(draft: Model, text: Tensor, gamma: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tokens [gamma] that the draft writes, and the distributions [gamma, V] that it drew them from."""
    asked: list[Tensor] = []
    for _ in range(gamma):
        q = draft(text)[-1]  # [V]
        text = torch.cat((text, torch.tensor([draw(q, generator)])))
        asked.append(q)
    return text[len(text) - gamma :], torch.stack(asked)


def acceptance(p: Any, q: Any, guess: int) -> Any:
    """The probability that a guess stays: 1 where the target likes it better than the draft did."""
    return min(1, p[guess] / q[guess])


def residual(p: Any, q: Any) -> Any:
    """What takes the place of a guess that did not stay: where p exceeds q, in proportion, sum 1.

    A guess x stays with q(x) min(1, p(x) / q(x)) = min(p(x), q(x)). What is missing to p(x) is
    max(p(x) - q(x), 0); drawn from that in proportion, the two add up to p(x).
    """
    missing = p - q
    missing = missing * (missing > 0)
    return missing / missing.sum()


def draw(distribution: Tensor, generator: torch.Generator) -> int:
    """A token from a distribution [V]."""
    return int(torch.multinomial(distribution, 1, generator=generator))


def reader(model: Callable[[Tensor], Tensor], temperature: float = 1.0) -> Model:
    """A language model (int64 [1, T] -> logits [1, T, V]) as a `Model`."""
    return lambda text: torch.softmax(model(text[None])[0].double() / temperature, -1)


def write(
    target: Model, draft: Model, text: Sequence[int], gamma: int, new: int, generator: torch.Generator
) -> list[int]:
    """`new` tokens behind `text`, cycle after cycle."""
    found = torch.tensor(list(text))
    while len(found) < len(text) + new:
        found = speculate_plainly(target, draft, found, gamma, generator)
    return found[len(text) : len(text) + new].tolist()
