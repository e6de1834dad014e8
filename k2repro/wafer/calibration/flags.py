"""Rates that cannot be: above the roofline, with a draft, or on a bandwidth that others refute.

A dense decode step without a draft reads every weight once; no rate can be above bandwidth over
bytes. On a wafer the ceiling is the hop model plus its transfer spread. A row that says it used a
draft is flagged as no plain decode rate whatever its height.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from k2repro.wafer.calibration.mesh_fit import mesh_region
from k2repro.wafer.calibration.rates import Rate
from k2repro.wafer.model import mesh
from k2repro.wafer.model.roofline import roofline_rate
from k2repro.wafer.model.workload import Workload

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


def wafer_seconds(rate: Rate) -> float:
    """Seconds per token of a wafer row by the frozen mesh: its own mesh, or layers spread evenly."""
    if "mesh" in rate.parallelism:
        region = mesh_region(rate)
    else:
        cores = rate.n_devices * (rate.device.execution_units or 900_000)
        region = mesh.place(
            rate.shape,
            cores / rate.shape.layers,
            bits=rate.precision.bits,
            context_length=rate.mean_context,
            kv_bytes_per_token=rate.kv_bytes_per_token,
        )
    return rate.shape.layers * sum(mesh.layer_seconds(region, mesh.load_mesh_parameters()).values())


def ceiling(rate: Rate) -> float:
    """Tokens/s per sequence that no dense decode without a draft can exceed."""
    if rate.device.device_class == "wafer":
        return (1.0 + mesh.TRANSFER_SPREAD) / wafer_seconds(rate)
    fields = rate.fields()
    if rate.parallelism.upper().startswith("TP"):
        fields["ways"] = float(rate.n_devices)
    return float(roofline_rate(Workload(**fields)))


def flag_rates(rates: Sequence[Rate]) -> list[Flag]:
    """All rows that cannot be plain decode rates, in file order."""
    ratios = {rate.line: rate.tokens_per_second / ceiling(rate) for rate in rates}
    groups: dict[tuple[str, str, float], list[Rate]] = defaultdict(list)
    for rate in rates:
        if not rate.speculative:
            groups[rate.source, rate.hardware, rate.bandwidth_gbs].append(rate)
    refuted = set()
    for key, members in groups.items():
        above = sum(ratios[rate.line] > 1 + MARGIN for rate in members)
        if above >= 2 and above >= REFUTED_SHARE * len(members):
            refuted.add(key)
    flags = []
    for rate in rates:
        ratio = ratios[rate.line]
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
