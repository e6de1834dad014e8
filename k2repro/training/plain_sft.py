"""Supervised fine-tuning on one page: pack texts into rows, predict the next token of each response, step.

This is the whole method: a language model reads a question and a worked solution, and the likelihood of the
solution is raised. What makes it *long chain-of-thought* SFT is the data alone. K2-Think's SFT does the same
with 32,768 tokens a row (LLaMA-Factory, `packing` and `neat_packing`; MBZUAI-IFM/K2-Think-SFT).

Left out here: Muon on the matrices (`optimizer.py`), stages that end when a skill stands, gradient
accumulation, saving and resuming (`sft.py` or `loop.py`), best-fit packing (`packing.py`) and the compiled
pass (`k2repro.fast`). The loss and its gradient are the same, which a test checks.

Shapes: R rows, L tokens of a row, V vocabulary.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from k2repro.architecture.qwen2 import Qwen2

NOT_LEARNED = -100  # the target that cross_entropy ignores


class PackedRows(NamedTuple):
    """Packed texts, each int64 [R, L].

    tokens: what is read. targets: the token that follows, where it is to be learned, else NOT_LEARNED.
    segments: the number of the text that a token belongs to; padding is 0.
    """

    tokens: Tensor
    targets: Tensor
    segments: Tensor


def pack_plainly(texts: Sequence[tuple[Sequence[int], Sequence[int]]], length: int) -> PackedRows:
    """(prompt, response) pairs of token ids, one behind the other; what does not fit begins a new row."""
    rows: list[list[tuple[Sequence[int], Sequence[int]]]] = [[]]
    for prompt, response in texts:
        used = sum(len(p) + len(r) for p, r in rows[-1])
        if used + len(prompt) + len(response) > length:
            rows.append([])
        rows[-1].append((prompt, response))

    tokens = torch.zeros(len(rows), length, dtype=torch.long)  # [R, L]
    targets = torch.full_like(tokens, NOT_LEARNED)  # [R, L]
    segments = torch.zeros_like(tokens)  # [R, L]
    for r, row in enumerate(rows):
        start = 0
        for number, (prompt, response) in enumerate(row, 1):
            text = torch.tensor([*prompt, *response])
            end = start + len(text)
            tokens[r, start:end] = text
            segments[r, start:end] = number
            # Token i predicts token i + 1: the last of the prompt learns the first of the response, and the
            # last of the response learns nothing. The question itself is never learned.
            targets[r, start + len(prompt) - 1 : end - 1] = torch.tensor(response)
            start = end
    return PackedRows(tokens, targets, segments)


def sft_loss(model: Qwen2, rows: PackedRows) -> Tensor:
    """Mean negative log-likelihood of the response tokens in nats, a scalar with gradient.

    `segments` keeps texts of one row apart: a token sees its own text only, at positions from 0. Without it
    every text would be read as the continuation of its neighbour.
    """
    logits = model(rows.tokens, segments=rows.segments)  # [R, L, V]
    return F.cross_entropy(logits.flatten(0, 1), rows.targets.flatten(), ignore_index=NOT_LEARNED)


def sft_step(model: Qwen2, rows: PackedRows, optimizer: torch.optim.Optimizer) -> float:
    """One step: gradient of the loss, then the optimiser. Returns the loss before the step."""
    optimizer.zero_grad()
    loss = sft_loss(model, rows)
    loss.backward()
    optimizer.step()
    return loss.item()


def fine_tune(model: Qwen2, batches: Iterable[PackedRows], steps: int, *, peak: float = 1e-3) -> list[float]:
    """Train `model` in place on the first `steps` of `batches`; the loss of every step.

    The learning rate rises to `peak` over the first 5 % of the steps and falls along half a cosine, as in
    K2-Think's training file.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, betas=(0.9, 0.95), weight_decay=0.0)
    warmup = max(1, round(0.05 * steps))
    losses = []
    for step, rows in zip(range(steps), batches, strict=False):
        rise = min(1.0, (step + 1) / warmup)
        fall = 0.5 * (1 + math.cos(math.pi * max(0, step - warmup) / max(1, steps - warmup)))
        optimizer.param_groups[0]["lr"] = peak * rise * fall
        losses.append(sft_step(model, rows, optimizer))
    return losses
