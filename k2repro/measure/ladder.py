"""The models that `k2repro measure` decodes: Qwen2 shapes from 10 million to 1.5 billion parameters.

The two largest are the published Qwen2.5 shapes; the smaller ones keep their proportions (head size
64, feed-forward about three times the width, tied embeddings) with a vocabulary that shrinks along,
so that the output head stays a third to a half of the model as it is in Qwen2.5-0.5B.
"""

from k2repro.wafer.model.names import find_shape
from k2repro.wafer.model.shapes import ModelShape


def _tied(name: str, layers: int, hidden: int, q_heads: int, ffn: int, vocab: int) -> ModelShape:
    return ModelShape(name, layers, hidden, q_heads, 2, 64, ffn, vocab, tied=True)


def measured_shapes(quick: bool = False) -> tuple[ModelShape, ...]:
    """The ladder, smallest first; the quick one stops at 150 million parameters."""
    small = (
        _tied("Qwen2-shape-10M", 8, 256, 4, 704, 16384),
        _tied("Qwen2-shape-25M", 10, 384, 6, 1024, 24576),
        _tied("Qwen2-shape-60M", 14, 512, 8, 1536, 32768),
        _tied("Qwen2-shape-150M", 16, 768, 12, 2560, 49152),
    )
    return small if quick else (*small, find_shape("Qwen2.5-0.5B"), find_shape("Qwen2.5-1.5B"))
