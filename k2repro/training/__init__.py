"""What fine-tuning and reinforcement learning share: optimiser, schedules, packing, resumable training.

Muon, build_optimizer     optimiser of matrices by orthogonalised momentum; AdamW for the rest
warmup_cosine, ...        learning-rate schedules, as factors of a peak
pack, Batch               token rows that hold several texts, with the loss on responses only
"""

from k2repro.training.muon import Muon, orthogonalize
from k2repro.training.optimizer import Optimizer, build_optimizer
from k2repro.training.packing import Batch, Example, pack
from k2repro.training.schedules import SCHEDULES, warmup_cosine, warmup_linear

# Numerics word: raised when the same batches give other weights, in any stage of any training.
NUMERICS = "train-1"

__all__ = [
    "NUMERICS",
    "SCHEDULES",
    "Batch",
    "Example",
    "Muon",
    "Optimizer",
    "build_optimizer",
    "orthogonalize",
    "pack",
    "warmup_cosine",
    "warmup_linear",
]
