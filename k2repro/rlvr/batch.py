"""From sampled completions to training rows: packed side by side, so that no pass is spent on padding.

Prompt and completion of one sample form one segment of a row (`Qwen2(..., segments=...)`), which sees only
itself. Logits are computed only where they predict a completion token. What comes back is one
log-probability for each token, laid out as [S, C]: padding costs a number there, not a forward pass.

Shapes: R rows, T tokens of a row, N logits of a row, S sequences, C tokens of the longest completion.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from ..architecture.qwen2 import Qwen2
from ..errors import K2ReproError
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
    """Packed rows of one forward pass and the [S, C] layout of their completion tokens.

    tokens, segments: int64 [R, T]. logits_at, targets: int64 [R, N], where logits are taken and the tokens
    that they predict. places: int64 [tokens], index into the flat [R * N] of every completion token,
    sequence by sequence. mask: bool [S, C]. advantages: float32 [S]. sampling_logprobs: float32 [S, C] or
    None. old_logprobs, reference_logprobs: [S, C], filled in by `step.py` where they are needed.
    """

    tokens: Tensor
    segments: Tensor
    logits_at: Tensor
    targets: Tensor
    places: Tensor
    mask: Tensor
    advantages: Tensor
    sampling_logprobs: Tensor | None
    old_logprobs: Tensor | None = None
    reference_logprobs: Tensor | None = None


def completion_logprobs(model: Qwen2, batch: MicroBatch) -> tuple[Tensor, Tensor]:
    """Log-probability and entropy of every completion token under `model`, both [S, C], 0 in the padding."""
    logits = model(batch.tokens, segments=batch.segments, logits_at=batch.logits_at)
    logprobs, entropy = token_logprobs(logits, batch.targets)
    return _unpack(logprobs, batch), _unpack(entropy, batch)


def _unpack(values: Tensor, batch: MicroBatch) -> Tensor:
    """[R, N] -> [S, C]."""
    padded = values.new_zeros(batch.mask.shape)
    padded[batch.mask] = values.flatten()[batch.places]
    return padded


def micro_batches(
    rollouts: Sequence[Rollout], *, row_tokens: int = 256, max_tokens: int = 4096
) -> list[MicroBatch]:
    """Pack `rollouts` into rows and the rows into micro-batches.

    row_tokens: length of a row; a longer sample makes longer rows. Attention inside a row costs its length
        squared, so rows much longer than the samples waste time. max_tokens: of one forward pass (rows
        times their length; at least one row).
    Deterministic: longest first, each into the first row that has room. Raises K2ReproError for an empty
    completion or prompt, and for log-probabilities that do not fit their completion.
    """
    for index, rollout in enumerate(rollouts):
        _check(index, rollout)
    order = sorted(range(len(rollouts)), key=lambda index: -_fed(rollouts[index]))
    capacity = max([row_tokens, *(_fed(rollout) for rollout in rollouts)])
    rows: list[list[int]] = []
    room: list[int] = []
    for index in order:
        need = _fed(rollouts[index])
        row = next((row for row, free in enumerate(room) if free >= need), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(capacity)
        rows[row].append(index)
        room[row] -= need
    per_pass = max(1, max_tokens // capacity)
    return [_build(rollouts, rows[first : first + per_pass]) for first in range(0, len(rows), per_pass)]


def _fed(rollout: Rollout) -> int:
    """Tokens that the model reads: all but the last, which predicts nothing that is trained."""
    return len(rollout.prompt) + len(rollout.completion) - 1


def _build(rollouts: Sequence[Rollout], rows: Sequence[Sequence[int]]) -> MicroBatch:
    longest = max(sum(_fed(rollouts[index]) for index in row) for row in rows)
    logits = max(sum(len(rollouts[index].completion) for index in row) for row in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.int64)
    segments = torch.full((len(rows), longest), -1)  # padding is a segment of its own
    logits_at = torch.zeros(len(rows), logits, dtype=torch.int64)
    targets = torch.zeros(len(rows), logits, dtype=torch.int64)
    places: list[Tensor] = []
    members: list[Rollout] = []
    for number, row in enumerate(rows):
        start = column = 0
        for segment, index in enumerate(row):
            rollout = rollouts[index]
            fed, count = _fed(rollout), len(rollout.completion)
            sequence = torch.tensor(rollout.prompt + rollout.completion)
            tokens[number, start : start + fed] = sequence[:-1]
            segments[number, start : start + fed] = segment
            # The logits at the last prompt token predict the first completion token: shifted by one.
            first = start + len(rollout.prompt) - 1
            logits_at[number, column : column + count] = torch.arange(first, first + count)
            targets[number, column : column + count] = sequence[-count:]
            places.append(torch.arange(count) + number * logits + column)
            members.append(rollout)
            start, column = start + fed, column + count
    mask, sampled = _layout(members)
    advantages = torch.tensor([rollout.advantage for rollout in members])
    return MicroBatch(tokens, segments, logits_at, targets, torch.cat(places), mask, advantages, sampled)


def _layout(members: Sequence[Rollout]) -> tuple[Tensor, Tensor | None]:
    """Mask [S, C] of the completion tokens and what the sampler said about them."""
    lengths = torch.tensor([len(rollout.completion) for rollout in members])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    known = [rollout.logprobs for rollout in members if rollout.logprobs is not None]
    if len(known) < len(members):
        return mask, None
    sampled = torch.zeros(mask.shape)
    sampled[mask] = torch.from_numpy(numpy.concatenate(known).astype(numpy.float32))
    return mask, sampled


def _check(index: int, rollout: Rollout) -> None:
    for name, tokens in (("prompt", rollout.prompt), ("completion", rollout.completion)):
        if not tokens:
            raise K2ReproError(f"rollout {index} has an empty {name}: there is no token to train on")
    if rollout.logprobs is not None and len(rollout.logprobs) != len(rollout.completion):
        raise K2ReproError(
            f"rollout {index} has {len(rollout.completion)} completion tokens and {len(rollout.logprobs)} "
            "sampling log-probabilities: must be equal. Usual cause: the stop token counted on one side only"
        )
