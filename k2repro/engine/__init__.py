"""Sampling from the decoder, and reading with it: many prompts, many samples each, batched.

Paper: K2-Think's numbers are means over 16 samples a problem, and its planning, best-of-N and
reinforcement learning all sample. Here one call does it: `sample(model, prompts, n=16, ...)`, reproducible
one by one. `read(model, prompts, responses)` says how likely given responses are.
`Backend` and `Completion` need no torch; what samples from weights is loaded on first use.
"""

from typing import TYPE_CHECKING

from k2repro.engine.backend import Backend, Completion, Message, Request

if TYPE_CHECKING:
    from k2repro.engine.local import LocalBackend
    from k2repro.engine.reading import Reading, read
    from k2repro.engine.sampler import Sampler, sample

# Numerics word: raised when a model, a prompt and a seed give other tokens or log-probabilities.
NUMERICS = "engine-1"

__all__ = [
    "NUMERICS",
    "Backend",
    "Completion",
    "LocalBackend",
    "Message",
    "Reading",
    "Request",
    "Sampler",
    "read",
    "sample",
]
_HOMES = {
    "LocalBackend": "local",
    "Reading": "reading",
    "Sampler": "sampler",
    "read": "reading",
    "sample": "sampler",
}


def __getattr__(name: str) -> object:
    """Import the torch half of the room when one of its names is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"k2repro.engine.{_HOMES[name]}"), name)
