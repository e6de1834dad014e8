"""Devices as data: bandwidth, capacity, peak rates, links, power; with source and confidence.

`data/hardware.csv` holds about two hundred devices from CPU memory systems to wafers. A machine that was
measured (`k2repro measure`) is described by `Device.measured`, which replaces the fitted
efficiency by its own sustained bandwidth, cache and per-layer overhead.
"""

import functools
from dataclasses import dataclass, field

from k2repro.errors import K2ReproError
from k2repro.reading import shipped_lines
from k2repro.wafer.model.precisions import Precision

_PEAK_COLUMNS = {
    "bf16": "peak_bf16_dense_tflops",
    "fp8": "peak_fp8_dense_tflops",
    "int8": "peak_int8_dense_tops",
    "fp4": "peak_fp4_dense_tflops",
    "fp32": "peak_fp32_tflops",
}


@dataclass(frozen=True)
class Device:
    """One accelerator, processor or memory system.

    bandwidth_gbs: nominal memory bandwidth, GB/s (1e9). capacity_gb: memory, GB (1e9),
    infinite when not known.
    peak_tflops: dense peaks by arithmetic format, TFLOP/s (int8: TOP/s); may be empty.
    execution_units, clock_ghz: SMs / CUs / GPU cores / wafer cores and their boost clock.
    vector_bits: width of a CPU core's vector unit (8: none). node_devices: devices that a fast link
    joins. matrix_tile: tokens that one matrix instruction computes at least (wgmma 64, mma 16).
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
    vector_bits: int = 256
    node_devices: int = 8
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
    def recalled(self) -> bool:
        """Whether nobody here has read a source of its numbers."""
        return self.confidence.startswith("memory")

    @property
    def peak_bf16_flops(self) -> float | None:
        """Dense 16-bit peak in FLOP/s, or None when nobody publishes one."""
        tflops = self.peak_tflops.get("bf16")
        return None if tflops is None else tflops * 1e12

    def peak_flops(self, precision: Precision) -> float | None:
        """Dense peak in FLOP/s for the arithmetic of a format; None when nobody publishes one.

        Without tensor units for it, fp32 runs on the vector lanes: 128 fused multiply-adds per
        unit and cycle. So does everything on Apple's GPUs, in 16 bit as in 32.
        """
        kind, bf16 = precision.arithmetic, self.peak_tflops.get("bf16")
        found = self.peak_tflops.get(kind)
        if found is None and (kind != "fp32" or self.device_class == "cpu"):
            found = bf16
        if found is None and kind in ("bf16", "fp16", "fp32") and self.device_class in ("gpu", "soc"):
            units, clock = self.execution_units, self.clock_ghz
            lanes = self.vendor == "Apple" or kind == "fp32"
            found = 256 * units * clock / 1e3 if lanes and units and clock else None
        return None if found is None else found * 1e12

    def supports(self, precision: Precision) -> bool:
        """Whether the arithmetic exists; storage formats need a GPU, CPU or SoC with a kernel."""
        if precision.name in self.native_precisions:
            return True
        if precision.storage_only:
            return self.device_class in ("gpu", "cpu", "soc", "tpu")
        return precision.arithmetic in self.native_precisions

    @staticmethod
    def measured(
        name: str,
        *,
        sustained_gbs: float,
        capacity_gb: float,
        peak_bf16_tflops: float | None = None,
        cache_mb: float | None = None,
        cache_gbs: float | None = None,
        layer_overhead_s: float | None = None,
        step_overhead_s: float | None = None,
        native_precisions: tuple[str, ...] = ("fp32", "bf16"),
    ) -> "Device":
        """A computer described by its own micro-benchmarks instead of a data sheet."""
        peaks = {} if peak_bf16_tflops is None else {"bf16": peak_bf16_tflops}
        return Device(
            name=name,
            device_class="cpu",
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
        vector_bits=int(line["vector_bits"] or 256),
        node_devices=int(line["node_devices"] or 8),
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
