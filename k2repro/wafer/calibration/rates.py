"""Measured decode rates: reading a table, checking every row, and turning rows into a workload.

The shipped tables are `data/decode_rates*.csv`; any file with its columns can be read. A row may name
a device, engine, model or source never seen: bandwidth, bytes and precision come from the row
itself. Only a row that cannot be read is refused, by line number.
"""

import csv
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.reading import REPAIR, shipped_text
from k2repro.wafer.calibration.rate_words import (
    Layout,
    check_arithmetic,
    check_size,
    read_devices,
    read_draft,
    read_layout,
    read_metric,
)
from k2repro.wafer.model.device_names import guess_class, guess_vendor, match_variant, split_count
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.engines import Engine, find_engine
from k2repro.wafer.model.names import match_shape, read_size
from k2repro.wafer.model.precisions import Precision, match_precision
from k2repro.wafer.model.shapes import ModelShape, shape_from_size
from k2repro.wafer.model.workload import (
    Request,
    WeightBytes,
    Workload,
    device_work,
    model_work,
    software_work,
    usable_memory,
    weight_bytes,
)

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
_LEAST_CARD_GBS = 150.0


@dataclass(frozen=True)
class Rate:
    """One measured rate with everything that the emulator may use to predict it.

    line: line number in its file. weight_read_gb: bytes read by a step of one token / 1e9 (all
    devices together), expert_read_gb: the routed experts in it. mean_context: tokens attended to on
    average. purpose: 1 scored, 2 wafers and claims, 0 filter tests. device: the known device, or a
    stand-in built from the row.
    """

    line: int
    id: str
    model: str
    shape: ModelShape
    shape_known: bool
    precision: Precision
    weight_read_gb: float
    expert_read_gb: float
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
    layout: Layout
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
        """Devices that work on one token at once."""
        return self.layout.ways

    def workload(self, *, ways: float | None = None) -> Workload:
        """This row as a `Workload` of single numbers. ways: other than the row's own."""
        read = WeightBytes(self.weight_read_gb * 1e9, self.expert_read_gb * 1e9, self._stored_bytes())
        memory = self.n_devices * usable_memory(self.device, self.engine)
        memory = memory if self.device.device_class == "gpu" else math.inf
        return Workload(
            model_work(self.shape, read, self.kv_bytes_per_token),
            Request(
                self.batch, self.mean_context, self.prompt_tokens, self.output_tokens, float(self.end_to_end)
            ),
            device_work(
                self.device,
                self.bandwidth_gbs,
                self.precision,
                ways=float(self.ways) if ways is None else ways,
                memory=memory,
            ),
            software_work(self.engine, self.precision),
        )

    def _stored_bytes(self) -> float:
        """Resident bytes: what a step reads, the experts that it does not, the input embedding."""
        embedding = 0.0 if self.shape.tied else self.shape.head_parameters * 2.0
        idle = self.shape.expert_parameters / max(self.shape.active_expert_parameters, 1) - 1.0
        return self.weight_read_gb * 1e9 + embedding + max(idle, 0.0) * self.expert_read_gb * 1e9


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
    """The known shape of the model, or one of the usual proportions and the row's size.

    Raises K2ReproError when the row gives no size, or more active parameters than parameters.
    """
    name = _cell(line, "model")
    total = _number(line, "params_b", number, 0.0)
    active = _number(line, "active_params_b", number, 0.0)
    if active > total > 0 and active > 1.001 * total:
        raise K2ReproError(
            f"line {number}: active_params_b = {active:g} is above params_b = {total:g}; "
            "a token cannot pass more parameters than there are"
        )
    shape = match_shape(name)
    if shape is not None:
        if total:
            check_size(total, shape.name, shape.parameters / 1e9, number)
        return shape, True
    stated = read_size(name)
    if total == 0.0 and stated is not None:
        total, active = stated[0] / 1e9, active or (stated[1] or 0.0) / 1e9
    if not total and not active and not _cell(line, "weight_read_gb"):
        raise K2ReproError(
            f"line {number}: model {name!r} is not known and the row gives no size "
            f"({', '.join(_SIZED)} are empty)"
        )
    total = total or active or _number(line, "weight_read_gb", number) / 2
    return shape_from_size(name, total * 1e9, active * 1e9 if active else None), False


