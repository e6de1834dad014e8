"""Checks of the exercises of notebook 01."""

import math
from typing import Any

from k2repro.notebook.checks.outcome import AnswerOutcome, Slip, check_function, check_number

SHAPES = [(64, 8, 128, 40, 2), (2, 1, 8, 5, 2), (28, 4, 128, 28, 1)]


def kv_bytes_per_token(function: Any) -> AnswerOutcome:
    """kv_bytes(layers, kv_heads, head_dim, query_heads, bytes_per_value): what a token adds to the cache."""

    def right(layers: int, kv: int, dim: int, queries: int, size: int) -> int:
        return 2 * layers * kv * dim * size

    slips = [
        Slip(lambda n, kv, d, q, s: n * kv * d * s, "Keys *and* values are kept: two tensors a layer."),
        Slip(
            lambda n, kv, d, q, s: 2 * n * q * d * s,
            "Queries are not kept; only the key and value heads are.",
        ),
        Slip(
            lambda n, kv, d, q, s: 2 * kv * d * s,
            "That is one layer. Every layer keeps its own keys and values.",
        ),
        Slip(
            lambda n, kv, d, q, s: 2 * n * kv * d,
            "Those are values, not bytes: each takes `bytes_per_value`.",
        ),
        Slip(lambda n, kv, d, q, s: n * q * d * s, "Count key and value heads, and both keys and values."),
    ]
    return check_function(
        function, right, SHAPES, slips, "262,144 bytes for K2-Think: a fifth of what 40 heads would keep."
    )


def rotated(function: Any) -> AnswerOutcome:
    """rotate(x, y, position, frequency): one pair of a query or key, turned to its position."""

    def right(x: float, y: float, position: float, frequency: float) -> list[float]:
        angle = position * frequency
        return [x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)]

    def turned(angle: float, x: float, y: float) -> list[float]:
        return [x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)]

    slips = [
        Slip(
            lambda x, y, p, f: turned(-p * f, x, y),
            "It turns the other way: check the sign of the sine terms.",
        ),
        Slip(
            lambda x, y, p, f: turned(p, x, y), "Every pair turns at the same pace: where is the frequency?"
        ),
        Slip(lambda x, y, p, f: turned(p * f * math.pi / 180, x, y), "The angle is in radians already."),
        Slip(
            lambda x, y, p, f: turned(p / f, x, y),
            "A frequency is an angle *per token*: multiply, do not divide.",
        ),
    ]
    cases = [(1.0, 0.0, 0, 0.5), (1.0, 0.0, 3, 0.5), (0.3, -2.0, 7, 0.01), (2.0, 1.0, 100, 1.0)]
    return check_function(
        function, right, cases, slips, "Lengths stay, only angles change, so a product sees distances alone."
    )


def sequences_that_fit(answer: Any) -> AnswerOutcome:
    """How many sequences of full length fit beside the 16-bit weights on 8 GPUs of 80 GB."""
    from k2repro.architecture import ModelConfig, kv_cache_bytes, weight_bytes

    config = ModelConfig.preset("k2-think")
    cache = kv_cache_bytes(config, config.max_position_embeddings)
    weights, memory = weight_bytes(config, "bf16"), 8 * 80e9
    right = int((memory - weights) // cache)
    slips = {
        float(memory // cache): "The weights need room too.",
        float(
            (memory - 8 * weights) // cache
        ): "Split over eight GPUs the weights are there once, not eight times.",
        float((80e9 - weights) // cache): "That is one GPU; there are eight.",
        float((memory - weights) // (cache * 5)): "That is without sharing heads: K2-Think keeps 8 of 40.",
        (memory - weights) / cache: "Only whole sequences fit: round down.",
    }
    return check_number(
        answer, right, slips, "Memory, not speed, limits how many long thoughts run at once.", "sequences"
    )
