"""Matrix products: the arithmetic roof, and whether bf16 is hardware here or only a number format.

PyTorch multiplies bf16 on every processor. Without instructions for it (AVX512-BF16, AMX, Arm
BF16) each value is widened first and nothing is gained but memory. A flag says what the processor
claims; the measured ratio to fp32 says what a program gets.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from k2repro.measure.timing import time_call

_BF16_FLAGS = ("avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16")
# bf16 counts as real when it multiplies at least this much faster than fp32.
_REAL_GAIN = 1.25


@dataclass(frozen=True)
class MatrixRates:
    """GFLOP/s (2 n^3 per product) of square products of size n, and what follows for bf16."""

    size: int
    fp32_gflops: float
    bf16_gflops: float
    flags: tuple[str, ...]

    @property
    def bf16_is_real(self) -> bool:
        """Whether bf16 is multiplied by the hardware: measured, not taken from the flags."""
        return self.bf16_gflops >= _REAL_GAIN * self.fp32_gflops


def bf16_flags(cpuinfo: str) -> tuple[str, ...]:
    """The instructions for bf16 that a /proc/cpuinfo text lists."""
    words: set[str] = set()
    for line in cpuinfo.splitlines():
        if line.lower().startswith(("flags", "features")):
            words.update(line.split(":", 1)[1].split())
    return tuple(flag for flag in _BF16_FLAGS if flag in words)


def read_proc(name: str) -> str:
    """What the system says of itself under /proc, or nothing where it has no such file."""
    path = Path("/proc") / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def processor_name(cpuinfo: str) -> str:
    """The model name of the processor, for the hardware column."""
    for line in cpuinfo.splitlines():
        if line.lower().startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine() or "unknown processor"


def measure_matrix_rates(
    size: int, *, runs: int, tell: Callable[[str], None] = lambda text: None
) -> MatrixRates:
    """Best of several square products in fp32 and bf16."""
    import torch

    generator = torch.Generator().manual_seed(0)
    rates = {}
    for dtype in (torch.float32, torch.bfloat16):
        tell(f"{size} x {size} products, {str(dtype).removeprefix('torch.')}")
        a, b = (torch.randn(size, size, generator=generator).to(dtype) for _ in range(2))
        timing = time_call(lambda a=a, b=b: torch.mm(a, b), runs=runs)  # type: ignore[misc]
        rates[dtype] = 2 * size**3 / timing.best / 1e9
    return MatrixRates(size, rates[torch.float32], rates[torch.bfloat16], bf16_flags(read_proc("cpuinfo")))
