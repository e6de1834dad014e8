"""What the sampler asks of a decoder: rows of a static cache that are filled, stepped, moved.

Two decoders answer: `decoder.py` (small 32-bit models on the CPU, fast) and `engine/eager.py` (all others).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Prefix:
    """A prompt that has been read once, for all of its samples.

    keys, values: [layers, kv_heads, length, head_dim]. logits: float32 [vocabulary], of the next token.
    """

    keys: Tensor
    values: Tensor
    logits: Tensor

    @property
    def length(self) -> int:
        """Tokens of the prompt."""
        return self.keys.shape[2]


class RowDecoder(Protocol):
    """Rows 0 .. count - 1 are in flight; row r holds the tokens of one sample so far.

    logits: float32 [rows, vocabulary] on the CPU, of the next token of each row; written by `put` and
    `step`, and valid until the next of these calls.
    """

    logits: Tensor

    def prefill(self, prompts: Sequence[Sequence[int]]) -> list[Prefix]:
        """Read prompts (token ids)."""

    def put(self, row: int, prefix: Prefix) -> None:
        """Begin a sample of a prompt in `row`, whatever was there before."""

    def move(self, source: int, target: int) -> None:
        """Let `target` hold what `source` holds; logits are not moved."""

    def step(self, tokens: Tensor) -> None:
        """Append one token, int64 [count], to each of the rows 0 .. count - 1."""

    def extend(self, row: int, tokens: Sequence[int]) -> Tensor:
        """Append several tokens to one row in one pass; logits [tokens, vocabulary] after each.

        `logits` are left as they are.
        """

    def cut(self, row: int, length: int) -> None:
        """Keep the first `length` tokens of a row: what a draft proposed and nobody wanted is forgotten."""
