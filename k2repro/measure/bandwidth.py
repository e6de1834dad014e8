"""Memory bandwidth in the manner of STREAM: read, copy and triad, best of several runs.

Bytes are counted as STREAM counts them (https://www.cs.virginia.edu/stream/ref.html): what the
program asks for. A write that first fetches its cache line moves more than that, so copy and triad
understate the bus; decoding only reads, hence the read kernels decide here.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.measure.timing import time_call


@dataclass(frozen=True)
class Bandwidth:
    """GB/s (1e9 bytes) of one kernel on arrays of `megabytes` MB: best run and median run."""

    kernel: str
    megabytes: float
    best_gbs: float
    median_gbs: float


def _kernels(count: int) -> dict[str, tuple[int, Callable[[], object]]]:
    """name -> (bytes moved, call) on float32 arrays of `count` values."""
    import torch

    a = torch.ones(count)
    b, c = torch.full_like(a, 2.0), torch.full_like(a, 3.0)
    return {
        "read (sum)": (4 * count, a.sum),
        "read (dot)": (8 * count, lambda: torch.dot(a, b)),
        "copy": (8 * count, lambda: a.copy_(b)),
        "triad": (12 * count, lambda: torch.add(b, c, alpha=0.5, out=a)),
    }


def measure_bandwidth(
    megabytes: float, *, runs: int, tell: Callable[[str], None] = lambda text: None
) -> list[Bandwidth]:
    """All kernels on arrays of that size (MB of 1e6 bytes); raises K2ReproError for sizes <= 0."""
    if not megabytes > 0:
        raise K2ReproError(f"an array of {megabytes!r} MB cannot be read; sizes are positive")
    results = []
    for name, (size, call) in _kernels(max(1, int(megabytes * 1e6 / 4))).items():
        tell(f"{name}, {megabytes:.0f} MB")
        timing = time_call(call, runs=runs)
        results.append(Bandwidth(name, megabytes, size / timing.best / 1e9, size / timing.median / 1e9))
    return results


def best_read(results: list[Bandwidth], beyond_megabytes: float) -> Bandwidth:
    """The fastest read on arrays of at least `beyond_megabytes`.

    Raises K2ReproError when no array was that large: a smaller one measures the cache.
    """
    reads = [r for r in results if r.kernel.startswith("read") and r.megabytes >= beyond_megabytes]
    if not reads:
        raise K2ReproError(
            f"no read of {beyond_megabytes:.0f} MB or more was measured; smaller "
            "arrays stay in cache and say nothing about memory"
        )
    return max(reads, key=lambda result: result.best_gbs)


# Threads of a BLAS go on spinning for a while after their last product.
SETTLE_SECONDS = 0.1


class ReadProbe:
    """A quick read of one fixed array, to stand beside another measurement minutes later.

    It first waits until the threads of what ran before are asleep: spinning, they take half of the
    cores from the reader, and whatever is compared with such a read looks too good.
    """

    def __init__(self, megabytes: float) -> None:
        import torch

        self._array: Any = torch.ones(int(megabytes * 1e6 / 4))

    def gbs(self, runs: int = 5) -> float:
        """Best GB/s of a few reads, now."""
        time.sleep(SETTLE_SECONDS)
        return 4 * self._array.numel() / time_call(self._array.sum, runs=runs).best / 1e9
