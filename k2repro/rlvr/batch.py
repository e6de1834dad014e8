"""From sampled completions to training rows: one sample a row, padding at the end, where no token sees it.

Where the decoder reads every token of a row, samples of like length stand side by side, so little is padding.
The fast pass (`fast/packed.py`) leaves padding out and reads a prefix that neighbours share only once: for
it samples are sorted by their tokens and form a prefix tree. Eight completions of the SFT model go the same
way for long, and one token in seven was left to read; of the base model's, two in five.

Shapes: S sequences (rows), T tokens of the longest sample, C tokens of the longest completion.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, groupby, pairwise
from operator import itemgetter

import numpy as np
import torch
from torch import Tensor

from k2repro.architecture.qwen2 import Qwen2
from k2repro.errors import K2ReproError
from k2repro.fast import fits_fused, packed_logits
from k2repro.fast.spans import in_common
from k2repro.rlvr.loss import token_logprobs


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
    logprobs: np.ndarray | None = None


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
    """The same in the pass that leaves padding, the logits of prompts and repeated prefixes out."""
    rows = torch.arange(len(batch.tokens))[:, None]
    at = (rows * batch.tokens.shape[1] + batch.logits_at)[batch.mask]
    logits = packed_logits(model, batch.tokens, rows.expand_as(batch.tokens), at, share_prefixes=True)
    blank = torch.zeros(batch.mask.shape)
    logprobs, entropy = token_logprobs(logits, batch.targets[batch.mask])
    return blank.masked_scatter(batch.mask, logprobs), blank.masked_scatter(batch.mask, entropy)


def micro_batches(
    rollouts: Sequence[Rollout], *, max_tokens: int = 4096, share_prefixes: bool = False, multiple: int = 1
) -> list[MicroBatch]:
    """Cut `rollouts` into micro-batches.

    max_tokens: that one forward pass reads; at least one row. share_prefixes: for the fast pass, sort by
        tokens, count what a row shares with the row before it once only, and cut into about equal parts, as
        many as keep `threads` busy; max_tokens holds to within a row then. Otherwise sort by length, longest
        first, and count padding.
    Raises K2ReproError for an empty completion or prompt, and for log-probabilities that do not fit
    their completion.
    """
    for index, rollout in enumerate(rollouts):
        _check(index, rollout)
    if share_prefixes:
        cut = _cut_by_prefix(sorted(rollouts, key=_tokens), max_tokens, multiple)
    else:
        cut = _cut_by_length(sorted(rollouts, key=lambda rollout: -_fed(rollout)), max_tokens)
    return [_build(members) for members in cut]


def _cut_by_length(ordered: Sequence[Rollout], max_tokens: int) -> Iterator[Sequence[Rollout]]:
    """ordered: longest first, so the first of a micro-batch gives the length of its rows."""
    first = 0
    while first < len(ordered):
        rows = max(1, max_tokens // _fed(ordered[first]))
        yield ordered[first : first + rows]
        first += rows


def _cut_by_prefix(ordered: Sequence[Rollout], max_tokens: int, multiple: int) -> Iterator[Sequence[Rollout]]:
    """ordered: by tokens, so none before it shares a longer prefix with a rollout than its neighbour."""
    shared = (in_common(_tokens(before), _tokens(rollout)) for before, rollout in pairwise(ordered))
    new = [_fed(rollout) - same for rollout, same in zip(ordered, chain((0,), shared), strict=False)]
    total = sum(new)
    parts = -(-total // max_tokens)
    parts = -(-parts // multiple) * multiple
    starts = accumulate(new, initial=0)
    # A repeated row adds nothing and may begin at the very end.
    part_of = (min(start, total - 1) * parts // total for start in starts)
    for _, members in groupby(zip(part_of, ordered, strict=False), key=itemgetter(0)):
        yield [rollout for _, rollout in members]


def _tokens(rollout: Rollout) -> tuple[int, ...]:
    """What the model reads: all tokens but the last, which predicts nothing that is trained."""
    return (rollout.prompt + rollout.completion)[:-1]


def _fed(rollout: Rollout) -> int:
    """How many tokens the model reads."""
    return len(rollout.prompt) + len(rollout.completion) - 1


def _build(members: Sequence[Rollout]) -> MicroBatch:
    size = len(members), max(len(rollout.completion) for rollout in members)
    tokens = torch.zeros(len(members), max(map(_fed, members)), dtype=torch.int64)
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
    sampled[mask] = torch.from_numpy(np.concatenate(known).astype(np.float32))
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
