"""Devices as data: bandwidth, capacity, peak rates, links, power; with source and confidence.

`data/hardware.csv` holds about sixty devices from CPU memory systems to wafers. A machine that was
measured (`k2repro measure`) is described by `Device.measured`, which replaces the fitted
efficiency by its own sustained bandwidth, cache and per-layer overhead.
"""

import functools
import re
from dataclasses import dataclass, field, replace

from k2repro.errors import K2ReproError, unknown
from k2repro.reading import shipped_lines
from k2repro.wafer.model.precisions import Precision

_PEAK_COLUMNS = {
    "bf16": "peak_bf16_dense_tflops",
    "fp8": "peak_fp8_dense_tflops",
    "int8": "peak_int8_dense_tops",
    "fp4": "peak_fp4_dense_tflops",
}


@dataclass(frozen=True)
class Device:
    """One accelerator, processor or memory system.

    bandwidth_gbs: nominal memory bandwidth, GB/s (1e9). capacity_gb: memory, GB (1e9),
    infinite when not known.
    peak_tflops: dense peaks by arithmetic format, TFLOP/s (int8: TOP/s); may be empty.
    execution_units, clock_ghz: SMs / CUs / GPU cores / wafer cores and their boost clock.
    matrix_tile: tokens that one matrix instruction computes at least (wgmma 64, mma 16).
    native_precisions: formats that the arithmetic units multiply.
    sustained_gbs, cache_mb, cache_gbs, layer_overhead_s, step_overhead_s: measured values
    (None when nobody measured), used instead of fitted ones. stream_share: share of
    sustained_gbs that decode streams; 1 where the decode kernels themselves were timed.
    """

    name: str
    device_class: str
    bandwidth_gbs: float
    capacity_gb: float
    vendor: str = ""
    memory_type: str = ""
    peak_tflops: dict[str, float] = field(default_factory=dict)
    link: str = ""
    link_gbs: float | None = None
    tdp_w: float | None = None
    execution_units: int | None = None
    clock_ghz: float | None = None
    matrix_tile: int = 1
    native_precisions: tuple[str, ...] = ("fp32", "fp16", "bf16")
    sustained_gbs: float | None = None
    stream_share: float | None = None
    cache_mb: float | None = None
    cache_gbs: float | None = None
    layer_overhead_s: float | None = None
    step_overhead_s: float | None = None
    source: str = ""
    confidence: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for name, value in (("bandwidth_gbs", self.bandwidth_gbs), ("capacity_gb", self.capacity_gb)):
            if not value > 0:
                raise K2ReproError(
                    f"device {self.name!r}: {name} = {value!r} must be a positive number; "
                    "the usual cause is an empty cell or a wrong unit"
                )

    @property
    def peak_bf16_flops(self) -> float | None:
        """Dense 16-bit peak in FLOP/s, or None when nobody publishes one."""
        tflops = self.peak_tflops.get("bf16")
        return None if tflops is None else tflops * 1e12

    def supports(self, precision: Precision) -> bool:
        """Whether the arithmetic exists; storage formats need a GPU, CPU or SoC with a kernel."""
        if precision.storage_only:
            return self.device_class in ("gpu", "cpu", "soc")
        return precision.arithmetic in self.native_precisions

    @staticmethod
    def measured(
        name: str,
        *,
        sustained_gbs: float,
        capacity_gb: float,
        device_class: str = "cpu",
        peak_bf16_tflops: float | None = None,
        cache_mb: float | None = None,
        cache_gbs: float | None = None,
        layer_overhead_s: float | None = None,
        step_overhead_s: float | None = None,
        native_precisions: tuple[str, ...] = ("fp32", "bf16"),
    ) -> "Device":
        """A machine described by its own micro-benchmarks instead of a data sheet."""
        peaks = {} if peak_bf16_tflops is None else {"bf16": peak_bf16_tflops}
        return Device(
            name=name,
            device_class=device_class,
            bandwidth_gbs=sustained_gbs,
            capacity_gb=capacity_gb,
            peak_tflops=peaks,
            sustained_gbs=sustained_gbs,
            stream_share=1.0,
            cache_mb=cache_mb,
            cache_gbs=cache_gbs,
            layer_overhead_s=layer_overhead_s,
            step_overhead_s=step_overhead_s,
            native_precisions=native_precisions,
            source="measured here",
            confidence="measured",
        )


def _number(text: str) -> float | None:
    return float(text) if text else None


def _read_device(line: dict[str, str]) -> Device:
    peaks = {name: float(line[column]) for name, column in _PEAK_COLUMNS.items() if line[column]}
    units = _number(line["execution_units"])
    return Device(
        name=line["name"],
        vendor=line["vendor"],
        device_class=line["class"],
        memory_type=line["memory_type"],
        capacity_gb=float(line["capacity_gb"]),
        bandwidth_gbs=float(line["bandwidth_gbs"]),
        peak_tflops=peaks,
        link=line["link"],
        link_gbs=_number(line["link_gbs_per_direction"]),
        tdp_w=_number(line["tdp_w"]),
        execution_units=None if units is None else int(units),
        clock_ghz=_number(line["clock_ghz"]),
        matrix_tile=int(line["matrix_tile"] or 1),
        native_precisions=tuple(line["native_precisions"].split()),
        sustained_gbs=_number(line["sustained_gbs"]),
        source=line["source"],
        confidence=line["confidence"],
        note=line["note"],
    )


