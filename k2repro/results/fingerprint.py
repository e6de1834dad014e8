"""What decides whether two runs can be expected to agree to the last byte.

PyTorch promises no equal bits across releases, CPU capabilities or thread counts
(https://docs.pytorch.org/docs/stable/notes/randomness.html; pytorch#155423 for AVX-512 against AVX2).
"""

import os
import platform
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path


@dataclass(frozen=True)
class Fingerprint:
    """Rows are compared exactly inside one fingerprint, and by interval across two."""

    python: str
    torch: str
    cpu_capability: str
    threads: int

    def as_dict(self) -> dict[str, str | int]:
        return asdict(self)


@cache
def cpu_capability() -> str:
    """The vector level that PyTorch's CPU kernels pick here: AVX512, AVX2, DEFAULT or the machine's name.

    Read from /proc/cpuinfo so that rows without torch carry it too; a test holds it against
    torch.backends.cpu.get_cpu_capability().
    """
    chosen = os.environ.get("ATEN_CPU_CAPABILITY")
    if chosen:
        return {"avx512": "AVX512", "avx2": "AVX2", "default": "DEFAULT"}.get(chosen, chosen.upper())
    info = Path("/proc/cpuinfo")
    if platform.machine() not in ("x86_64", "AMD64") or not info.exists():
        return platform.machine()
    lines = info.read_text(encoding="utf-8").splitlines()
    flags = set(next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), ()))
    if {"avx512f", "avx512vl", "avx512bw", "avx512dq", "fma"} <= flags:
        return "AVX512"
    return "AVX2" if {"avx2", "fma"} <= flags else "DEFAULT"


def fingerprint(threads: int) -> Fingerprint:
    """This process's fingerprint; `threads` is the count that the profile sets."""
    try:
        torch = metadata.version("torch").split("+")[0]
    except metadata.PackageNotFoundError:
        torch = "absent"
    python = ".".join(platform.python_version_tuple()[:2])
    return Fingerprint(python=python, torch=torch, cpu_capability=cpu_capability(), threads=threads)
