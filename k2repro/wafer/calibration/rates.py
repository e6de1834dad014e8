"""Measured decode rates: reading a table, checking every row, and turning rows into a workload.

The shipped table is `data/decode_rates.csv`; any file with its columns can be read. A row may name
a device, engine, model or source never seen: bandwidth, bytes and precision come from the row
itself. Only a row that cannot be read is refused, by line number.
"""

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.reading import REPAIR, shipped_text
from k2repro.wafer.model.devices import Device, guess_class, match_variant
from k2repro.wafer.model.engines import Engine, find_engine
from k2repro.wafer.model.precisions import Precision, match_precision
from k2repro.wafer.model.shapes import ModelShape, match_shape, shape_from_size
from k2repro.wafer.model.workload import device_fields, engine_fields, shape_fields, usable_memory

REQUIRED = (
    "model",
    "precision",
    "batch",
    "hardware",
    "n_devices",
    "bandwidth_gbs_per_device",
    "parallelism",
    "framework",
    "metric_kind",
    "tok_s_per_user",
    "source",
)
_SIZED = ("params_b", "active_params_b", "weight_read_gb")


@dataclass(frozen=True)
class Rate:
    """One measured rate with everything that the emulator may use to predict it.

    line: line number in its file. weight_read_gb: bytes read per step / 1e9 (all devices
    together). mean_context: tokens attended to on average. purpose: 1 scored, 2 wafers and
    claims, 0 filter tests. device: the known device, or a stand-in built from the row.
    """

    line: int
    id: str
    model: str
    shape: ModelShape
    shape_known: bool
    precision: Precision
    weight_read_gb: float
    kv_bytes_per_token: float
    batch: float
    prompt_tokens: float
    output_tokens: float
    mean_context: float
    hardware: str
    device: Device
    device_known: bool
    n_devices: int
    bandwidth_gbs: float
    parallelism: str
    framework: str
    engine: Engine
    end_to_end: bool
    speculative: bool
    tokens_per_second: float
    source: str
    purpose: int
    note: str

    @property
    def ways(self) -> int:
        """Devices that work on one token at once: all for tensor parallelism, otherwise one."""
        return self.n_devices if self.parallelism.upper().startswith("TP") else 1

    def fields(self) -> dict[str, Any]:
        """This row as the scalar fields of a `Workload`."""
        read = self.weight_read_gb * 1e9
        embedding = 0.0 if self.shape.tied else self.shape.head_parameters * 2.0
        memory = self.n_devices * usable_memory(self.device, self.engine)
        return {
            "weight_bytes": read,
            "stored_bytes": read + embedding,
            "kv_bytes_per_token": self.kv_bytes_per_token,
            "batch": self.batch,
            "context": self.mean_context,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "end_to_end": float(self.end_to_end),
            "ways": float(self.ways),
            "memory": memory if self.device.device_class == "gpu" else math.inf,
            **shape_fields(self.shape),
            **device_fields(self.device, self.bandwidth_gbs, self.precision),
            **engine_fields(self.engine, self.precision),
        }


def _cell(line: dict[str, str], name: str) -> str:
    return (line.get(name) or "").strip()


def _number(
    line: dict[str, str], name: str, number: int, default: float | None = None, least: float = 0.0
) -> float:
    """A finite number above `least` (or equal to it when least is 0 and a default exists)."""
    text = _cell(line, name)
    if not text:
        if default is None:
            raise K2ReproError(f"line {number}: {name} is empty; the emulator needs it")
        return default
    try:
        value = float(text)
    except ValueError:
        raise K2ReproError(
            f"line {number}: {name} = {text!r} is not a number; use digits and a decimal point, "
            "no unit and no thousands separator"
        ) from None
    if not math.isfinite(value) or value < least or (default is None and value <= 0):
        raise K2ReproError(f"line {number}: {name} = {text!r} must be a positive finite number")
    return value


def _precision(line: dict[str, str], number: int, shape: ModelShape) -> Precision:
    """The format of the row; a name never seen is read from its bits or from the row's bytes."""
    name = _cell(line, "precision")
    read = _number(line, "weight_read_gb", number, 0.0)
    found = match_precision(name, 8e9 * read / shape.decode_parameters if read else None)
    if not name or found is None:
        raise K2ReproError(
            f"line {number}: precision = {name!r} is not known, and the row gives no "
            "weight_read_gb to tell its size"
        )
    return found


def _shape(line: dict[str, str], number: int) -> tuple[ModelShape, bool]:
    """The known shape of the model, or one of the usual proportions and the row's size."""
    name = _cell(line, "model")
    shape = match_shape(name)
    if shape is not None:
        return shape, True
    if not any(_cell(line, key) for key in _SIZED):
        raise K2ReproError(
            f"line {number}: model {name!r} is not known and the row gives no size "
            f"({', '.join(_SIZED)} are empty)"
        )
    billions = (
        _number(line, "active_params_b", number, 0.0)
        or _number(line, "params_b", number, 0.0)
        or _number(line, "weight_read_gb", number) / 2
    )
    return shape_from_size(name, billions * 1e9), False


