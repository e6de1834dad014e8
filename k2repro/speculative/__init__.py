"""Speculative decoding: a small draft guesses, the target checks, the text stays the target's.

plain         draft, accept, replace: one page on torch alone
exact         every branch in fractions: is the law of the text the target's?
mutants       rules that are wrong as public code was wrong; loop_defects: loops that are
sampling      `speculative_sample`, on the compiled loop: rules, batches, statistics
drafts        a model, look-up, a table, early exit; pruning
distil        a draft learns from its target
growth        a large target that computes what a small one does
prediction    tokens a pass, speed, best gamma, break-even: before the run
timing        what a pass and a guess cost in the loop, for the prediction
advice        both together: should a draft be used here, which, and how
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k2repro.speculative.drafts import Draft
    from k2repro.speculative.prediction import expected_speedup, expected_tokens
    from k2repro.speculative.sampling import Speculated, SpeculativeSampler, Statistics, speculative_sample

_HOMES = {
    "drafts": ("Draft",),
    "prediction": ("expected_speedup", "expected_tokens"),
    "sampling": ("Speculated", "SpeculativeSampler", "Statistics", "speculative_sample"),
}

__all__ = [
    "Draft",
    "Speculated",
    "SpeculativeSampler",
    "Statistics",
    "expected_speedup",
    "expected_tokens",
    "speculative_sample",
]


def __getattr__(name: str) -> object:
    """Import torch and the compiler when one of the names is first used."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"k2repro.speculative.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