@functools.cache
def load_devices() -> dict[str, Device]:
    """All devices of `data/hardware.csv`, by name, in file order."""
    devices = shipped_lines("k2repro.wafer", "data/hardware.csv", _read_device)
    return {device.name: device for device in devices}


# Names that rate tables and people use for a device of hardware.csv, in folded form.
ALIASES = {
    "a100": "A100-80GB-SXM",
    "a10080gb": "A100-80GB-SXM",
    "a10040gb": "A100-40GB-SXM",
    "a100sxm": "A100-80GB-SXM",
    "a100pcie": "A100-80GB-PCIe",
    "h100": "H100-SXM",
    "h10080gb": "H100-SXM",
    "h20": "H20-96GB",
    "gh200": "GH200-96GB",
    "b200": "B200-HGX",
    "a10g": "A10",
    "wse2": "WSE-2",
    "wse3": "WSE-3",
    "cs2": "WSE-2",
    "cs3": "WSE-3",
    "ryzen7950x": "Ryzen-7950X-effective",
    "rtxa6000ada": "RTX6000Ada",
    "a6000": "RTXA6000",
    "jetsonorin": "Jetson-AGX-Orin",
    "7900xtx": "RX7900XTX",
}
_NOISE = re.compile(r"nvidia|geforce|tesla|amd|radeon|cerebras|google|instinct|[^a-z0-9]")


def _fold(name: str) -> str:
    """Lower case without vendor words and punctuation: "NVIDIA GeForce RTX 4090" -> rtx4090."""
    return _NOISE.sub("", name.lower())


def match_device(name: str) -> Device | None:
    """The device that a name means, or None.

    Vendor words, spaces and hyphens do not matter. Variants carry their number of GPU cores
    (`Apple-M2Ultra-76c`) or the half of a package that was used (`MI250X-GCD`).
    """
    folded = {_fold(key): device for key, device in load_devices().items()}
    key = _fold(name)
    if key.endswith("gcd") and key[:-3] in folded:
        return _half_package(folded[key[:-3]], name)
    device = folded.get(_fold(ALIASES.get(key, key)))
    if device is not None:
        return device
    cores = re.fullmatch(r"(.+)-(\d+)c(?:ores?)?", name.strip(), re.IGNORECASE)
    if cores and _fold(cores[1]) in folded:
        return replace(folded[_fold(cores[1])], name=name, execution_units=int(cores[2]))
    return None


def match_variant(name: str) -> Device | None:
    """Like `match_device`, and also variants that a table of rates may name.

    "4x H100-SXM5-80GB" means the H100-SXM; "L40" does not mean the L4, and "Apple-M2Max-CPU" not
    the GPU of that chip.
    """
    name = re.sub(r"^\s*\d+\s*x\s+", "", name)
    device = match_device(name)
    key = _fold(re.sub(r"[-_ ]\d+ ?gb", "", name, flags=re.IGNORECASE))
    if device is not None or "cpu" in key:
        return device
    known = {**{_fold(known): known for known in load_devices()}, **ALIASES}
    starts = [start for start in known if len(start) > 1 and re.match(start + r"(?!\d)", key)]
    return match_device(known[max(starts, key=len)]) if starts else None


_CLASS_WORDS = (
    ("soc", ("apple", "macbook", "mac studio")),
    (
        "cpu",
        (
            "cpu",
            "ryzen",
            "xeon",
            "epyc",
            "core i",
            "i5-",
            "i7-",
            "i9-",
            "threadripper",
            "ddr",
            "graviton",
            "raspberry",
            "snapdragon",
        ),
    ),
    ("tpu", ("tpu",)),
    ("wafer", ("wse", "cerebras")),
    ("lpu", ("lpu", "groq")),
    ("rdu", ("sn40", "sambanova")),
)


def guess_class(name: str, framework: str = "") -> str:
    """The kind of a device that is not in the table, from the words in its name ("gpu" if none)."""
    text = name.lower()
    for kind, words in _CLASS_WORDS:
        if any(word in text for word in words):
            return kind
    return "cpu" if " cpu" in framework.lower() else "gpu"


def _half_package(device: Device, name: str) -> Device:
    peaks = {key: value / 2 for key, value in device.peak_tflops.items()}
    units = device.execution_units
    return replace(
        device,
        name=name,
        bandwidth_gbs=device.bandwidth_gbs / 2,
        capacity_gb=device.capacity_gb / 2,
        peak_tflops=peaks,
        tdp_w=None if device.tdp_w is None else device.tdp_w / 2,
        execution_units=None if units is None else units // 2,
    )


def find_device(name: str) -> Device:
    """The device of that name; K2ReproError with near names when it is not known."""
    device = match_device(name)
    if device is None:
        raise unknown("device", name, load_devices())
    return device
