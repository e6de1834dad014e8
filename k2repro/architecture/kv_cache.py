"""The KV cache: keys and values of past tokens, so that decoding reads each token once.

Paper: section on serving; at 262,144 bytes a token this cache, not arithmetic, limits the batch of
K2-Think. Differs from transformers: allocated once, and each row keeps its own length.
"""

import copy

import torch
from torch import Tensor

from k2repro.architecture.checks import positive_int
from k2repro.architecture.config import ModelConfig
from k2repro.errors import K2ReproError


class KVCache:
    """Keys and values, each [layers, batch, kv_heads, max_length, head_dim], filled from the left.

    Row b holds `lengths[b]` tokens in slots 0 .. lengths[b] - 1; what lies behind is never attended
    to and is overwritten by the next tokens. Padding therefore needs no slots of its own.
    """

    def __init__(
        self,
        config: ModelConfig,
        batch_size: int,
        max_length: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (
            config.num_hidden_layers,
            positive_int("batch_size", batch_size),
            config.num_key_value_heads,
            positive_int("max_length", max_length),
            config.head_dim,
        )
        # Zeros, not empty memory: a masked slot has weight 0, and 0 times a stray NaN is NaN.
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.lengths = torch.zeros(batch_size, dtype=torch.long, device=device)
        # Known on the host, so that no decoding step waits for the device.
        self.longest = 0
        self.uniform = True

    @property
    def batch_size(self) -> int:
        """Number of rows."""
        return self.keys.shape[1]

    @property
    def max_length(self) -> int:
        """Tokens that fit in a row."""
        return self.keys.shape[3]

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values as allocated; equals `kv_cache_bytes` for the same sizes."""
        return self.keys.nbytes + self.values.nbytes

    def slots_for(self, new_tokens: int, real: Tensor | None) -> Tensor:
        """Slots [batch, new_tokens] of the next tokens: real ones first, padding behind them.

        real: bool [batch, new_tokens], False for padding. Raises K2ReproError when the row is full.
        """
        if self.longest + new_tokens > self.max_length:
            raise K2ReproError(
                f"the KV cache holds {self.longest} of {self.max_length} tokens and {new_tokens} more "
                "do not fit; allocate prompt length + new tokens"
            )
        return self.lengths[:, None] + compact_slots(self.batch_size, new_tokens, real, self.keys.device)

    def write(self, layer: int, slots: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store [batch, kv_heads, new, head_dim] at `slots`; return all keys and values so far.

        The returned views cover slots 0 .. longest + new - 1; the caller masks what is not valid.
        """
        new = slots.shape[1]
        end = self.longest + new
        if self.uniform:
            self.keys[layer, :, :, self.longest : end] = keys
            self.values[layer, :, :, self.longest : end] = values
        else:
            rows = torch.arange(self.batch_size, device=slots.device)[:, None]
            self.keys[layer][rows, :, slots] = keys.transpose(1, 2)
            self.values[layer][rows, :, slots] = values.transpose(1, 2)
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, new_tokens: int, real: Tensor | None) -> None:
        """Count the tokens of a finished forward pass; padding is not counted."""
        self.longest += new_tokens
        self.lengths = self.lengths + (new_tokens if real is None else real.sum(dim=1))

    def truncate(self, lengths: int | Tensor) -> None:
        """Forget all but the first `lengths` tokens: one number, or one for each row (int64 [batch]).

        Used when speculative tokens are rejected. Raises K2ReproError for more than a row holds.
        """
        wanted = torch.as_tensor(lengths, dtype=torch.long, device=self.lengths.device)
        wanted = wanted.expand_as(self.lengths).clone()
        if bool((wanted > self.lengths).any()) or bool((wanted < 0).any()):
            raise K2ReproError(
                f"cannot keep {wanted.tolist()} tokens of rows that hold {self.lengths.tolist()}"
            )
        self.lengths = wanted
        self.longest = int(wanted.max())
        self.uniform = bool((wanted == self.longest).all())

    def select(self, rows: Tensor) -> "KVCache":
        """A new cache with the given rows (int64 [n]); repeats share a prompt among n samples."""
        chosen = copy.copy(self)
        chosen.keys = self.keys[:, rows]
        chosen.values = self.values[:, rows]
        chosen.lengths = self.lengths[rows]
        return chosen


def compact_slots(batch_size: int, new_tokens: int, real: Tensor | None, device: torch.device) -> Tensor:
    """Order of each row's tokens with padding moved behind: int64 [batch, new_tokens].

    One rule for left, right and inner padding: a token may attend to every token of lower or equal
    slot, so real tokens never see padding, and padding never leaves a row without anything to see.
    """
    if real is None:
        return torch.arange(new_tokens, device=device).expand(batch_size, new_tokens)
    count = real.sum(dim=1, keepdim=True)
    return torch.where(real, real.cumsum(1) - 1, count + (~real).cumsum(1) - 1)
