"""The clipped policy-gradient loss of GRPO and its variants, from log-probabilities to one number.

GRPO: DeepSeekMath, arXiv 2402.03300, section 4.1. Separate clip bounds and the mean over tokens: DAPO,
arXiv 2503.14476, sections 3.1 and 3.3. A constant normaliser: Dr. GRPO, arXiv 2503.20783, section 3. One
ratio for a sequence: GSPO, arXiv 2507.18071, section 4. Names follow TRL 1.16.0; the tests compare with it.

On policy, in the first step after sampling, every ratio is 1 and the loss of a token is minus its advantage.
Averaged by sequence ("grpo") that is 0 for centred advantages, whatever the model has learnt; averaged by
token it only shows how length goes with reward. The gradient is not 0: it is that of
-advantage * log-probability. A loss that starts at 0 is right and says nothing: watch the reward.

Shapes: S sequences (completions), C tokens of the longest completion, V vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from k2repro.errors import K2ReproError, unknown
from k2repro.rlvr.diagnostics import Diagnostics, diagnose

LOSS_TYPES = ("grpo", "bnpo", "dr_grpo", "dapo")
LEVELS = ("token", "sequence")
# Rows of logits at a time, few enough to stay in the processor's caches.
ROWS = 128


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """How advantages become a loss; a `GrpoConfig` is one of these. Sources: see `config.py`.

    loss_type: how tokens are averaged, see `average`. importance_sampling_level: one ratio for each
        "token" (GRPO) or for each "sequence" (GSPO).
    epsilon_low, epsilon_high: the ratio is clipped to [1 - low, 1 + high]. delta: upper bound of the ratio
        where the advantage is negative and clipping does not act (verl's clip_ratio_c, INTELLECT-2).
    beta: weight of the KL to a reference. use_bias_correction_kl: multiply it by the ratio,
        which changes its gradient even where the ratio is 1 (DeepSeek-V3.2, arXiv 2512.02556; TRL's default).
    """

    loss_type: str = "dapo"  # TRL "dapo"; Guru loss_agg_mode token-mean: the same average
    importance_sampling_level: str = "token"  # TRL "token" ("sequence" is GSPO)
    epsilon_low: float = 0.2  # Guru clip low 0.2; TRL epsilon = 0.2
    epsilon_high: float = 0.2  # Guru clip high 0.2 (DAPO: 0.28)
    delta: float | None = None  # TRL None
    beta: float = 0.0  # Guru kl off; TRL beta = 0.0
    use_bias_correction_kl: bool = True  # TRL True (arXiv 2512.02556); without effect at beta = 0


DEFAULT = LossSettings()


@dataclass(frozen=True)
class StepBatch:
    """The batch of one optimisation step, of which a micro-batch is a part.

    sequences: completions in it. tokens: their tokens that count (mask). micro_batches: number of parts.
    """

    sequences: int
    tokens: int
    micro_batches: int = 1


@dataclass(frozen=True)
class PolicyTerms:
    """Loss of each token before averaging, and what it was made from.

    per_token: [S, C]. ratio: [S, C], or [S, 1] at the sequence level. kl: [S, C], or None without reference.
    """

    per_token: Tensor
    ratio: Tensor
    kl: Tensor | None


def token_logprobs(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of each chosen token, and the entropy of its distribution without a gradient, in nats.

    logits: [..., V]; the one at a place predicts the token in `targets` [...] of the same place. Both results
    are float32 [...] (float64 for float64 logits). One copy of the logits is kept for the backward pass, as
    cross entropy does.
    """
    if targets.shape != logits.shape[:-1]:
        raise K2ReproError(
            f"logits have shape {tuple(logits.shape)}, targets {tuple(targets.shape)}: "
            "must be [..., vocabulary] and [...]"
        )
    flat = logits.flatten(0, -2)
    wide = flat if flat.dtype == torch.float64 else flat.float()
    chosen, entropy = _ChosenLogprobs.apply(wide, targets.flatten())
    return chosen.view(targets.shape), entropy.view(targets.shape)


class _ChosenLogprobs(torch.autograd.Function):
    """logits [N, V], targets [N] -> log-probability and entropy, each [N], from one softmax for both."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        probabilities = torch.empty_like(logits)
        chosen, entropy = logits.new_empty(len(logits)), logits.new_empty(len(logits))
        for first in range(0, len(logits), ROWS):
            rows = slice(first, first + ROWS)
            logprobs = logits[rows].log_softmax(-1)
            torch.exp(logprobs, out=probabilities[rows])
            entropy[rows] = torch.linalg.vecdot(probabilities[rows], logprobs).neg_()
            chosen[rows] = logprobs.gather(-1, targets[rows, None])[:, 0]
        ctx.save_for_backward(probabilities, targets)
        ctx.mark_non_differentiable(entropy)
        return chosen, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, chosen: Tensor, entropy: Tensor) -> tuple[Tensor, None]:
        """d log p(target) / d logits = [is target] - p."""
        probabilities, targets = ctx.saved_tensors
        found = probabilities * -chosen[:, None]
        return found.scatter_add_(1, targets[:, None], chosen[:, None]), None


def policy_terms(
    logprobs: Tensor,
    old_logprobs: Tensor | None,
    advantages: Tensor,
    mask: Tensor,
    settings: LossSettings = DEFAULT,
    *,
    reference_logprobs: Tensor | None = None,
) -> PolicyTerms:
    """-min(ratio * A, clip(ratio) * A) + beta * KL for each token; arguments as in `grpo_loss`."""
    old = logprobs.detach() if old_logprobs is None else old_logprobs
    # Padding may hold anything, NaN included: 0 * NaN would be NaN.
    log_ratio = (logprobs - old).masked_fill(~mask, 0.0)
    if settings.importance_sampling_level == "sequence":
        # The geometric mean over the tokens (GSPO): a product would over- or underflow with length.
        log_ratio = log_ratio.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - settings.epsilon_low, 1 + settings.epsilon_high)
    free = ratio if settings.delta is None else ratio.clamp(max=settings.delta)
    advantage = advantages.to(logprobs.dtype)[:, None]
    # The minimum keeps the worse of the two, so that clipping never hides a step in the wrong direction.
    per_token = -torch.minimum(free * advantage, clipped * advantage).expand_as(logprobs)
    kl = None
    if reference_logprobs is not None:
        # Schulman's k3, http://joschu.net/blog/kl-approx.html: unbiased for KL(policy || reference), never
        # negative, because exp(x) >= 1 + x.
        gap = (reference_logprobs - logprobs).masked_fill(~mask, 0.0)
        kl = gap.exp() - gap - 1
        if settings.use_bias_correction_kl:
            # k3 is unbiased, its gradient is not: the ratio's own gradient makes it that of the KL.
            kl = kl * ratio
        per_token = per_token + settings.beta * kl
    return PolicyTerms(per_token.masked_fill(~mask, 0.0), ratio, kl)


def average(
    per_token: Tensor,
    mask: Tensor,
    loss_type: str,
    *,
    max_completion_length: int | None = None,
    whole: StepBatch | None = None,
) -> Tensor:
    """One number from the losses of the tokens [S, C]; the parts of a whole add up to its average.

    grpo     mean over sequences of the mean over their tokens: short completions weigh more per token
    dapo     mean over all tokens of the whole (TRL's default; "token-mean" in verl)
    dr_grpo  sum over tokens / (sequences * max_completion_length): a constant, no length bias
    bnpo     mean over the tokens of the micro-batch, then over micro-batches: depends on the split, as in TRL
    """
    whole = whole or StepBatch(per_token.shape[0], int(mask.sum()))
    total = per_token.sum(1)
    if loss_type == "grpo":
        return (total / mask.sum(1).clamp(min=1)).sum() / max(whole.sequences, 1)
    if loss_type == "dapo":
        return total.sum() / max(whole.tokens, 1)
    if loss_type == "bnpo":
        return total.sum() / mask.sum().clamp(min=1) / whole.micro_batches
    if loss_type != "dr_grpo":
        raise unknown("loss_type", loss_type, LOSS_TYPES)
    if max_completion_length is None or max_completion_length < 1:
        raise K2ReproError(
            f"max_completion_length = {max_completion_length}: loss_type 'dr_grpo' divides by it. "
            "Give the response budget of the run"
        )
    return total.sum() / (max(whole.sequences, 1) * max_completion_length)


def grpo_loss(
    logprobs: Tensor,
    old_logprobs: Tensor | None,
    advantages: Tensor,
    mask: Tensor,
    settings: LossSettings = DEFAULT,
    *,
    reference_logprobs: Tensor | None = None,
    max_completion_length: int | None = None,
    entropy: Tensor | None = None,
    whole: StepBatch | None = None,
) -> tuple[Tensor, Diagnostics]:
    """The loss, a scalar to call `backward` on, and what to log about it.

    logprobs: float [S, C] of the completion tokens under the model in training, with gradient.
    old_logprobs: [S, C] under the policy that sampled; None on policy, where they are equal.
    advantages: [S], see `group_advantages`. mask: [S, C], true for tokens that count, false for padding.
    reference_logprobs: [S, C], of the KL term. max_completion_length: response budget, needed by "dr_grpo".
    entropy: [S, C], only for the diagnostics. whole: the step this micro-batch belongs to; the losses of its
        micro-batches then add up to the loss of the step. None: this is all of it.
    Raises K2ReproError for arguments that do not fit.
    """
    _check_shapes(logprobs, mask := mask.bool(), advantages, old_logprobs, reference_logprobs, entropy)
    if settings.importance_sampling_level not in LEVELS:
        raise unknown("importance_sampling_level", settings.importance_sampling_level, LEVELS)
    check_bounds(settings.epsilon_low, settings.epsilon_high, settings.delta)
    if settings.beta and reference_logprobs is None:
        raise K2ReproError(f"beta = {settings.beta} asks for a KL term, but reference_logprobs is missing")
    terms = policy_terms(
        logprobs, old_logprobs, advantages, mask, settings, reference_logprobs=reference_logprobs
    )
    loss = average(
        terms.per_token, mask, settings.loss_type, max_completion_length=max_completion_length, whole=whole
    )
    bounds = (1 - settings.epsilon_low, 1 + settings.epsilon_high)
    return loss, diagnose(loss, terms.ratio, terms.kl, entropy, advantages, mask, bounds)


def _check_shapes(logprobs: Tensor, mask: Tensor, advantages: Tensor, *others: Tensor | None) -> None:
    if logprobs.dim() != 2 or advantages.shape != logprobs.shape[:1]:
        raise K2ReproError(
            f"logprobs have shape {tuple(logprobs.shape)}, advantages {tuple(advantages.shape)}: "
            "must be [sequences, tokens] and [sequences]"
        )
    names = ("mask", "old_logprobs", "reference_logprobs", "entropy")
    for name, value in zip(names, (mask, *others), strict=True):
        if value is not None and value.shape != logprobs.shape:
            raise K2ReproError(
                f"{name} has shape {tuple(value.shape)}, logprobs {tuple(logprobs.shape)}: must be equal. "
                "Usual cause: logits not shifted by one against their tokens"
            )


def check_bounds(low: float, high: float, delta: float | None) -> None:
    """Raises K2ReproError for clip bounds that are out of range or contradict each other."""
    if not 0 <= low <= 1 or not high >= 0:
        raise K2ReproError(f"epsilon_low = {low}, epsilon_high = {high}: must be in [0, 1] and at least 0")
    if delta is not None and not delta > 1 + high:
        raise K2ReproError(f"delta = {delta}: must be above 1 + epsilon_high = {1 + high}, or it is the clip")
