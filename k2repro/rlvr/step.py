"""One optimisation step over micro-batches: the gradient does not depend on how the batch was split.

The losses of the micro-batches are parts of one sum (`loss.StepBatch`), so their gradients simply add up.
Averaging the micro-batches instead, as gradient accumulation is often written, weighs a token by the company
it is in; tests/rlvr/test_rlvr_step.py has that as a wrong twin.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from k2repro.architecture.qwen2 import Qwen2
from k2repro.errors import K2ReproError
from k2repro.rlvr.batch import MicroBatch, completion_logprobs
from k2repro.rlvr.config import GrpoConfig
from k2repro.rlvr.diagnostics import Diagnostics, combine
from k2repro.rlvr.loss import StepBatch, grpo_loss
from k2repro.rlvr.passes import add_gradients
from k2repro.training.optimizer import Optimizer


class DivergedError(K2ReproError):
    """The loss, its gradient or a weight is not a finite number."""


@dataclass(frozen=True)
class Gap:
    """|log-probability in training - in sampling| over completion tokens, nats: largest and mean."""

    largest: float
    mean: float


@dataclass(frozen=True)
class StepResult:
    """What one optimisation step did. grad_norm: before clipping. gap: None where it was not measured."""

    diagnostics: Diagnostics
    grad_norm: float
    gap: Gap | None


@torch.no_grad()
def with_old_logprobs(model: Qwen2, batches: Sequence[MicroBatch]) -> list[MicroBatch]:
    """`batches` with the log-probabilities of the present weights as the old policy's.

    Needed when several steps follow one round of sampling; with a single step they are those of the step.
    """
    return [replace(batch, old_logprobs=completion_logprobs(model, batch)[0]) for batch in batches]


@torch.no_grad()
def with_reference(model: Qwen2, batches: Sequence[MicroBatch]) -> list[MicroBatch]:
    """`batches` with the log-probabilities of the reference `model`, for the KL term."""
    return [replace(batch, reference_logprobs=completion_logprobs(model, batch)[0]) for batch in batches]


def sampling_gap(logprobs: Tensor, sampled: Tensor, mask: Tensor) -> Tensor:
    """|training - sampling| of every completion token [tokens]; the arguments are [S, C]."""
    return (logprobs.detach() - sampled)[mask].abs()


def check_gap(gaps: Sequence[Tensor], config: GrpoConfig, step: int) -> Gap | None:
    """Summary of the gaps of all micro-batches; None if there are none.

    Warns of a mean above `config.gap_warning`, raises K2ReproError for a token above `config.gap_error` and
    for NaN. Rounding alone reaches 1e-4 at single tokens (`rounding.py`): of 48,291 that a model after RL
    sampled, the worst differed by 1.2e-4, and from 64 bit by 1.4e-4 in sampling, by 8e-5 in training and by
    7e-5 in the plain module; the mean was 1e-7.
    """
    if not gaps:
        return None
    every = torch.cat(list(gaps))
    gap = Gap(largest=every.max().item(), mean=every.mean().item())
    text = (
        f"step {step}: log-probabilities of sampling and training differ by {gap.mean:.2e} in the mean"
        f" and {gap.largest:.2e} at one token"
    )
    cause = "Usual cause: the sampler holds older weights, a temperature other than 1, or a shifted token"
    if not gap.largest <= config.gap_error:
        raise K2ReproError(f"{text}, more than gap_error = {config.gap_error:g}. {cause}")
    if gap.mean > config.gap_warning:
        warnings.warn(f"{text}, more than gap_warning = {config.gap_warning:g}. {cause}", stacklevel=3)
    return gap


def train_step(
    model: Qwen2,
    batches: Sequence[MicroBatch],
    optimizer: Optimizer | torch.optim.Optimizer,
    config: GrpoConfig,
    *,
    whole: StepBatch | None = None,
    max_completion_length: int | None = None,
    factor: float = 1.0,
    on_policy: bool = True,
    step: int = 0,
) -> StepResult:
    """Gradients of all micro-batches, clipping of their norm, one step of the optimizer.

    whole: what the losses are averaged over; by default all that is in `batches`. It is larger when groups
        without a gradient were left out of the passes (`groups.py`).
    factor: of the optimizer's learning rates. on_policy: the weights are those that sampled, so the gap to
        the sampler must be small (`check_gap`). step: only for messages.
    Raises DivergedError if the loss or the gradient is not finite, and K2ReproError for a gap above
    config.gap_error, both before the weights change; DivergedError too if they come out not finite.
    """
    if not batches:
        raise K2ReproError(f"step {step}: there is no micro-batch. Usual cause: all groups were filtered out")
    whole = replace(whole or whole_of(batches), micro_batches=len(batches))
    model.zero_grad(set_to_none=True)

    def loss_of(batch: MicroBatch) -> tuple[Tensor, tuple[Diagnostics, Tensor | None]]:
        logprobs, entropy = completion_logprobs(model, batch)
        loss, diagnostics = _loss(logprobs, entropy, batch, config, whole, max_completion_length)
        known = batch.sampling_logprobs if on_policy else None
        return loss, (diagnostics, None if known is None else sampling_gap(logprobs, known, batch.mask))

    parts = add_gradients(model, batches, loss_of)
    total = combine([diagnostics for diagnostics, _ in parts])
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm).item()
    if not (math.isfinite(total.loss) and math.isfinite(norm)):
        model.zero_grad(set_to_none=True)
        raise DivergedError(
            f"step {step}: the loss is {total.loss}, the norm of its gradient {norm}; the weights are those "
            "before the step. Usual cause: a learning rate that is too high, or NaN in the weights"
        )
    gap = check_gap([gap for _, gap in parts if gap is not None], config, step)
    wrapped(optimizer).step(factor)
    model.zero_grad(set_to_none=True)
    _check_weights(model, step)
    return StepResult(total, norm, gap)


def wrapped(optimizer: Optimizer | torch.optim.Optimizer) -> Optimizer:
    """A plain torch optimizer with the interface of `k2repro.training`."""
    return Optimizer([optimizer]) if isinstance(optimizer, torch.optim.Optimizer) else optimizer


def _check_weights(model: Qwen2, step: int) -> None:
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            raise DivergedError(
                f"step {step}: {name} is not finite after the update; the weights in memory are lost. Usual "
                "cause: a learning rate that is too high"
            )


def whole_of(batches: Sequence[MicroBatch]) -> StepBatch:
    """Sequences and tokens of all `batches` together."""
    return StepBatch(
        sequences=sum(batch.mask.shape[0] for batch in batches),
        tokens=sum(int(batch.mask.sum()) for batch in batches),
        micro_batches=len(batches),
    )


def _loss(
    logprobs: Tensor,
    entropy: Tensor,
    batch: MicroBatch,
    config: GrpoConfig,
    whole: StepBatch,
    max_completion_length: int | None,
) -> tuple[Tensor, Diagnostics]:
    return grpo_loss(
        logprobs,
        batch.old_logprobs,
        batch.advantages,
        batch.mask,
        config,
        reference_logprobs=batch.reference_logprobs,
        max_completion_length=max_completion_length,
        entropy=entropy,
        whole=whole,
    )
