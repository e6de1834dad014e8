"""The words of a rates table that decide what its number means: parallelism, metric, draft, devices.

A word that is read as something else scores a rate against the wrong prediction. So every cell is
understood or its row is refused, with the line and the words that are known.
"""

import math
import re
from dataclasses import dataclass

from k2repro.errors import K2ReproError
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.precisions import Precision

_END_TO_END = ("e2e_out",)
_DECODE = ("pure_decode", "itl", "tpot_under_load", "api_rate", "")
_NO_DRAFT, _DRAFT = ("", "0", "no", "none", "false", "off"), ("1", "yes", "true", "on")
_ALONE = ("", "single", "none", "layer_split", "layer split", "layer pipeline", "pipeline over lpus", "1")
_SPLIT = re.compile(r"(tp|ep|dp|pp|tensor parallel(?:ism)?|expert parallel(?:ism)?)[ =_-]?(\d*)\??")


@dataclass(frozen=True)
class Layout:
    """ways: devices that work on one token at once (tensor and expert parallelism). stages: of a
    pipeline, which take turns. copies: of the whole model (data parallelism)."""

    ways: int
    stages: int = 1
    copies: int = 1


def check_size(stated: float, name: str, known: float, line: int) -> None:
    """K2ReproError where a row's size, in billions, is not that of the model that it names."""
    if not 0.7 < stated / known < 1.4:
        raise K2ReproError(
            f"line {line}: params_b = {stated:g}, but {name} has {known:.3g}; the size or the name is of "
            "another model"
        )


def read_devices(text: str, line: int, named: int = 1) -> int:
    """How many devices; 1 where the cell is empty. named: how many the device's name says ("8xH100")."""
    try:
        value = float(text or 1)
    except ValueError:
        value = math.nan
    if not (value >= 1 and value == int(value)):
        raise K2ReproError(
            f"line {line}: n_devices = {text!r} must be a whole number of at least 1; half of a package "
            "is a device of its own"
        )
    if named not in (1, int(value)):
        raise K2ReproError(
            f"line {line}: hardware names {named} devices and n_devices is {int(value)}; give one"
        )
    return int(value)


def read_layout(text: str, devices: int, line: int) -> Layout:
    """How the devices share the work.

    Raises K2ReproError for words that are not understood, for parts that need more devices than
    there are, and for data parallelism, whose batch per copy no column states.
    """
    words = text.strip().lower()
    if words in _ALONE or words.startswith("mesh "):
        return Layout(1)
    found = _SPLIT.findall(words)
    if not found or re.sub(r"[\s,;+x&/?-]", "", _SPLIT.sub("", words)):
        raise K2ReproError(
            f"line {line}: parallelism = {text!r} is not understood; write single, TP, TP4, EP8, PP2, "
            "'TP4 PP2', layer_split or 'mesh 420x420 cores'"
        )
    sizes = {kind[:1]: int(number) if number else 0 for kind, number in found}
    if "d" in sizes:
        raise K2ReproError(
            f"line {line}: parallelism = {text!r}: copies of a model share no weights; give one copy's "
            "devices and one copy's batch"
        )
    stages = sizes.get("p", 1) or devices
    ways = sizes.get("t") or sizes.get("e") or max(1, devices // stages if sizes.keys() & {"t", "e"} else 1)
    if ways * stages > devices:
        raise K2ReproError(
            f"line {line}: parallelism = {text!r} needs {ways * stages} devices, the row has {devices}"
        )
    return Layout(ways, stages)


def read_metric(text: str, line: int) -> bool:
    """Whether the rate divides by prefill plus decode time."""
    if text in _END_TO_END:
        return True
    if text in _DECODE:
        return False
    known = ", ".join(word for word in (*_END_TO_END, *_DECODE) if word)
    hint = "; a time per token is no rate" if "tpot" in text or "ms" in text else ""
    raise K2ReproError(f"line {line}: metric_kind = {text!r} is not known; it is one of {known}{hint}")


def read_draft(text: str, line: int) -> bool:
    """Whether a draft was used."""
    word = text.strip().lower()
    if word in _DRAFT:
        return True
    if word in _NO_DRAFT:
        return False
    raise K2ReproError(f"line {line}: spec_decode = {text!r} must be 0 or 1 (yes, no)")


def check_arithmetic(device: Device, precision: Precision, number: int, device_known: bool) -> None:
    """A native eight- or four-bit format on a card without it is another format, or another card."""
    native = precision.name in ("fp8", "fp4") and device.device_class == "gpu" and bool(device.vendor)
    if device_known and native and not device.supports(precision):
        raise K2ReproError(
            f"line {number}: {device.name} has no arithmetic for {precision.name}; "
            "name the packed format that its kernels unpack (for example w8a16)"
        )
