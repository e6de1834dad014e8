"""What to log about a GRPO loss, in a form whose parts add up: ratios, clipping, KL, entropy."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Diagnostics:
    """Averages over one micro-batch or one step; None where there was nothing to average.

    loss: value of the loss. tokens: completion tokens that count. ratios: number of importance ratios, equal
    to `tokens` at the token level, to the sequences at the sequence level. ratio_mean, ratio_min, ratio_max:
    policy over old policy. clip_low, clip_high: share of ratios below (advantage < 0) and above
    (advantage > 0) the bounds, whose gradient is cut off. kl: mean k3 estimate of KL(policy || reference)
    as it stands in the loss, nats per token. entropy: mean nats per token.
    """

    loss: float
    tokens: int
    ratios: int
    ratio_mean: float | None
    ratio_min: float | None
    ratio_max: float | None
    clip_low: float | None
    clip_high: float | None
    kl: float | None
    entropy: float | None


@torch.no_grad()
def diagnose(
    loss: Tensor,
    ratio: Tensor,
    kl: Tensor | None,
    entropy: Tensor | None,
    advantages: Tensor,
    mask: Tensor,
    bounds: tuple[float, float],
) -> Diagnostics:
    """Diagnostics of one micro-batch; shapes as in `loss.py`, `bounds` are those of the clip."""
    where = mask if ratio.shape == mask.shape else mask.any(1, keepdim=True)
    advantage = advantages[:, None].expand_as(ratio)[where]
    kept = ratio[where]
    count = kept.numel()
    low, high = (kept < bounds[0]) & (advantage < 0), (kept > bounds[1]) & (advantage > 0)
    return Diagnostics(
        loss=loss.item(),
        tokens=int(mask.sum()),
        ratios=count,
        ratio_mean=kept.mean().item() if count else None,
        ratio_min=kept.min().item() if count else None,
        ratio_max=kept.max().item() if count else None,
        clip_low=low.float().mean().item() if count else None,
        clip_high=high.float().mean().item() if count else None,
        kl=kl[mask].mean().item() if kl is not None and count else None,
        entropy=entropy[mask].mean().item() if entropy is not None and count else None,
    )


def combine(parts: Sequence[Diagnostics]) -> Diagnostics:
    """Diagnostics of a step from those of its micro-batches; means are weighted by what they average."""
    return Diagnostics(
        loss=math.fsum(part.loss for part in parts),
        tokens=sum(part.tokens for part in parts),
        ratios=sum(part.ratios for part in parts),
        ratio_mean=_mean([(part.ratio_mean, part.ratios) for part in parts]),
        ratio_min=min((part.ratio_min for part in parts if part.ratio_min is not None), default=None),
        ratio_max=max((part.ratio_max for part in parts if part.ratio_max is not None), default=None),
        clip_low=_mean([(part.clip_low, part.ratios) for part in parts]),
        clip_high=_mean([(part.clip_high, part.ratios) for part in parts]),
        kl=_mean([(part.kl, part.tokens) for part in parts]),
        entropy=_mean([(part.entropy, part.tokens) for part in parts]),
    )


def _mean(weighted: Sequence[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in weighted if value is not None and weight]
    total = sum(weight for _, weight in known)
    return math.fsum(value * weight for value, weight in known) / total if total else None
