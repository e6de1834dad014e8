"""From sampled completions to training rows: one sample a row, rows of like length side by side.

Samples are sorted by length and cut into micro-batches, so little of a row is padding. Padding stands at the
end, where causal attention lets no token see it. Packing several samples into one row would pad less, but
attention costs the square of the row: for traces of a hundred tokens it took a quarter more time.

Shapes: S sequences (rows), T tokens of the longest sample, C tokens of the longest completion.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from ..architecture.qwen2 import Qwen2
from ..errors import K2ReproError
from ..training.fused import fits_fused, packed_logits
from .loss import token_logprobs


@dataclass(frozen=True)
class Rollout:
    """One sampled completion with its advantage, ready to be trained on.

    prompt, completion: token ids; the stop token belongs to the completion. advantage: see
    `group_advantages`. logprobs: float32 [tokens of the completion], natural log, as the sampler reported
    them; None if it did not.
    """

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    advantage: float
    logprobs: numpy.ndarray | None = None


@dataclass(frozen=True)
class MicroBatch:
    """The samples of one forward pass.

    tokens: int64 [S, T], what the model reads. logits_at, targets: int64 [S, C], where logits are taken and
    the completion tokens that they predict. mask: bool [S, C], false in the padding. advantages: float32 [S].
    sampling_logprobs: float32 [S, C] or None. old_logprobs, reference_logprobs: [S, C], filled in by
    `step.py` where they are needed.
    """

    tokens: Tensor
    logits_at: Tensor
    targets: Tensor
    mask: Tensor
    advantages: Tensor
    sampling_logprobs: Tensor | None
    old_logprobs: Tensor | None = None
    reference_logprobs: Tensor | None = None


def completion_logprobs(model: Qwen2, batch: MicroBatch) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of every completion token under `model`, both [S, C], 0 in the padding."""
    if fits_fused(model):
        return _packed_logprobs(model, batch)
    logits = model(batch.tokens, logits_at=batch.logits_at)
    logprobs, entropy = token_logprobs(logits, batch.targets)
    return logprobs.masked_fill(~batch.mask, 0.0), entropy.masked_fill(~batch.mask, 0.0)


def _packed_logprobs(model: Qwen2, batch: MicroBatch) -> tuple[Tensor, Tensor]:
    """The same in the pass that leaves padding and the logits of prompts out."""
    rows = torch.arange(len(batch.tokens))[:, None]
    at = (rows * batch.tokens.shape[1] + batch.logits_at)[batch.mask]
    logits = packed_logits(model, batch.tokens, rows.expand_as(batch.tokens), at)
    blank = torch.zeros(batch.mask.shape)
    logprobs, entropy = token_logprobs(logits, batch.targets[batch.mask])
    return blank.masked_scatter(batch.mask, logprobs), blank.masked_scatter(batch.mask, entropy)


def micro_batches(rollouts: Sequence[Rollout], *, max_tokens: int = 1024) -> list[MicroBatch]:
    """Cut `rollouts`, longest first, into micro-batches.

    max_tokens: of one forward pass, rows times their length; at least one row. Small enough, a pass stays in
    the processor's caches.
    Raises K2ReproError for an empty completion or prompt, and for log-probabilities that do not fit
    their completion.
    """
    for index, rollout in enumerate(rollouts):
        _check(index, rollout)
    ordered = sorted(rollouts, key=lambda rollout: -_fed(rollout))
    batches: list[MicroBatch] = []
    first = 0
    while first < len(ordered):
        rows = max(1, max_tokens // _fed(ordered[first]))
        batches.append(_build(ordered[first : first + rows]))
        first += rows
    return batches


def _fed(rollout: Rollout) -> int:
    """Tokens that the model reads: all but the last, which predicts nothing that is trained."""
    return len(rollout.prompt) + len(rollout.completion) - 1


def _build(members: Sequence[Rollout]) -> MicroBatch:
    """members: longest first."""
    size = len(members), max(len(rollout.completion) for rollout in members)
    tokens = torch.zeros(len(members), _fed(members[0]), dtype=torch.int64)
    logits_at, targets = torch.zeros(size, dtype=torch.int64), torch.zeros(size, dtype=torch.int64)
    mask = torch.zeros(size, dtype=torch.bool)
    for row, rollout in enumerate(members):
        sequence = torch.tensor(rollout.prompt + rollout.completion)
        count = len(rollout.completion)
        tokens[row, : len(sequence) - 1] = sequence[:-1]
        # The logits at the last prompt token predict the first completion token: shifted by one.
        first = len(rollout.prompt) - 1
        logits_at[row, :count] = torch.arange(first, first + count)
        targets[row, :count] = sequence[-count:]
        mask[row, :count] = True
    advantages = torch.tensor([rollout.advantage for rollout in members])
    return MicroBatch(tokens, logits_at, targets, mask, advantages, _sampled(members, mask))


def _sampled(members: Sequence[Rollout], mask: Tensor) -> Tensor | None:
    """What the sampler said about the tokens of `mask` [S, C]; None unless it is known of all."""
    known = [rollout.logprobs for rollout in members if rollout.logprobs is not None]
    if len(known) < len(members):
        return None
    sampled = torch.zeros(mask.shape)
    sampled[mask] = torch.from_numpy(numpy.concatenate(known).astype(numpy.float32))
    return sampled


def _check(index: int, rollout: Rollout) -> None:
    for name, tokens in (("prompt", rollout.prompt), ("completion", rollout.completion)):
        if not tokens:
            raise K2ReproError(f"rollout {index} has an empty {name}: there is no token to train on")
    if rollout.logprobs is not None and len(rollout.logprobs) != len(rollout.completion):
        raise K2ReproError(
            f"rollout {index} has {len(rollout.completion)} completion tokens and {len(rollout.logprobs)} "
            "sampling log-probabilities: must be equal. Usual cause: the stop token counted on one side only"
        )
