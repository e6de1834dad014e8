"""Rates that cannot be: above the roofline, with a draft, or on a bandwidth that others refute.

A dense decode step without a draft reads every weight once; no rate can be above bandwidth over
bytes. On a wafer the ceiling is the hop model plus its transfer spread. A row that says it used a
draft is flagged as no plain decode rate whatever its height.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from k2repro.wafer.calibration.mesh_fit import mesh_side
from k2repro.wafer.calibration.rates import Rate
from k2repro.wafer.model.answers import Prediction
from k2repro.wafer.model.prediction import predict
from k2repro.wafer.model.roofline import roofline_rate

# Rounding of published numbers: a row at 1.002 of its stated bandwidth is honest.
MARGIN = 0.02
# When this share of a device's rows from one source is above the roofline, the stated bandwidth
# is wrong for that device, and none of its rows there can be used.
REFUTED_SHARE = 1 / 3


@dataclass(frozen=True)
class Flag:
    """Why a row is no decode rate. ratio: measured rate over the ceiling."""

    id: str
    line: int
    source: str
    hardware: str
    ratio: float
    reason: str


def predict_rate(rate: Rate) -> Prediction:
    """The public prediction of a row on a wafer: the same `predict` that everybody calls.

    Formats that a wafer does not store are unpacked to sixteen bits when the model is loaded.
    """
    known = rate.device.supports(rate.precision)
    return predict(
        rate.shape,
        rate.device,
        precision=rate.precision.name if known else "fp16",
        batch_size=int(rate.batch),
        context_length=rate.mean_context,
        devices=rate.n_devices,
        mesh_side=mesh_side(rate),
        check_fit=False,
    )


def ceiling(rate: Rate) -> float:
    """Tokens/s per sequence that no dense decode without a draft can exceed."""
    if rate.device.device_class == "wafer":
        return predict_rate(rate).ceiling_tokens_per_second
    ways = float(rate.n_devices) if rate.parallelism.upper().startswith("TP") else None
    return float(roofline_rate(rate.workload(ways=ways)))


def flag_rates(rates: Sequence[Rate]) -> list[Flag]:
    """All rows that cannot be plain decode rates, in file order."""
    ratios = [rate.tokens_per_second / ceiling(rate) for rate in rates]
    groups: dict[tuple[str, str, float], list[float]] = defaultdict(list)
    for rate, ratio in zip(rates, ratios, strict=True):
        if not rate.speculative:
            groups[rate.source, rate.hardware, rate.bandwidth_gbs].append(ratio)
    refuted = set()
    for key, members in groups.items():
        above = sum(ratio > 1 + MARGIN for ratio in members)
        if above >= 2 and above >= REFUTED_SHARE * len(members):
            refuted.add(key)
    flags = []
    for rate, ratio in zip(rates, ratios, strict=True):
        reason = ""
        if rate.speculative:
            reason = "used a draft: no plain decode rate"
        elif ratio > 1 + MARGIN:
            reason = f"{ratio:.2f} times what the stated bandwidth allows"
        elif (rate.source, rate.hardware, rate.bandwidth_gbs) in refuted:
            reason = "stated bandwidth refuted by faster rows of the same device"
        if reason:
            flags.append(Flag(rate.id, rate.line, rate.source, rate.hardware, ratio, reason))
    return flags
