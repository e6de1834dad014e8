"""Muon: momentum whose update is made orthogonal, so that every direction of a matrix moves alike.

Source: Jordan et al., "Muon: an optimizer for hidden layers", https://kellerjordan.github.io/posts/muon/ .
Differs from `torch.optim.Muon`: the Newton-Schulz iteration runs in 32 bit (that one casts to bfloat16,
which a CPU without such instructions emulates, about 25 times slower) and matrices of one shape are
orthogonalised together.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

from k2repro.errors import K2ReproError
from k2repro.fast import product

# Quintic coefficients of the reference implementation: fast at small singular values, and every
# singular value ends between 0.7 and 1.2.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


def orthogonalize(matrices: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """The nearest semi-orthogonal matrix to each of `matrices` [..., rows, columns], approximately.

    The singular vectors stay, the singular values move to about 1. Zero matrices stay zero.
    """
    wide = matrices.shape[-2] <= matrices.shape[-1]
    stack = matrices if wide else matrices.mT
    stack = stack / (stack.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    identity = torch.eye(stack.shape[-2]).mul_(a)
    # One at a time: each is large enough for the fast products, which know no batches.
    for x in stack.flatten(0, -3) if stack.dim() > 2 else [stack]:
        found = x
        for _ in range(iterations):
            gram = product(found, found)
            found = product(product(gram, gram).mul_(c).add_(gram, alpha=b).add_(identity), found.t())
        x.copy_(found)
    return stack if wide else stack.mT


class Muon(torch.optim.Optimizer):
    """Stochastic gradient descent with Nesterov momentum and orthogonalised updates, for matrices.

    params: two-dimensional parameters. lr: peak step; an update of a matrix [rows, columns] has root mean
    square about `lr * sqrt(max(1, rows / columns) / columns)`. weight_decay is decoupled, as in AdamW.
    Raises K2ReproError for a parameter that is not a matrix, or a value outside its range.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        if lr < 0 or not 0 <= momentum < 1 or weight_decay < 0:
            raise K2ReproError(
                f"Muon: lr {lr}, momentum {momentum}, weight_decay {weight_decay}: must be lr >= 0, "
                "0 <= momentum < 1, weight_decay >= 0"
            )
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.dim() != 2:
                    raise K2ReproError(
                        f"Muon got a parameter of shape {tuple(parameter.shape)}: only matrices can be "
                        "orthogonalised; give biases and norms to AdamW"
                    )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the gradients; parameters without a gradient stay."""
        if closure is not None:
            raise K2ReproError("Muon takes no closure: call backward first, then step()")
        for group in self.param_groups:
            alike: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    rows, columns = parameter.shape
                    alike[min(rows, columns), max(rows, columns)].append(parameter)
            for parameters in alike.values():
                self._step_alike(parameters, group["lr"], group["momentum"], group["weight_decay"])

    def _step_alike(self, parameters: list[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        directions = []
        for parameter in parameters:
            assert parameter.grad is not None
            state = self.state[parameter]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(parameter.grad, 1 - momentum)
            ahead = parameter.grad.lerp(state["momentum"], momentum)
            directions.append(ahead if parameter.shape[0] <= parameter.shape[1] else ahead.mT)
        for parameter, update in zip(parameters, orthogonalize(torch.stack(directions)), strict=True):
            rows, columns = parameter.shape
            if weight_decay:
                parameter.mul_(1 - lr * weight_decay)
            turned = update if rows <= columns else update.mT
            parameter.add_(turned, alpha=-lr * max(1.0, rows / columns) ** 0.5)
