"""A device of one's own: from a few quantities with units, or from a TOML or JSON file.

    name = "my card"
    class = "gpu"                  # gpu, cpu, soc
    bandwidth = "1008 GB/s"
    memory = "24 GB"
    peak = "165 TFLOP/s"           # dense, 16 bit; optional, as are the next ones
    power = "450 W"
    link = "32 GB/s"

Every quantity carries its unit. A bare 1008 could be GB/s or GiB/s or a part number, so it is refused.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.wafer.model.device_names import find_device, guess_class, guess_vendor, split_count
from k2repro.wafer.model.devices import Device

_CLASSES = ("gpu", "cpu", "soc")
_PREFIX = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15}
_UNITS = {
    "bandwidth": (r"b/s|bps|bytes/s", 1e9, "GB/s, for example 1008GB/s"),
    "memory": (r"b|ib|bytes", 1e9, "GB, for example 24GB"),
    "peak": (r"flop/?s|flops|op/?s|ops", 1e12, "TFLOP/s, for example 165TFLOP/s"),
    "power": (r"w|watts?", 1.0, "W, for example 450W"),
    "link": (r"b/s|bps|bytes/s", 1e9, "GB/s, for example 32GB/s"),
}
_KEYS = ("name", "class", *_UNITS)


def read_quantity(name: str, text: object) -> float:
    """The value of "1008 GB/s" in the unit that `Device` wants; K2ReproError without a unit.

    name: bandwidth, memory, peak, power or link.
    """
    units, scale, example = _UNITS[name]
    found = re.fullmatch(rf"\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)({units})\s*", str(text), re.IGNORECASE)
    if found is None:
        bare = re.fullmatch(r"\s*\d+(?:\.\d+)?\s*", str(text))
        cause = "has no unit" if bare else "is not understood"
        raise K2ReproError(f"{name} = {text!r} {cause}; write a positive number in {example}")
    factor = _PREFIX[found[2].lower()]
    if found[3] or found[4].lower() == "ib":
        factor = 1024 ** round(len(found[2]) and " kmgtp".index(found[2].lower()))
    value = float(found[1]) * factor / scale
    if not value > 0:
        raise K2ReproError(f"{name} = {text!r} must be above zero")
    return value


def describe_device(fields: Mapping[str, Any], base: Device | None = None) -> Device:
    """A device from quantities with units, on top of a known one where `base` is given.

    Raises K2ReproError for unknown keys, quantities without a unit, and a missing bandwidth or memory.
    """
    strangers = [key for key in fields if key not in _KEYS]
    if strangers:
        raise unknown("device key", strangers[0], _KEYS)
    values = {key: read_quantity(key, fields[key]) for key in _UNITS if fields.get(key) is not None}
    name = str(fields.get("name") or (base.name if base else "device"))
    missing = [key for key in ("bandwidth", "memory") if key not in values]
    if base is None and missing:
        raise K2ReproError(f"device {name!r}: {' and '.join(missing)} missing; both are needed, with units")
    kind = str(fields.get("class") or (base.device_class if base else guess_class(name)))
    if kind not in (*_CLASSES, base.device_class if base else ""):
        raise unknown("device class", kind, _CLASSES)
    start = base or Device(
        name, kind, values["bandwidth"], values["memory"], vendor=guess_vendor(name), matrix_tile=16
    )
    peaks = {**start.peak_tflops, "bf16": values["peak"]} if "peak" in values else start.peak_tflops
    return replace(
        start,
        name=name,
        device_class=kind,
        bandwidth_gbs=values.get("bandwidth", start.bandwidth_gbs),
        capacity_gb=values.get("memory", start.capacity_gb),
        peak_tflops=peaks,
        tdp_w=values.get("power", start.tdp_w),
        link_gbs=values.get("link", start.link_gbs),
    )


def read_device_file(path: str | Path) -> Device:
    """The device in a TOML or JSON file; K2ReproError when it cannot be read or lacks a unit."""
    file = Path(path)
    try:
        text = file.read_text("utf-8")
        fields = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise K2ReproError(f"device file {str(file)!r} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise K2ReproError(f"device file {str(file)!r} is neither TOML nor JSON: {error}") from None
    try:
        return describe_device({"name": file.stem, **fields})
    except K2ReproError as error:
        raise K2ReproError(f"device file {str(file)!r}: {error}") from None


def ask_device(text: str, fields: Mapping[str, Any]) -> tuple[int, Device]:
    """(how many, which): a name such as H100-SXM or 8xH100, a file, or a new name with quantities.

    fields: quantities that replace those of a known device, or describe one that is not known.
    """
    given = {key: value for key, value in fields.items() if value is not None}
    if text.endswith((".toml", ".json")):
        return 1, describe_device(given, read_device_file(text)) if given else read_device_file(text)
    count, name = split_count(text)
    try:
        known = find_device(name)
    except K2ReproError:
        if "bandwidth" in given and "memory" in given:
            return count, describe_device({"name": name, **given})
        raise
    return count, describe_device(given, replace(known, source="")) if given else known
