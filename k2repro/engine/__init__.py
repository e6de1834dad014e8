"""Sampling from the decoder: many prompts, many samples each, batched, reproducible one by one.

Paper: K2-Think's numbers are means over 16 samples a problem, and its planning, best-of-N and
reinforcement learning all sample. Here one call does it: `sample(model, prompts, n=16, ...)`.
"""

from k2repro.engine.completion import Completion
from k2repro.engine.sampler import Sampler, sample

# Numerics word: raised when a model, a prompt and a seed give other tokens or log-probabilities.
NUMERICS = "engine-1"

__all__ = ["NUMERICS", "Completion", "Sampler", "sample"]
