"""The optimiser of reinforcement learning: AdamW, with a larger step for the scales of the norms.

A model fresh from SFT often knows the right token and still samples another: its greedy answers are 6 to 20
points better than its sampled ones. What it lacks is sharpness, which a larger scale of the norms gives at
once. Reward is a weak signal, and a step that moves all weights as far moves them mostly by noise. The
published example uses AdamW too, with one rate (1e-6 for 32 billion parameters).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import K2ReproError
from ..training.optimizer import Optimizer


@dataclass(frozen=True)
class Rates:
    """Peak learning rates; a schedule multiplies both. norms: of RMSNorm scales; weights: of all else."""

    weights: float
    norms: float

    def __post_init__(self) -> None:
        for name, rate in vars(self).items():
            if not rate > 0:
                raise K2ReproError(f"learning rate of {name} = {rate}: must be above 0")


def policy_optimizer(model: nn.Module, rates: Rates) -> Optimizer:
    """AdamW (betas 0.9 and 0.95, no weight decay) over two groups of parameters of `model`."""
    norms: list[Tensor] = []
    weights: list[Tensor] = []
    for name, parameter in model.named_parameters():
        (norms if name.endswith("norm.weight") else weights).append(parameter)
    groups = [{"params": weights, "lr": rates.weights}, {"params": norms, "lr": rates.norms}]
    return Optimizer([
        torch.optim.AdamW(groups, lr=rates.weights, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    ])
