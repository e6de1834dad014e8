"""A measured machine: everything `k2repro measure` learned before it decoded anything.

`MeasuredMachine.device` turns it into a `k2repro.wafer.model.devices.Device`, so that the emulator
predicts this machine with the same function as any other; the fitted efficiencies of the rate table are
replaced by the machine's own micro-benchmarks.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.measure.bandwidth import Bandwidth
from k2repro.measure.caches import CpuCache, Knee
from k2repro.measure.costs import (
    Curve,
    GlueCost,
    LinearCost,
    ProductCost,
    cheapest,
    head_product,
    layer_products,
    of_one_pool,
)
from k2repro.measure.gemm import MatrixRates
from k2repro.results.atomic import write_text
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.shapes import ModelShape

FORMAT = 1
ENGINE = "k2repro CPU decoder"


@dataclass(frozen=True)
class MeasuredMachine:
    """One computer at one thread count.

    read_gbs: best read from memory. curve: (bytes, GB/s) of reading an array again and again.
    products, glue: precision -> cost of each kernel, and of the work between matrices.
    measured_at: ISO time.
    """

    name: str
    threads: int
    memory_gb: float
    measured_at: str
    quick: bool
    read_gbs: float
    bandwidth: tuple[Bandwidth, ...]
    caches: tuple[CpuCache, ...]
    curve: Curve
    knees: tuple[Knee, ...]
    matrix_rates: MatrixRates
    products: dict[str, tuple[ProductCost, ...]]
    glue: dict[str, GlueCost]

    def precisions(self) -> tuple[str, ...]:
        """fp32 always; bf16 where the hardware multiplies it."""
        return ("fp32", "bf16") if self.matrix_rates.bf16_is_real else ("fp32",)

    def footprint(self, shape: ModelShape, precision: str) -> float:
        """Bytes of all matrices that a step reads."""
        return shape.decode_parameters * self._costs(precision)[0].bytes_per_weight

    def _costs(self, precision: str) -> tuple[ProductCost, ...]:
        if precision not in self.products:
            raise K2ReproError(
                f"precision {precision!r} was not measured on this machine; "
                f"measured: {', '.join(self.products)}"
            )
        return self.products[precision]

    def device(self, shape: ModelShape, precision: str) -> Device:
        """This machine as the emulator sees it when it runs that model.

        The sustained bandwidth is what the chosen kernels stream at the model's footprint; their
        overheads and the work between them are the layer and step overhead.
        """
        footprint = self.footprint(shape, precision)
        kernels, glue = of_one_pool(self._costs(precision), shape, footprint), self.glue[precision]
        costs = [cheapest(kernels, size, footprint).parts(*size, footprint) for size in layer_products(shape)]
        head = head_product(shape)
        step, reading = cheapest(kernels, head, footprint).parts(*head, footprint)
        reading += shape.layers * sum(seconds for _, seconds in costs)
        layer = glue.layer_seconds(shape, footprint) + sum(overhead for overhead, _ in costs)
        step += glue.per_step
        peak = max(self.matrix_rates.bf16_gflops, self.matrix_rates.fp32_gflops) / 1000
        return Device.measured(
            self.name,
            sustained_gbs=footprint / reading / 1e9,
            capacity_gb=self.memory_gb,
            peak_bf16_tflops=peak,
            layer_overhead_s=layer,
            step_overhead_s=step,
            native_precisions=tuple(self.products),
        )

    def step_seconds(self, shape: ModelShape, precision: str) -> float:
        """Seconds of one decode step at the short context of the measurement."""
        device = self.device(shape, precision)
        reading = self.footprint(shape, precision) / (device.bandwidth_gbs * 1e9)
        return reading + shape.layers * (device.layer_overhead_s or 0.0) + (device.step_overhead_s or 0.0)

    def save(self, path: Path) -> Path:
        """Write as JSON, whole or not at all."""
        return write_text(path, json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")


def load_machine(path: Path) -> MeasuredMachine:
    """Read what `MeasuredMachine.save` wrote; K2ReproError for another format or a damaged file."""
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if values.pop("format") != FORMAT:
            raise K2ReproError(f"{path.name} has another format than {FORMAT}; measure again")
        return _build(values)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, K2ReproError):
            raise
        raise K2ReproError(
            f"{path.name} cannot be read as a measured machine ({error}); delete it and measure again"
        ) from None


def build_product(values: dict[str, Any]) -> ProductCost:
    """A `ProductCost` from its JSON form."""
    return ProductCost(
        **{
            **values,
            "small": LinearCost(**values["small"]),
            "large": LinearCost(**values["large"]),
            "curve": _pairs(values["curve"]),
        }
    )


def _pairs(values: list[list[float]]) -> Curve:
    return tuple((float(a), float(b)) for a, b in values)


def build_glue(values: dict[str, Any]) -> GlueCost:
    """A `GlueCost` from its JSON form."""
    return GlueCost(**{**values, "curve": _pairs(values["curve"])})


def _build(values: dict[str, Any]) -> MeasuredMachine:
    rates = values["matrix_rates"]
    products = {
        precision: tuple(build_product(cost) for cost in costs)
        for precision, costs in values["products"].items()
    }
    return MeasuredMachine(
        **{
            **values,
            "products": products,
            "curve": _pairs(values["curve"]),
            "bandwidth": tuple(Bandwidth(**value) for value in values["bandwidth"]),
            "caches": tuple(CpuCache(**value) for value in values["caches"]),
            "knees": tuple(Knee(**value) for value in values["knees"]),
            "matrix_rates": MatrixRates(**{**rates, "flags": tuple(rates["flags"])}),
            "glue": {precision: build_glue(cost) for precision, cost in values["glue"].items()},
        }
    )
