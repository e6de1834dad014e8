"""From logits to tokens: temperature, nucleus, and the inverse of the distribution function.

One uniform number u in [0, 1) a token: the token chosen is the first whose cumulative probability
exceeds u. Rows never meet, so a row's choice depends on its own logits and number only.
Nucleus (top-p) sampling: Holtzman et al., arXiv 1904.09751, section 3.1.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from k2repro.errors import K2ReproError


def choose(logits: Tensor, uniforms: NDArray[np.float64], temperature: float, top_p: float) -> Tensor:
    """Token ids, int64 [B], for `logits`, float32 [B, vocabulary].

    uniforms: [B], one number a row; not looked at when temperature is 0 (the most likely token).
    Raises K2ReproError when a row of logits is not finite.
    """
    if temperature == 0.0:
        best, tokens = logits.max(-1)
        _check_finite(best.numpy())
        return tokens
    weights = torch.softmax(logits if temperature == 1.0 else logits / temperature, -1)
    if top_p < 1.0:
        weights = keep_nucleus(weights, top_p)
    # In 64 bit: over 150,000 tokens a 32-bit sum would lose the unlikely ones.
    cumulative = weights.cumsum(-1, dtype=torch.float64)
    total = cumulative.numpy()[:, -1]
    _check_finite(total)
    # The product may round up to the total itself, which no cumulative weight exceeds.
    targets = np.minimum(uniforms * total, np.nextafter(total, 0.0))
    return torch.searchsorted(cumulative, torch.from_numpy(targets)[:, None], right=True)[:, 0]


def keep_nucleus(weights: Tensor, top_p: float) -> Tensor:
    """`weights` [B, vocabulary] with zeros outside the smallest set of likeliest tokens of mass >= top_p.

    Tokens exactly as likely as the last one kept are kept too, so that ids do not decide. The result is
    not normalised; the inverse of the distribution function divides by the total.
    """
    # NumPy sorts rows of 32-bit floats ten times as fast as torch, which carries indices along.
    falling = torch.from_numpy(np.sort(weights.numpy(), axis=-1)[:, ::-1].copy())
    mass = falling.cumsum(-1, dtype=torch.float64)
    kept = (mass < top_p * mass[:, -1:]).sum(-1, keepdim=True)
    return torch.where(weights >= falling.gather(-1, kept), weights, 0.0)


def log_probabilities(logits: Tensor, tokens: Tensor) -> NDArray[np.float32]:
    """Natural log of softmax(logits) at the chosen tokens, float32 [B]; temperature 1, no nucleus."""
    return torch.log_softmax(logits, -1).gather(-1, tokens[:, None])[:, 0].numpy()


def _check_finite(per_row: NDArray[np.floating]) -> None:
    """`per_row` [B] is NaN or infinite exactly where a row of logits has no distribution."""
    finite = np.isfinite(per_row)
    if not finite.all():
        raise K2ReproError(
            f"logits of {np.sum(~finite)} of {len(finite)} rows in flight are NaN or infinite: no token can "
            "be drawn. Usual cause: weights that diverged in training (look at the loss of the last steps)"
        )
