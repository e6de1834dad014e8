"""The gradient of one step from passes over its micro-batches, side by side where there are several threads.

The products of a small model are too small to be shared: two threads at one pass took 1.2 times as long as
a thread for each of two passes. Gradients are added in the order of the micro-batches, whichever comes
first, and the cut into micro-batches is a setting (`GrpoConfig.micro_batch_multiple`): where there is at
least one for each thread, a run has the same bits for any number of threads.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from k2repro.architecture.qwen2 import Qwen2
from k2repro.fast import fits_fused

Part = TypeVar("Part")
Note = TypeVar("Note")
Found = TypeVar("Found")


def add_gradients(
    model: Qwen2, parts: Sequence[Part], loss_of: Callable[[Part], tuple[Tensor, Note]]
) -> list[Note]:
    """Add the gradients of the losses of all `parts` to the parameters of `model`.

    loss_of: a part -> (its loss, a scalar with a graph; anything to be kept of it). It is called from several
    threads if the model fits the fast pass; they share the threads of torch. What it raises is raised here.
    Returns what was kept, in the order of `parts`.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def one(part: Part) -> tuple[tuple[Tensor | None, ...], Note]:
        loss, note = loss_of(part)
        return torch.autograd.grad(loss, parameters, allow_unused=True), note

    every: list[Note] = []
    threads = torch.get_num_threads() if fits_fused(model) else 1
    for gradients, note in _side_by_side(one, parts, threads):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is None:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad += gradient
        every.append(note)
    return every


def _side_by_side(one: Callable[[Part], Found], parts: Sequence[Part], threads: int) -> Iterator[Found]:
    """`one` of each part, in order; with fewer parts than threads each gets an equal share of them."""
    workers = min(threads, len(parts))
    if workers < 2:
        yield from map(one, parts)
        return

    def alone(part: Part) -> Found:
        torch.set_num_threads(threads // workers)
        return one(part)

    with ThreadPoolExecutor(workers) as pool:
        try:
            yield from pool.map(alone, parts)
        finally:
            # The setting of a thread is in part that of the process (MKL).
            torch.set_num_threads(threads)
