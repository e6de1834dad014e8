"""How many bytes a model needs in each precision, and how many devices hold them.

Paper: the article says one WSE-3 (44 GB) serves K2-Think in 16 bit; this arithmetic answers.
Quantised formats are stated in full, scales included: "4 bit" alone hides an eighth of the bytes.
"""

import math
from dataclasses import dataclass

from k2repro.architecture.accounting import count_parameters, kv_cache_bytes
from k2repro.architecture.checks import positive_float
from k2repro.architecture.config import ModelConfig
from k2repro.architecture.tensors import layer_shapes
from k2repro.errors import K2ReproError, unknown


@dataclass(frozen=True)
class StoredPrecision:
    """A storage format of the weights.

    bits: for each value of the matrices of the decoder blocks (q, k, v, o, gate, up, down).
    other_bits: for each value of everything else (embedding, head, norms, biases).
    group_size: input values that share one scale; 0 = none, -1 = a whole output row.
    group_bits: bits of a group's scale and zero point together.
    note: which convention this is.
    """

    bits: int
    other_bits: int
    group_size: int
    group_bits: int
    note: str


PRECISIONS: dict[str, StoredPrecision] = {
    "fp32": StoredPrecision(32, 32, 0, 0, "all values in 32 bit"),
    "bf16": StoredPrecision(16, 16, 0, 0, "all values in 16 bit"),
    "fp8": StoredPrecision(8, 16, -1, 32, "block matrices, one 32-bit scale a row; rest 16 bit"),
    "int8": StoredPrecision(8, 16, -1, 16, "block matrices, one 16-bit scale a row; rest 16 bit"),
    "int4": StoredPrecision(
        4, 16, 128, 20, "block matrices, 16-bit scale and 4-bit zero point per 128; rest 16 bit"
    ),
}


def weight_bytes(config: ModelConfig, precision: str) -> int:
    """Bytes of all weights, scales included; raises K2ReproError for an unknown precision.

    >>> weight_bytes(ModelConfig.preset("k2-think"), "bf16")
    65527752704
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    form = PRECISIONS[precision]
    # (output rows, input columns) of every matrix in the decoder blocks.
    matrices = [
        shape for shape in layer_shapes(config).values() if len(shape) == 2
    ] * config.num_hidden_layers
    values = sum(rows * columns for rows, columns in matrices)
    bits = values * form.bits + (count_parameters(config).total - values) * form.other_bits
    if form.group_size:
        groups = sum(
            rows * (1 if form.group_size < 0 else math.ceil(columns / form.group_size))
            for rows, columns in matrices
        )
        bits += groups * form.group_bits
    return math.ceil(bits / 8)


def memory_by_precision(
    config: ModelConfig, context_length: int = 0, batch_size: int = 1, kv_bytes_per_value: float = 2
) -> dict[str, dict[str, int]]:
    """`{precision: {"weights": bytes, "kv_cache": bytes, "total": bytes}}`.

    The cache has its own precision (16 bit unless said otherwise). Activations are not counted.
    """
    cache = kv_cache_bytes(config, context_length, batch_size, kv_bytes_per_value)
    result = {}
    for name in PRECISIONS:
        weights = weight_bytes(config, name)
        result[name] = {"weights": weights, "kv_cache": cache, "total": weights + cache}
    return result


def devices_needed(needed_bytes: int, capacity_bytes: float, usable_fraction: float = 1.0) -> int:
    """Smallest number of devices whose usable memory holds `needed_bytes`; raises K2ReproError."""
    positive_float("capacity_bytes", capacity_bytes)
    if not 0 < usable_fraction <= 1:
        raise K2ReproError(f"usable_fraction = {usable_fraction}: must lie in (0, 1]")
    return max(1, math.ceil(needed_bytes / (capacity_bytes * usable_fraction)))
