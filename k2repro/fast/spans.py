"""What a packed batch really asks for: which tokens to read, and where each text lies in attention.

Packed rows hold padding, and tokens after the last one that is learned; no learned token sees either. They
are left out: the texts stand one after the other in one list of tokens, and in the last layer
only the tokens from the first learned one of a text on are asked for an answer.

Texts can share a prefix: a token sees only what stands before it, so equal prefixes have equal hidden states,
and the gradients of all who use one add up. With the texts sorted, they are read as a prefix tree. Prefix
Grouper (arXiv 2506.05433) shares the prompt of a GRPO group; here completions that go the same way for a
while share that too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from k2repro.errors import K2ReproError
from k2repro.fast.kernels.attention import Places, Texts

# oneDNN prepares a kernel for each shape it meets, once: multiples keep them few.
LIST_MULTIPLE = 32


@dataclass(frozen=True)
class PackedTexts:
    """The tokens of a batch that matter, filled up to a multiple with rows that no text has.

    tokens, positions: int64 [N], token and place in its text. asked: int64 [M], rows of [N] that the last
    layer answers. answers: int64 [A], rows of [M] whose logits are wanted, in the order in which they were
    asked for. used, used_asked: rows without filling.
    queries, last_queries: who asks in a layer of [N] and in the last one, of [M].
    """

    tokens: Tensor
    positions: Tensor
    asked: Tensor
    answers: Tensor
    used: int
    used_asked: int
    queries: Texts
    last_queries: Texts


@dataclass(frozen=True)
class _Text:
    """Flat places `begin` .. `end` - 1, asked from `first` on; an earlier text reads the first `shared`."""

    begin: int
    end: int
    shared: int
    first: int

    @property
    def length(self) -> int:
        return self.end - self.begin


def plan_reading(
    tokens: Tensor,
    segments: Tensor,
    at: Tensor,
    *,
    share_prefixes: bool = False,
    positions: Tensor | None = None,
) -> PackedTexts:
    """Plan what to read of packed rows.

    tokens, segments: int64 [rows, length], as the decoder takes them; neighbours of one row with the same
    segment form one text. at: int64 [A], flat index (row * length + column) of every logit that is wanted.
    share_prefixes: read what a text has in common with the one before it only once. positions: int64 [rows,
    length], of each token in its text where it is not its number.
    Raises K2ReproError when nothing is wanted or the shapes differ.
    """
    _check_shapes(tokens, segments, positions, share_prefixes=share_prefixes)
    if at.numel() == 0:
        raise K2ReproError("no logit is wanted: every target is ignored")
    flat, home, wanted = tokens.flatten().numpy(), np.arange(tokens.numel()), at.numpy()
    texts = _texts(_runs(segments.numpy()), wanted, flat if share_prefixes else None, home)
    read = np.concatenate([np.arange(text.begin + text.shared, text.end) for text in texts])
    asked = np.concatenate([np.arange(text.first, text.end) for text in texts])
    row, asked_row = _inverse(read, home.size), _inverse(asked, home.size)
    begins = np.concatenate([np.full(text.length - text.shared, text.begin) for text in texts])
    count, asked_count = _filled_size(len(read)), _filled_size(len(asked))
    seen = [row[home[text.begin : text.end]] for text in texts]
    return PackedTexts(
        tokens=_filled(flat[read], count),
        positions=_filled(read - begins if positions is None else positions.flatten().numpy()[read], count),
        asked=_filled(row[asked], asked_count),
        answers=torch.from_numpy(asked_row[home[wanted]]),
        used=len(read),
        used_asked=len(asked),
        queries=_queries([text.shared for text in texts], seen),
        last_queries=_queries([text.first - text.begin for text in texts], seen),
    )


def _check_shapes(
    tokens: Tensor, segments: Tensor, positions: Tensor | None, *, share_prefixes: bool
) -> None:
    """Raise K2ReproError where `plan_reading` cannot put its rows together."""
    if tokens.shape != segments.shape or tokens.dim() != 2:
        raise K2ReproError(
            f"tokens have shape {tuple(tokens.shape)}, segments {tuple(segments.shape)}: must be equal, "
            "[rows, length]"
        )
    if positions is not None and (share_prefixes or positions.shape != tokens.shape):
        raise K2ReproError(
            f"positions have shape {tuple(positions.shape)}: must be that of tokens, {tuple(tokens.shape)}; "
            "and prefixes are not shared where positions are given"
        )


def _texts(run: Places, wanted: Places, tokens: Places | None, home: Places) -> list[_Text]:
    """The texts that have rows of their own; `home` [places] is turned into where each place is read.

    run: number of the text of each place. tokens: flat, or None where nothing is shared.
    """
    begins = np.flatnonzero(np.diff(run, prepend=-1))
    ends = np.full(len(begins), -1)
    np.maximum.at(ends, run[wanted], wanted + 1)
    spans = [(int(begins[text]), int(ends[text])) for text in np.flatnonzero(ends >= 0)]
    shared = [0] * len(spans) if tokens is None else _share(tokens, spans, home)
    first = np.full(len(begins), home.size)
    np.minimum.at(first, run[home[wanted]], home[wanted])
    return [
        _Text(begin, end, same, int(first[run[begin]]))
        for (begin, end), same in zip(spans, shared, strict=True)
        if same < end - begin
    ]


def _share(tokens: Places, spans: Sequence[tuple[int, int]], home: Places) -> list[int]:
    """How many tokens each text has in common with the one before it; their `home` is there."""
    shared = [0]
    for (before, its_end), (begin, end) in zip(spans[:-1], spans[1:], strict=True):
        length = min(its_end - before, end - begin)
        differ = tokens[before : before + length] != tokens[begin : begin + length]
        same = int(differ.argmax()) if differ.any() else length
        home[begin : begin + same] = home[before : before + same]
        shared.append(same)
    return shared


def in_common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the longest common prefix of two texts, token ids."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(left), len(right)))


def _queries(firsts: Sequence[int], seen: Sequence[Places]) -> Texts:
    """firsts: of each text the first place that asks. seen: its keys."""
    lengths = np.array([len(rows) for rows in seen])
    counts = lengths - np.array(firsts)
    return Texts(
        starts=counts.cumsum() - counts,
        firsts=np.array(firsts),
        lengths=lengths,
        seen=np.concatenate(seen),
        seen_at=lengths.cumsum() - lengths,
    )


def _runs(segments: Places) -> Places:
    """Number of the text of each token, flat; a row always begins a new one."""
    begins = np.ones(segments.shape, dtype=bool)
    begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
    return begins.flatten().cumsum() - 1


def _inverse(places: Places, size: int) -> Places:
    """[size], index into `places` of each number below `size` that is there; -1 elsewhere."""
    found = np.full(size, -1)
    found[places] = np.arange(len(places))
    return found


def _filled_size(count: int) -> int:
    """`count` filled up to a multiple of LIST_MULTIPLE."""
    return -(-count // LIST_MULTIPLE) * LIST_MULTIPLE


def _filled(values: Places, size: int) -> Tensor:
    """`values` and zeros behind them."""
    padded = np.zeros(size, np.int64)
    padded[: len(values)] = values
    return torch.from_numpy(padded)
