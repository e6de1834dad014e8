"""What a packed batch really asks for: which tokens to read, and where each text begins and ends.

Packed rows hold padding, and tokens after the last one that is learned; no learned token sees either. They
are left out: the texts stand one after the other in one list of tokens, and in the last layer
only the tokens from the first learned one of a text on are asked for an answer.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from k2repro.errors import K2ReproError

# oneDNN prepares a kernel for each shape it meets, once: multiples keep them few.
SPAN_MULTIPLE = 16
LIST_MULTIPLE = 32


@dataclass(frozen=True)
class Span:
    """One text: rows `start` .. `start + length - 1` of the tokens that are read.

    Its rows from `first` on are asked for an answer; they are `asked` .. of the list of such rows.
    """

    start: int
    length: int
    first: int
    asked: int


@dataclass(frozen=True)
class Reading:
    """The tokens of a batch that matter, text after text, filled up to a multiple with rows that no text has.

    tokens, positions: int64 [N], token and place in its text. spans: the texts, none overlapping.
    asked: int64 [M], rows of [N] that the last layer answers. answers: int64 [A], rows of [M] whose
    logits are wanted, in the order in which they were asked for. used, used_asked: rows without filling.
    """

    tokens: Tensor
    positions: Tensor
    spans: tuple[Span, ...]
    asked: Tensor
    answers: Tensor
    used: int
    used_asked: int

    @property
    def longest(self) -> int:
        """Tokens of the longest text."""
        return max(span.length for span in self.spans)


def plan_reading(tokens: Tensor, segments: Tensor, at: Tensor) -> Reading:
    """Plan what to read of packed rows.

    tokens, segments: int64 [rows, length], as the decoder takes them; neighbours of one row with the same
    segment form one text. at: int64 [A], flat index (row * length + column) of every logit that is wanted.
    Raises K2ReproError when nothing is wanted or the shapes differ.
    """
    if tokens.shape != segments.shape or tokens.dim() != 2:
        raise K2ReproError(
            f"tokens have shape {tuple(tokens.shape)}, segments {tuple(segments.shape)}: must be equal, "
            "[rows, length]"
        )
    if at.numel() == 0:
        raise K2ReproError("no logit is wanted: every target is ignored")
    wanted = at.numpy()
    run = _runs(segments.numpy())
    begins = np.flatnonzero(np.diff(run, prepend=-1))
    first = np.full(len(begins), run.size)
    last = np.full(len(begins), -1)
    np.minimum.at(first, run[wanted], wanted)
    np.maximum.at(last, run[wanted], wanted)
    spans, read, asked = [], [], []
    start = count = 0
    for text in np.flatnonzero(last >= 0).tolist():
        begin, end = int(begins[text]), int(last[text]) + 1
        skipped = int(first[text]) - begin
        spans.append(Span(start, end - begin, skipped, count))
        read.append(np.arange(begin, end))
        asked.append(np.arange(start + skipped, start + end - begin))
        start, count = start + end - begin, count + end - begin - skipped
    places = np.concatenate(read)
    rows = np.concatenate(asked)
    return Reading(
        tokens=_filled(tokens.flatten().numpy()[places], SPAN_MULTIPLE),
        positions=_filled(np.concatenate([np.arange(span.length) for span in spans]), SPAN_MULTIPLE),
        spans=tuple(spans),
        asked=_filled(rows, SPAN_MULTIPLE),
        answers=torch.from_numpy(_inverse(places[rows], run.size)[wanted]),
        used=start,
        used_asked=count,
    )


def _runs(segments: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the text of each token, flat; a row always begins a new one."""
    begins = np.ones(segments.shape, dtype=bool)
    begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
    return begins.flatten().cumsum() - 1


def _inverse(places: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """[size], index into `places` of each number below `size` that is there."""
    found = np.full(size, -1)
    found[places] = np.arange(len(places))
    return found


def _filled(values: NDArray[np.int64], spare: int) -> Tensor:
    """`values` and at least `spare` zeros behind them, up to a multiple of LIST_MULTIPLE."""
    padded = np.zeros(-(-(len(values) + spare) // LIST_MULTIPLE) * LIST_MULTIPLE, np.int64)
    padded[: len(values)] = values
    return torch.from_numpy(padded)
