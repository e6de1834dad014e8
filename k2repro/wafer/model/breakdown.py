"""The causes that a step's time is shared out to: one table for GPUs, CPUs and wafers.

A breakdown is a dictionary from cause to seconds that adds up to the step. Every cause knows the
word that `Prediction.bound` gives, its name in pictures, and its declared spread: the standard
deviation of the log of its seconds, before rows are seen (`intervals.py` scales it).
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cause:
    """bound: word of a group of causes; label: name for a reader; spread: of the log of its seconds."""

    bound: str
    label: str
    spread: float


CAUSES = {
    "bandwidth": Cause("bandwidth", "reading weights", 0.10),
    "unit_wall": Cause("bandwidth", "reading weights", 0.25),
    "compute": Cause("compute", "arithmetic", 0.25),
    "kv_cache": Cause("kv_cache", "reading the cache", 0.25),
    "layer_overhead": Cause("overhead", "overhead of layers", 0.25),
    "step_overhead": Cause("overhead", "overhead of the step", 0.25),
    "communication": Cause("communication", "between devices", 0.25),
    "queueing": Cause("queueing", "waiting for others", 0.40),
    "prefill": Cause("prefill", "prefill", 0.25),
    "layer_start": Cause("hops", "starting layers", 0.25),
    "hops": Cause("hops", "hops across the mesh", 0.25),
    "load": Cause("load", "reading weights", 0.25),
    "verify": Cause("load", "checking the draft", 0.25),
    "draft": Cause("draft", "the draft", 0.25),
}


def total_seconds(breakdown: dict[str, Any]) -> Any:
    """The whole step: the sum over all causes, of the broadcast shape."""
    total: Any = 0.0
    for seconds in breakdown.values():
        total = total + seconds
    return total


def name_bound(breakdown: dict[str, float]) -> str:
    """The word for what a step waits for most: causes of one kind are added up first."""
    grouped: dict[str, float] = {}
    for cause, seconds in breakdown.items():
        word = CAUSES[cause].bound
        grouped[word] = grouped.get(word, 0.0) + seconds
    return max(grouped, key=lambda word: grouped[word])
