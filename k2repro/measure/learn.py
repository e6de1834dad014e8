"""Everything about this machine that can be measured without decoding: the micro-benchmarks."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from k2repro.measure.bandwidth import Bandwidth, best_read
from k2repro.measure.caches import CpuCache, declared_caches, find_knees
from k2repro.measure.gemm import MatrixRates, processor_name, read_proc
from k2repro.measure.machine import MeasuredMachine, build_glue, build_product
from k2repro.measure.matvec import BYTES_PER_WEIGHT
from k2repro.measure.worker import run_in_process

Progress = Callable[[int, int, str], None]
Tell = Callable[[str], None]
# run_job of a request with a number of threads, in a process of its own or not.
Runner = Callable[[dict[str, Any], int, Tell], dict[str, Any]]
CONTEXT = 64
LEARNING_STEPS = 5
# Assumed where the system does not declare its caches (macOS).
_DEFAULT_CACHE = 32 << 20


def memory_bytes() -> int:
    """All memory of the machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def available_bytes() -> int:
    """Memory that can be taken without swapping; all of it where the system does not say."""
    for line in read_proc("meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return memory_bytes()


def last_level_bytes(caches: list[CpuCache]) -> int:
    """Size of the largest declared cache."""
    return max((cache.size_bytes for cache in caches), default=_DEFAULT_CACHE)


def learn_machine(
    *, threads: int, quick: bool, progress: Progress, run: Runner = run_in_process
) -> MeasuredMachine:
    """Run every micro-benchmark with that many threads; five to sixty seconds in all."""
    caches = declared_caches()
    cache = last_level_bytes(caches)
    step = 0

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        nonlocal step
        step += 1
        return run(request, threads, lambda text: progress(step - 1, LEARNING_STEPS, text))

    runs = 3 if quick else 9
    megabytes = [factor * cache / 1e6 for factor in ((4,) if quick else (2, 4, 8, 16))]
    bandwidth = tuple(
        Bandwidth(**values)
        for values in ask({"job": "bandwidth", "megabytes": megabytes, "runs": runs})["bandwidth"]
    )
    sizes = [int(size) for size in np.geomspace(1 << 17, 4 * cache, 12 if quick else 28)]
    curve = tuple(
        (float(a), float(b)) for a, b in ask({"job": "curve", "sizes": sizes, "runs": runs})["curve"]
    )
    rates = ask({"job": "matrix_rates", "size": 1024 if quick else 2048, "runs": runs})
    matrix_rates = MatrixRates(**{**rates, "flags": tuple(rates["flags"])})
    precisions = ("fp32", "bf16") if matrix_rates.bf16_is_real else ("fp32",)
    costs = {precision: ask(_costs_request(precision, cache, quick)) for precision in precisions}
    return MeasuredMachine(
        name=f"{processor_name(read_proc('cpuinfo'))}, {threads} threads",
        threads=threads,
        memory_gb=memory_bytes() / 1e9,
        measured_at=now(),
        quick=quick,
        read_gbs=best_read(list(bandwidth), 4 * cache / 1e6).best_gbs,
        bandwidth=bandwidth,
        caches=tuple(caches),
        curve=curve,
        knees=tuple(find_knees(curve)),
        matrix_rates=matrix_rates,
        products={name: tuple(map(build_product, found["products"])) for name, found in costs.items()},
        glue={name: build_glue(found["glue"]) for name, found in costs.items()},
    )


def _costs_request(precision: str, cache: int, quick: bool) -> dict[str, Any]:
    """What `run_job` is asked for the costs of products and glue; cache: bytes of the largest."""
    return {
        "job": "costs",
        "precision": precision,
        "cache_bytes": cache,
        "context": CONTEXT,
        "bytes_per_weight": BYTES_PER_WEIGHT[precision],
        "quick": quick,
    }


def now() -> str:
    """The current time, ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")
