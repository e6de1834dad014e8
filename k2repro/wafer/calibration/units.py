"""Units off by a thousand: a bandwidth in TB/s or MB/s, bytes in MB, a rate in tokens per minute.

Three quantities of a row can be held against something known: its bandwidth against the device (or
the range of its kind), its bytes against the model's shape and format, its rate against the bandwidth
from above. A factor of thirty is far beyond any honest disagreement and far below a thousand. From
below nothing refutes a rate: slow machines and slow software exist.
"""

import math

from k2repro.wafer.calibration.rates import Rate, RateTable
from k2repro.wafer.model.workload import weight_bytes

_INPUT_FACTOR = 30.0
# Impossible rows that a filter should flag, not refuse, go up to eleven times the roofline.
_RATE_FACTOR = 30.0
_PLAUSIBLE_GBS = {
    "cpu": (1.0, 5e3),
    "soc": (5.0, 1e4),
    "gpu": (5.0, 1e5),
    "tpu": (5.0, 1e5),
    "rdu": (5.0, 1e5),
    "lpu": (1e3, 1e6),
    "wafer": (1e6, 1e9),
}


def _far_off(value: float, expected: float) -> bool:
    return abs(math.log(value / expected)) > math.log(_INPUT_FACTOR)


def _input_complaint(rate: Rate) -> str:
    """What is wrong with bandwidth or bytes of a row, or an empty string."""
    nominal, kind = rate.device.bandwidth_gbs, rate.device.device_class
    if rate.device_known and _far_off(rate.bandwidth_gbs, nominal):
        return (
            f"bandwidth_gbs_per_device = {rate.bandwidth_gbs:g}, but {rate.device.name} has "
            f"{nominal:g} GB/s; is the number in TB/s or MB/s?"
        )
    least, most = _PLAUSIBLE_GBS.get(kind, (0.0, math.inf))
    if not least <= rate.bandwidth_gbs <= most:
        return (
            f"bandwidth_gbs_per_device = {rate.bandwidth_gbs:g} GB/s is outside {least:g} to "
            f"{most:g} for a {kind}; is the number in TB/s or MB/s?"
        )
    read = weight_bytes(rate.shape, rate.precision).read
    if rate.shape_known and _far_off(rate.weight_read_gb * 1e9, read):
        return (
            f"weight_read_gb = {rate.weight_read_gb:g}, but {rate.model} in "
            f"{rate.precision.name} has {read / 1e9:.3g} GB; is the number in MB or TB?"
        )
    return ""


def refuse_wrong_units(table: RateTable) -> RateTable:
    """The table without rows whose units are off, each refused with its line and likely cause.

    A rate far from the prediction is never a reason: it would hide the emulator's worst misses.
    """
    kept, refused = [], list(table.refused)
    for rate in table.rates:
        complaint = _input_complaint(rate) or _rate_complaint(rate)
        if complaint:
            refused.append(f"line {rate.line}: {complaint}")
        else:
            kept.append(rate)
    return RateTable(tuple(kept), tuple(refused))


def _rate_complaint(rate: Rate) -> str:
    """A rate that no memory could feed by far: above anything that a filter should flag and keep."""
    if rate.device.device_class in ("wafer", "lpu"):
        return ""
    bytes_moved = rate.weight_read_gb * 1e9
    share = rate.tokens_per_second * bytes_moved / (rate.n_devices * rate.bandwidth_gbs * 1e9)
    if share <= _RATE_FACTOR:
        return ""
    return (
        f"tok_s_per_user = {rate.tokens_per_second:g} would read weights at {share:.3g} times the stated "
        "bandwidth; a unit is off by 1,000, or the rate is that of a whole batch"
    )