def _device(line: dict[str, str], number: int, bandwidth_gbs: float) -> tuple[Device, bool]:
    name = _cell(line, "hardware")
    device = match_variant(name)
    if device is not None:
        return device, True
    framework = _cell(line, "framework")
    # Rows of `k2repro measure` carry the bandwidth that was measured, not a nominal one.
    sustained = bandwidth_gbs if "k2repro" in framework else None
    kind = guess_class(name, framework)
    stand_in = Device(
        name=name or "unnamed",
        device_class=kind,
        bandwidth_gbs=bandwidth_gbs,
        capacity_gb=math.inf,
        vendor=guess_vendor(name),
        sustained_gbs=sustained,
        # Nothing but shared LPDDR gives a GPU so little.
        memory_type="LPDDR (guessed)" if kind == "gpu" and bandwidth_gbs < _LEAST_CARD_GBS else "",
        note="not in hardware.csv; built from the row",
    )
    return stand_in, False


def _contexts(line: dict[str, str], number: int) -> tuple[float, float, float]:
    """Prompt, output and mean context tokens; the mean defaults to prompt + half the output."""
    prompt = _number(line, "context_in", number, 0.0)
    output = _number(line, "context_out", number, 128.0)
    mean = _number(line, "mean_context", number, prompt + output / 2)
    return prompt, output, mean


def _tokens_per_second(line: dict[str, str], number: int, batch: float) -> float:
    """The rate per sequence; refused where the row's total contradicts it."""
    rate = _number(line, "tok_s_per_user", number)
    total = _number(line, "tok_s_total", number, 0.0)
    if total and not 0.9 < total / (rate * batch) < 1.1:
        raise K2ReproError(
            f"line {number}: tok_s_total = {total:g}, but tok_s_per_user x batch = {rate:g} x {batch:g} = "
            f"{rate * batch:g}; one of the three is of another run, or per user and total are swapped"
        )
    return rate


def _weights(
    line: dict[str, str], number: int, shape: ModelShape, precision: Precision
) -> tuple[float, float]:
    """GB read by a step of one token, and those of its routed experts."""
    computed = weight_bytes(shape, precision)
    stated = _number(line, "weight_read_gb", number, 0.0) * 1e9
    read = stated or computed.read
    return read / 1e9, read * computed.experts / computed.read / 1e9


def _read_rate(line: dict[str, str], number: int) -> Rate:
    """One row as a `Rate`; K2ReproError with the line number when it cannot be read."""
    shape, shape_known = _shape(line, number)
    precision = _precision(line, number, shape)
    bandwidth = _number(line, "bandwidth_gbs_per_device", number)
    device, device_known = _device(line, number, bandwidth)
    check_arithmetic(device, precision, number, device_known)
    prompt, output, mean = _contexts(line, number)
    framework, batch = _cell(line, "framework"), _number(line, "batch", number)
    read, experts = _weights(line, number, shape, precision)
    devices = read_devices(_cell(line, "n_devices"), number, named=split_count(_cell(line, "hardware"))[0])
    return Rate(
        line=number,
        id=_cell(line, "id") or f"line-{number}",
        model=_cell(line, "model"),
        shape=shape,
        shape_known=shape_known,
        precision=precision,
        weight_read_gb=read,
        expert_read_gb=experts,
        kv_bytes_per_token=_number(line, "kv_bytes_per_token", number, shape.kv_bytes_per_token()),
        batch=batch,
        prompt_tokens=prompt,
        output_tokens=output,
        mean_context=mean,
        hardware=_cell(line, "hardware"),
        device=device,
        device_known=device_known,
        n_devices=devices,
        bandwidth_gbs=bandwidth,
        parallelism=_cell(line, "parallelism") or "single",
        layout=read_layout(_cell(line, "parallelism"), devices, number),
        framework=framework,
        engine=find_engine(framework, device.device_class, device.vendor, device.name),
        end_to_end=read_metric(_cell(line, "metric_kind"), number),
        speculative=read_draft(_cell(line, "spec_decode"), number),
        tokens_per_second=_tokens_per_second(line, number, batch),
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


@functools.cache
def load_rates(table: str = "") -> RateTable:
    """The shipped tables: "decode_rates.csv" (to mid 2025), "decode_rates_2026.csv", "" for both."""
    names = (table,) if table else ("decode_rates.csv", "decode_rates_2026.csv")
    found = []
    for name in names:
        part = parse_rates(shipped_text("k2repro.wafer", f"data/{name}").splitlines(), name)
        if part.refused or not part.rates:
            why = part.refused[0] if part.refused else "it holds no rates"
            raise K2ReproError(f"{name}: {why}. {REPAIR}")
        found.append(part)
    return RateTable(tuple(row for part in found for row in part.rates), ())
