"""The compiled passes: what makes sampling and training on a CPU fast, behind one door.

A student never has to come here: `engine/plain.py` samples and `architecture/qwen2.py` trains without it, and
tests hold what is here equal to them. It knows nothing of prompts, problems or losses.

CompiledDecoder   rows of a cache that are filled, stepped and moved; one compiled call a step (`decoder.py`)
packed_logits     the decoder on packed rows with a gradient (`packed.py`)
fold              the weights of a model as both want them (`folding.py`)
product, outer    matrix products by the faster of torch's libraries (`products.py`)
kernels/          the compiled functions
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k2repro.fast.decoder import COMPILED_ROWS, CompiledDecoder, fits_compiled
    from k2repro.fast.folding import fold
    from k2repro.fast.kernels.decode import FoldedWeights
    from k2repro.fast.packed import fits_fused, packed_logits
    from k2repro.fast.products import outer, product
    from k2repro.fast.rows import Prefix, RowDecoder

_HOMES = {
    "decoder": ("COMPILED_ROWS", "CompiledDecoder", "fits_compiled"),
    "folding": ("fold",),
    "packed": ("fits_fused", "packed_logits"),
    "kernels.decode": ("FoldedWeights",),
    "products": ("outer", "product"),
    "rows": ("Prefix", "RowDecoder"),
}

__all__ = [
    "COMPILED_ROWS",
    "CompiledDecoder",
    "FoldedWeights",
    "Prefix",
    "RowDecoder",
    "fits_compiled",
    "fits_fused",
    "fold",
    "outer",
    "packed_logits",
    "product",
]


def __getattr__(name: str) -> object:
    """Import a part when one of its names is first used: a matrix product needs no compiler."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"k2repro.fast.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
