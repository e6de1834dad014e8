"""Packing: several texts in one row, so that almost no position is padding.

K2-Think's SFT packs to 32,768 tokens (`packing` and `neat_packing` of LLaMA-Factory): texts of one row do
not see each other. Here the same: `segments` numbers the texts of a row, and the decoder attends inside a
segment only, with positions from 0. The loss counts response tokens, never the prompt or the padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from k2repro.errors import K2ReproError

IGNORED = -100


@dataclass(frozen=True)
class Example:
    """One text as tokens: what is given, and what is to be learned.

    skip: (place, distance): tokens from that place on stand so much further along than they would
    """

    prompt: Sequence[int]
    response: Sequence[int]
    skip: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self.prompt) + len(self.response)


@dataclass(frozen=True)
class Batch:
    """Packed rows.

    tokens    int64 [rows, length]
    targets   int64 [rows, length]: the token that follows, where it is learned; otherwise IGNORED
    segments  int64 [rows, length]: number of the text in its row; padding has a number of its own
    positions int64 [rows, length]: of each token in its text, as skips leave them; None: nothing is skipped
    """

    tokens: Tensor
    targets: Tensor
    segments: Tensor
    positions: Tensor | None = None

    @property
    def learned(self) -> int:
        """Positions with a target."""
        return int((self.targets != IGNORED).sum())

    @property
    def used(self) -> int:
        """Positions that are not padding."""
        return int((self.segments > 0).sum())

    @property
    def fill(self) -> float:
        """Share of positions that are not padding."""
        return self.used / self.tokens.numel()


def pack(examples: Sequence[Example], length: int, *, rows: int | None = None) -> tuple[Batch, list[Example]]:
    """One batch from the front of `examples`, and what did not fit into it.

    length: tokens of a row. rows: number of rows; None takes as many as all examples need. Each example
    goes into the fullest row that still has room (best fit), so texts stay whole.
    Raises K2ReproError for an example that is longer than a row or has an empty prompt or response.
    """
    room: list[int] = [length] * (rows or 0)
    contents: list[list[Example]] = [[] for _ in room]
    left: list[Example] = []
    for example in examples:
        _check(example, length)
        fits = [at for at, free in enumerate(room) if free >= len(example)]
        if fits:
            at = min(fits, key=room.__getitem__)
        elif rows is None:
            at = len(room)
            room.append(length)
            contents.append([])
        else:
            left.append(example)
            continue
        room[at] -= len(example)
        contents[at].append(example)
    if not any(contents):
        raise K2ReproError("no example to pack: the list is empty")
    return _fill(contents, length), left


def _fill(contents: list[list[Example]], length: int) -> Batch:
    tokens = torch.zeros((len(contents), length), dtype=torch.long)
    targets = torch.full((len(contents), length), IGNORED, dtype=torch.long)
    segments = torch.zeros((len(contents), length), dtype=torch.long)
    positions = torch.zeros((len(contents), length), dtype=torch.long)
    for row, examples in enumerate(contents):
        start = 0
        for number, example in enumerate(examples, 1):
            text = torch.tensor([*example.prompt, *example.response])
            end, first = start + len(text), start + len(example.prompt) - 1
            tokens[row, start:end] = text
            segments[row, start:end] = number
            place, distance = example.skip
            positions[row, start:end] = torch.arange(len(text))
            positions[row, start + place : end] += distance
            # Position i predicts token i + 1, so the last token of the prompt learns the first response.
            targets[row, first : end - 1] = text[len(example.prompt) :]
            start = end
    return Batch(tokens, targets, segments, positions)


def _check(example: Example, length: int) -> None:
    if not example.prompt or not example.response:
        raise K2ReproError(
            f"an example has {len(example.prompt)} prompt and {len(example.response)} response tokens: "
            "both must be at least 1"
        )
    if len(example) > length:
        raise K2ReproError(
            f"an example of {len(example)} tokens does not fit a row of {length}: raise the row length, "
            "or filter long texts out before packing"
        )
