"""Buffers of a decoding pass, allocated once; every array is also a tensor over the same memory."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..architecture.config import ModelConfig

Array = NDArray[np.float32]
BUFFERS = ("residual", "normed", "qkv", "mixed", "gate_up", "product", "angles", "scale")


@dataclass(frozen=True)
class Tensors:
    """The arrays of a Workspace that torch reads and writes, as tensors [rows, width]."""

    residual: Tensor
    normed: Tensor
    qkv: Tensor
    mixed: Tensor
    gate_up: Tensor
    gate: Tensor
    product: Tensor


@dataclass(frozen=True)
class Heads:
    """Views by head of the first rows. query, mixed: [B, K, G, D]; key, value: [B, K, D]."""

    query: Array
    key: Array
    value: Array
    mixed: Array


class Workspace:
    """What `rows` tokens need at once on their way through a layer; float32 [rows, width] each.

    residual: the residual stream. normed: its normed copy. qkv: queries, keys and values; `pairs` views
    queries and keys as complex rotary pairs [rows, H + K, D / 2], `angles` [rows, 1, D / 2] turns them.
    mixed: attention's output. gate_up, with `up` as its second half; product: silu(gate) * up.

    heads: views of the first `count` rows, the ones in use; the others fill up a multiple.
    """

    def __init__(self, config: ModelConfig, rows: int) -> None:
        heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.config, self.count = config, rows
        self.residual = np.zeros((rows, config.hidden_size), np.float32)
        self.normed = np.zeros((rows, config.hidden_size), np.float32)
        self.qkv = np.zeros((rows, (heads + 2 * kv_heads) * config.head_dim), np.float32)
        self.mixed = np.zeros((rows, heads * config.head_dim), np.float32)
        self.gate_up = np.zeros((rows, 2 * config.intermediate_size), np.float32)
        self.product = np.zeros((rows, config.intermediate_size), np.float32)
        self.angles = np.zeros((rows, 1, config.head_dim // 2), np.complex64)
        self.scale = np.zeros((rows, 1), np.float32)
        self._make_views()

    def part(self, count: int, rows: int) -> "Workspace":
        """Views of the first `rows` rows, of which `count` are in use and the others are set to zero."""
        part = object.__new__(Workspace)
        part.config, part.count = self.config, count
        for name in BUFFERS:
            setattr(part, name, getattr(self, name)[:rows])
            getattr(part, name)[count:] = 0
        part._make_views()
        return part

    def _make_views(self) -> None:
        config = self.config
        kv_heads, dim, groups = config.num_key_value_heads, config.head_dim, config.query_heads_per_kv_head
        queries, rotated = kv_heads * groups * dim, kv_heads * (groups + 1) * dim
        self.pairs = self.qkv[:, :rotated].view(np.complex64).reshape(len(self.qkv), -1, dim // 2)
        self.up = self.gate_up[:, config.intermediate_size :]
        used, count = self.qkv[: self.count], self.count
        self.heads = Heads(
            query=used[:, :queries].reshape(count, kv_heads, groups, dim),
            key=used[:, queries:rotated].reshape(count, kv_heads, dim),
            value=used[:, rotated:].reshape(count, kv_heads, dim),
            mixed=self.mixed[:count].reshape(count, kv_heads, groups, dim),
        )
        gate_up = torch.from_numpy(self.gate_up)
        self.tensors = Tensors(
            residual=torch.from_numpy(self.residual),
            normed=torch.from_numpy(self.normed),
            qkv=torch.from_numpy(self.qkv),
            mixed=torch.from_numpy(self.mixed),
            gate_up=gate_up,
            gate=gate_up[:, : config.intermediate_size],
            product=torch.from_numpy(self.product),
        )

    def norm(self, epsilon: float) -> None:
        """normed = residual / sqrt(mean(residual^2) + epsilon), row by row; the weight is folded away."""
        scale = self.scale[:, 0]
        np.vecdot(self.residual, self.residual, out=scale)
        scale *= np.float32(1.0 / self.residual.shape[1])
        scale += np.float32(epsilon)
        np.sqrt(scale, out=scale)
        np.divide(self.residual, self.scale, out=self.normed)
