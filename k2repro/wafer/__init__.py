"""The wafer-scale bandwidth emulator: decode rates of any model on CPU, GPU or wafer.

Notebook 07. `predict` gives a rate with its interval and says where the time goes; `score_rates`
holds the emulator against measured rates, leaving sources and devices out; `data/` ships rates,
devices and shapes with their sources. Needs numpy only.
"""

from k2repro.wafer.calibration.flags import flag_rates
from k2repro.wafer.calibration.rates import Rate, RateTable, load_rates, read_rates
from k2repro.wafer.calibration.score import ScoreReport, score_rates
from k2repro.wafer.model.answers import Prediction, require_fit
from k2repro.wafer.model.cost import Cost, cost_per_million_tokens
from k2repro.wafer.model.device_names import find_device
from k2repro.wafer.model.devices import Device, load_devices
from k2repro.wafer.model.names import find_shape
from k2repro.wafer.model.prediction import predict, predict_prefill, sweep
from k2repro.wafer.model.shapes import Experts, ModelShape, load_shapes
from k2repro.wafer.model.speculation import Speculation, needed_acceptance

__all__ = [
    "Cost",
    "Device",
    "Experts",
    "ModelShape",
    "Prediction",
    "Rate",
    "RateTable",
    "ScoreReport",
    "Speculation",
    "cost_per_million_tokens",
    "find_device",
    "find_shape",
    "flag_rates",
    "load_devices",
    "load_rates",
    "load_shapes",
    "needed_acceptance",
    "predict",
    "predict_prefill",
    "read_rates",
    "require_fit",
    "score_rates",
    "sweep",
]