def _device(line: dict[str, str], number: int, bandwidth_gbs: float) -> tuple[Device, bool]:
    name = _cell(line, "hardware")
    device = match_variant(name)
    if device is not None:
        return device, True
    framework = _cell(line, "framework")
    # Rows of `k2repro measure` carry the bandwidth that was measured, not a nominal one.
    sustained = bandwidth_gbs if "k2repro" in framework else None
    stand_in = Device(
        name=name or "unnamed",
        device_class=guess_class(name, framework),
        bandwidth_gbs=bandwidth_gbs,
        capacity_gb=math.inf,
        sustained_gbs=sustained,
        note="not in hardware.csv; built from the row",
    )
    return stand_in, False


def _contexts(line: dict[str, str], number: int) -> tuple[float, float, float]:
    """Prompt, output and mean context tokens; the mean defaults to prompt + half the output."""
    prompt = _number(line, "context_in", number, 0.0)
    output = _number(line, "context_out", number, 128.0)
    mean = _number(line, "mean_context", number, prompt + output / 2)
    return prompt, output, mean


def _read_rate(line: dict[str, str], number: int) -> Rate:
    """One row as a `Rate`; K2ReproError with the line number when it cannot be read."""
    shape, shape_known = _shape(line, number)
    precision = _precision(line, number, shape)
    bandwidth = _number(line, "bandwidth_gbs_per_device", number)
    device, device_known = _device(line, number, bandwidth)
    prompt, output, mean = _contexts(line, number)
    framework = _cell(line, "framework")
    covered = shape.block_parameters * precision.bits + shape.head_parameters * precision.head_bits
    return Rate(
        line=number,
        id=_cell(line, "id") or f"line-{number}",
        model=_cell(line, "model"),
        shape=shape,
        shape_known=shape_known,
        precision=precision,
        weight_read_gb=_number(line, "weight_read_gb", number, 0.0) or covered / 8e9,
        kv_bytes_per_token=_number(line, "kv_bytes_per_token", number, shape.kv_bytes_per_token()),
        batch=_number(line, "batch", number),
        prompt_tokens=prompt,
        output_tokens=output,
        mean_context=mean,
        hardware=_cell(line, "hardware"),
        device=device,
        device_known=device_known,
        n_devices=int(_number(line, "n_devices", number, 1.0)) or 1,
        bandwidth_gbs=bandwidth,
        parallelism=_cell(line, "parallelism") or "single",
        framework=framework,
        engine=find_engine(framework, device.device_class, device.vendor),
        end_to_end=_cell(line, "metric_kind") == "e2e_out",
        speculative=_cell(line, "spec_decode") == "1",
        tokens_per_second=_number(line, "tok_s_per_user", number),
        source=_cell(line, "source") or "unnamed",
        purpose=int(_number(line, "use_for_scoring", number, 1.0)),
        note=_cell(line, "note"),
    )


@dataclass(frozen=True)
class RateTable:
    """Rows that could be read, and the messages (with line numbers) of those that could not."""

    rates: tuple[Rate, ...]
    refused: tuple[str, ...]

    def scored(self) -> list[Rate]:
        """The dense decode rows without a draft (purpose 1)."""
        return [rate for rate in self.rates if rate.purpose == 1 and not rate.speculative]


def parse_rates(lines: Iterable[str], name: str) -> RateTable:
    """Read a table from lines of CSV; K2ReproError when columns are missing or no row is left."""
    reader = csv.DictReader(lines)
    missing = [key for key in REQUIRED if key not in (reader.fieldnames or ())]
    if missing:
        raise K2ReproError(
            f"{name}: missing column(s) {', '.join(missing)}; a rates file has the "
            "columns of k2repro/wafer/data/decode_rates.csv"
        )
    rates, refused = [], []
    for line in reader:
        try:
            rates.append(_read_rate(line, reader.line_num))
        except K2ReproError as error:
            refused.append(str(error))
    if not rates:
        reasons = "; ".join(refused[:3]) or "the file has no rows"
        raise K2ReproError(f"{name}: not one row can be read ({reasons})")
    return RateTable(tuple(rates), tuple(refused))


def read_rates(path: str | Path) -> RateTable:
    """Read a rates file; K2ReproError when it is absent, not UTF-8 text or lacks columns."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except OSError as error:
        raise K2ReproError(f"rates file {str(path)!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise K2ReproError(f"rates file {str(path)!r} is not UTF-8 text; export it as CSV (UTF-8)") from None
    return parse_rates(text.splitlines(), str(path))


def load_rates() -> RateTable:
    """The shipped table, `data/decode_rates.csv`."""
    lines = shipped_text("k2repro.wafer", "data/decode_rates.csv").splitlines()
    table = parse_rates(lines, "decode_rates.csv")
    if table.refused or not table.rates:
        why = table.refused[0] if table.refused else "it holds no rates"
        raise K2ReproError(f"decode_rates.csv: {why}. {REPAIR}")
    return table
