"""Cache sizes: what the kernel declares, and where the measured bandwidth really falls.

In a virtual machine the declared last level is often shared with strangers: the knee of the
measured curve is what a model can count on. The first level cannot be resolved from Python, where
one call costs more than reading 32 kB; for it the declared size has to do.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.measure.timing import time_short_call

SYSFS = Path("/sys/devices/system/cpu")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
# A level counts as one when bandwidth falls by at least this factor behind it.
_LEAST_FALL = 1.25


@dataclass(frozen=True)
class CpuCache:
    """One declared cache of the first processor; `shared_by` counts logical processors."""

    level: int
    kind: str
    size_bytes: int
    shared_by: int


@dataclass(frozen=True)
class Knee:
    """Bandwidth falls from `before_gbs` to `after_gbs` beyond arrays of `size_bytes`."""

    size_bytes: float
    before_gbs: float
    after_gbs: float


def parse_size(text: str) -> int:
    """Bytes of a size as sysfs prints it: `32K`, `1024K`, `32M`."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip())
    if match is None:
        raise K2ReproError(f"cache size {text!r} is not a number with K, M or G")
    return int(match[1]) * _UNITS[match[2]]


def _count_processors(text: str) -> int:
    """How many processors a list such as `0-1,4` names."""
    total = 0
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total


def declared_caches(root: Path = SYSFS) -> list[CpuCache]:
    """The data caches of processor 0 by level; empty where the system does not tell."""
    caches = []
    for folder in sorted((root / "cpu0" / "cache").glob("index*")):
        kind = (folder / "type").read_text(encoding="utf-8").strip()
        if kind == "Instruction":
            continue
        caches.append(
            CpuCache(
                int((folder / "level").read_text(encoding="utf-8")),
                kind,
                parse_size((folder / "size").read_text(encoding="utf-8")),
                _count_processors((folder / "shared_cpu_list").read_text(encoding="utf-8")),
            )
        )
    return sorted(caches, key=lambda cache: cache.level)


def bandwidth_curve(
    sizes: Sequence[int], *, runs: int, tell: Callable[[str], None] = lambda text: None
) -> list[tuple[int, float]]:
    """(bytes, GB/s) of reading an array again and again, the cost of an empty call taken off."""
    import torch

    empty = time_short_call(torch.ones(1).sum, runs=runs).best
    curve = []
    for size in sizes:
        tell(f"reading {size / 1e6:.2f} MB again and again")
        array = torch.ones(max(1, size // 4))
        seconds = time_short_call(array.sum, runs=runs).best
        # Below three empty calls the subtraction is mostly noise.
        if seconds > 3 * empty:
            curve.append((size, size / (seconds - empty) / 1e9))
    return curve


def find_knees(curve: Sequence[tuple[float, float]], most: int = 3) -> list[Knee]:
    """Where a bandwidth curve falls for good: cuts that leave the flattest pieces (log scale).

    A cut is kept when the level behind it is lower by a fifth or more. Points on the slope are
    left out of both levels' medians only by being few.
    """
    if len(curve) < 4:
        return []
    values = np.log([gbs for _, gbs in curve])
    cuts = _cut(values, 0, len(values), most)
    edges = [0, *cuts, len(values)]
    levels = [float(np.exp(np.median(values[a:b]))) for a, b in zip(edges, edges[1:], strict=False)]
    return [
        Knee(float(curve[cut - 1][0]), before, after)
        for cut, before, after in zip(cuts, levels, levels[1:], strict=False)
        if before > after * _LEAST_FALL
    ]


def _cut(values: "np.ndarray", start: int, stop: int, most: int) -> list[int]:
    """Greedy binary segmentation: the cut that removes most variance, then again on both sides."""
    if most == 0 or stop - start < 4:
        return []

    def spread(a: int, b: int) -> float:
        return float(np.square(values[a:b] - values[a:b].mean()).sum())

    cut = min(range(start + 2, stop - 1), key=lambda at: spread(start, at) + spread(at, stop))
    fall = values[start:cut].mean() - values[cut:stop].mean()
    if fall < math.log(_LEAST_FALL):
        return []
    return [*_cut(values, start, cut, most - 1), cut, *_cut(values, cut, stop, most - 1)][:most]
