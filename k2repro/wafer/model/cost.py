"""Energy and money per million tokens, where the power of a device is known.

Power is the board's limit (`tdp_w`), so the energy is an upper bound for the devices alone; host,
cooling and idle time are not in it. Prices are the user's: none ships.
"""

from dataclasses import dataclass

from k2repro.errors import K2ReproError
from k2repro.wafer.model.answers import Prediction


@dataclass(frozen=True)
class Cost:
    """Per million generated tokens. kilowatt_hours is None where the power is not known."""

    kilowatt_hours: float | None
    device_hours: float
    price: float | None


def cost_per_million_tokens(
    prediction: Prediction, *, price_per_kwh: float | None = None, price_per_device_hour: float | None = None
) -> Cost:
    """Energy, device hours and price of a million tokens at the predicted aggregate rate.

    The price adds what was given: energy at price_per_kwh, devices at price_per_device_hour; None
    when neither was given or the energy is needed but not known. Raises K2ReproError on a
    negative price.
    """
    for name, value in (("price_per_kwh", price_per_kwh), ("price_per_device_hour", price_per_device_hour)):
        if value is not None and not value >= 0:
            raise K2ReproError(f"{name} = {value!r} must not be negative")
    hours = 1e6 / prediction.aggregate_tokens_per_second / 3600 * prediction.devices
    joules = prediction.joules_per_token
    energy = None if joules is None else joules * 1e6 / 3.6e6
    price: float | None = None
    if price_per_device_hour is not None:
        price = hours * price_per_device_hour
    if price_per_kwh is not None:
        if energy is None:
            return Cost(None, hours, None)
        price = (price or 0.0) + energy * price_per_kwh
    return Cost(energy, hours, price)
