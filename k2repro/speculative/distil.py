"""A draft learns from its target: distillation with soft targets on the target's own texts.

The draft begins as a part of the target (`drafts.prune`), so it already computes nearly the same; what it
learns is to make up for what was taken away. Loss: cross-entropy with the target's probabilities, not with
the token that the text has; Hinton et al., arXiv 1503.02531, at temperature 1. Acceptance of the token-wise
rule is 1 - total variation, which the loss bounds (Pinsker).
"""

from collections.abc import Callable
from typing import Protocol

import torch

from k2repro.architecture import Qwen2
from k2repro.fast import packed_logits
from k2repro.training import SCHEDULES, build_optimizer
from k2repro.training.optimizer import LearningRates
from k2repro.training.packing import IGNORED, Batch

# A sixth of pre-training's: at 0.3 of them the draft forgets faster than it learns.
RATES = LearningRates(matrices=1.6e-3, rest=1.6e-4, biases=4.8e-3)


class DistilBatches(Protocol):
    """Batches without end."""

    def next_batch(self) -> Batch: ...


def distil(
    target: Qwen2,
    draft: Qwen2,
    batches: DistilBatches,
    steps: int,
    *,
    rates: LearningRates = RATES,
    on_step: Callable[[int, float], None] | None = None,
) -> Qwen2:
    """`draft` after `steps` steps, changed in place. on_step: told (step, divergence in nats a token)."""
    optimizer = build_optimizer(draft, rates)
    schedule = SCHEDULES["cosine"]
    for step in range(steps):
        batch = batches.next_batch()
        at = (batch.targets.flatten() != IGNORED).nonzero()[:, 0]
        with torch.no_grad():
            wanted = packed_logits(target, batch.tokens, batch.segments, at).log_softmax(-1)  # [A, V]
        found = packed_logits(draft, batch.tokens, batch.segments, at).log_softmax(-1)  # [A, V]
        loss = torch.nn.functional.kl_div(found, wanted, reduction="batchmean", log_target=True)
        loss.backward()
        optimizer.step(schedule(step, steps, warmup=0.1))
        if on_step is not None:
            on_step(step, float(loss.detach()))
    return draft
