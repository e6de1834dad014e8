"""How much of a training step is arithmetic of the model, and where the rest of its time goes.

Model FLOPs: matrix products of the mathematics, forward and twice that backward; padding is not counted,
later keys are not, and the head only where a token is learned. Rates of 1,024 x 1,024 products are measured
between the steps, so load from outside meets both alike.
"""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from k2repro.training.packing import Example

SIZE = 1024
# Self time of these operations by part; every other operation of torch is "elementwise". The profiler knows
# compiled attention by the name that it is given below.
PARTS = {
    "matrices": ("mkldnn::_linear_pointwise", "aten::mm", "aten::addmm", "aten::bmm"),
    "attention": ("attention",),
    "optimizer": ("aten::_fused_adamw_",),
}


def model_flops(config: Any, texts: Sequence[Example]) -> int:
    """FLOPs of one training step on `texts`."""
    from k2repro.architecture.accounting import forward_flops

    return 3 * sum(
        forward_flops(config, len(text), attention="causal", logit_positions=len(text.response)).total
        for text in texts
    )


def step_shares(ours: Any, steps: Sequence[Sequence[Example]]) -> dict[str, float]:
    """Shares of the measured rates, and parts of the time of a step, which add up to 1.

    ours: a fresh `bench.sft.Ours` of the same steps. of_mm: model FLOPs a second over the rate of `torch.mm`,
    which is what `k2repro measure` calls the machine's. of_fastest: over that of the faster of
    torch's two libraries. Parts: matrices, attention, elementwise, optimizer, python (everything
    between operations; the profiler adds to it).
    """
    import torch

    from k2repro.fast import product

    config = ours.model.config
    square = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    rates: dict[str, list[float]] = {"model": [], "mm": [], "product": []}
    for number, texts in enumerate(steps):
        ours.step()
        if number >= 2:
            rates["model"].append(model_flops(config, texts) / ours.turns.seconds[-1])
            rates["mm"].append(2 * SIZE**3 / _seconds(lambda: torch.mm(square, square)))
            rates["product"].append(2 * SIZE**3 / _seconds(lambda: product(square, square)))
    typical = {name: statistics.median(values) for name, values in rates.items()}
    return {
        "of_mm": typical["model"] / typical["mm"],
        "of_fastest": typical["model"] / max(typical["mm"], typical["product"]),
        **_parts(ours),
    }


def _parts(ours: Any) -> dict[str, float]:
    """Self times of torch's operations over all batches once more, as shares of the whole."""
    from torch.profiler import ProfilerActivity, profile

    ours.turns.seconds.clear()
    ours.turns.losses.clear()
    with _attention_named(), profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in ours.batches:
            ours.step()
    whole = sum(ours.turns.seconds) * 1e6
    times = dict.fromkeys((*PARTS, "elementwise"), 0.0)
    for event in found.key_averages():
        if event.key.startswith(("aten::", "mkldnn::", "attention")):
            part = next((part for part, names in PARTS.items() if event.key in names), "elementwise")
            times[part] += event.self_cpu_time_total
    shares = {part: microseconds / whole for part, microseconds in times.items()}
    return {**shares, "python": 1.0 - sum(shares.values())}


@contextlib.contextmanager
def _attention_named() -> Iterator[None]:
    """Both ways of `PackedAttention` are an operation of their own for the profiler."""
    from torch.profiler import record_function

    from k2repro.fast.packed_attention import PackedAttention

    ways = {name: getattr(PackedAttention, name) for name in ("forward", "backward")}

    def named(way: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*given: Any) -> Any:
            with record_function("attention"):
                return way(*given)

        return recorded

    try:
        for name, way in ways.items():
            setattr(PackedAttention, name, named(way))
        yield
    finally:
        for name, way in ways.items():
            setattr(PackedAttention, name, way)


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
