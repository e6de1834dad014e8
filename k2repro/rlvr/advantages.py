"""How much better a completion did than the others on the same prompt: the advantages of GRPO.

GRPO (DeepSeekMath, arXiv 2402.03300, section 4.1) replaces a learned value function by the mean reward of
the group: A = (r - mean) / std. Dr. GRPO (arXiv 2503.20783, section 3) drops the division: it weighs prompts
with a small spread, the very easy and the very hard, more than the rest.

TRL 1.16.0 (`trl/trainer/grpo_trainer.py`, `_generate_and_score_completions`), which the tests compare with:

    std_rewards = nanstd(rewards.view(-1, num_generations), dim=1)      # n - 1 in the denominator
    advantages = rewards - mean_grouped_rewards
    if self.scale_rewards != "none":
        advantages = advantages / (std_rewards + 1e-4)

Differs from TRL: a group of equal rewards gets exactly 0 (TRL: a rounding error, magnified by 1 / 1e-4),
and a reward that is not a finite number is an error (TRL: NaN is taken out of the group).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from k2repro.errors import K2ReproError, unknown

SCALES = ("group", "batch", "none")
STD_EPSILON = 1e-4  # TRL 1.16.0, quoted above


def group_advantages(
    rewards: Tensor | np.ndarray | Sequence[float],
    group_size: int,
    *,
    scale: str = "group",
    center: bool = True,
    epsilon: float = STD_EPSILON,
) -> Tensor:
    """Advantages float32 [N] of `rewards` [N], where each `group_size` neighbours answer one prompt.

    scale: divide by the standard deviation of the "group" (GRPO, TRL's default) or of the whole "batch"
        (arXiv 2508.08221), plus `epsilon`, or by nothing ("none", Dr. GRPO). The deviation has
        n - 1 in its denominator.
    center: subtract the mean of the group. False is the control without a baseline, in which every rewarded
        completion is pushed up, on easy prompts most often; it excludes scale="group".
    Raises K2ReproError for sizes that do not fit and for rewards that are not finite.

    >>> group_advantages([1.0, 0.0, 0.0, 1.0, 1.0, 1.0], 3, scale="none").tolist()
    [0.6666666865348816, -0.3333333432674408, -0.3333333432674408, 0.0, 0.0, 0.0]
    """
    values = torch.as_tensor(rewards, dtype=torch.float64)
    _check(values, group_size, scale, center, epsilon)
    groups = values.view(-1, group_size)
    advantages = groups - groups.mean(1, keepdim=True) if center else groups
    if scale == "group":
        advantages = advantages / (groups.std(1, keepdim=True) + epsilon)
    elif scale == "batch":
        advantages = advantages / (groups.std() + epsilon)
    if center:
        alike = (groups == groups[:, :1]).all(1, keepdim=True)
        advantages = advantages.masked_fill(alike, 0.0)
    return advantages.flatten().float()


def _check(values: Tensor, group_size: int, scale: str, center: bool, epsilon: float) -> None:
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    if isinstance(group_size, bool) or not isinstance(group_size, int) or group_size < 2:
        raise K2ReproError(
            f"group_size = {group_size!r}: must be a whole number from 2, to have a comparison"
        )
    if values.dim() != 1 or values.numel() == 0 or values.numel() % group_size:
        raise K2ReproError(
            f"rewards have shape {tuple(values.shape)}: must be [N], N a positive multiple of "
            f"group_size = {group_size}. Usual cause: an empty group, or completions that were lost"
        )
    bad = (~values.isfinite()).nonzero().flatten().tolist()
    if bad:
        raise K2ReproError(f"reward {bad[0]} is {values[bad[0]].item()}: rewards must be finite numbers")
    if not epsilon >= 0:
        raise K2ReproError(f"epsilon = {epsilon}: must be 0 or more")
    if not center and scale == "group":
        raise K2ReproError(
            "center=False excludes scale='group': equal rewards have no spread, and would be divided by "
            f"epsilon = {epsilon:g} alone. Use scale='none'"
        )
