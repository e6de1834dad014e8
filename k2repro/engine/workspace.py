"""Buffers of a decoding pass, allocated once; every array is also a tensor over the same memory."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..architecture.config import ModelConfig


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


class Workspace:
    """What `rows` tokens need at once on their way through a layer; float32 [rows, width] each.

    residual: the residual stream. normed: its normed copy. qkv: queries, keys and values; `pairs` views
    queries and keys as complex rotary pairs [rows, H + K, D / 2], `angles` [rows, 1, D / 2] turns them.
    mixed: attention's output. gate_up, with `up` as its second half; product: silu(gate) * up.
    """

    def __init__(self, config: ModelConfig, rows: int) -> None:
        heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.config = config
        self.residual = np.zeros((rows, config.hidden_size), np.float32)
        self.normed = np.zeros((rows, config.hidden_size), np.float32)
        self.qkv = np.zeros((rows, (heads + 2 * kv_heads) * config.head_dim), np.float32)
        self.mixed = np.zeros((rows, heads * config.head_dim), np.float32)
        self.gate_up = np.zeros((rows, 2 * config.intermediate_size), np.float32)
        self.product = np.zeros((rows, config.intermediate_size), np.float32)
        self.angles = np.zeros((rows, 1, config.head_dim // 2), np.complex64)
        self.scale = np.zeros((rows, 1), np.float32)
        self._make_views()

    def first(self, rows: int) -> "Workspace":
        """The first `rows` rows of every buffer, as views."""
        part = object.__new__(Workspace)
        part.config = self.config
        for name in ("residual", "normed", "qkv", "mixed", "gate_up", "product", "angles", "scale"):
            setattr(part, name, getattr(self, name)[:rows])
        part._make_views()
        return part

    def _make_views(self) -> None:
        config = self.config
        rotated = (config.num_attention_heads + config.num_key_value_heads) * config.head_dim
        self.pairs = self.qkv[:, :rotated].view(np.complex64).reshape(len(self.qkv), -1, config.head_dim // 2)
        self.up = self.gate_up[:, config.intermediate_size :]
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

    def heads(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """`(query, key, value, mixed)` of the first `count` rows.

        query, mixed: [count, K, G, D]; key, value: [count, K, D]; all are views.
        """
        config = self.config
        kv_heads, dim = config.num_key_value_heads, config.head_dim
        groups = config.query_heads_per_kv_head
        queries = config.num_attention_heads * dim
        qkv = self.qkv[:count]
        return (
            qkv[:, :queries].reshape(count, kv_heads, groups, dim),
            qkv[:, queries : queries + kv_heads * dim].reshape(count, kv_heads, dim),
            qkv[:, queries + kv_heads * dim :].reshape(count, kv_heads, dim),
            self.mixed[:count].reshape(count, kv_heads, groups, dim),
        )

    def norm(self, epsilon: float) -> None:
        """normed = residual / sqrt(mean(residual^2) + epsilon), row by row; the weight is folded away."""
        scale = self.scale[:, 0]
        np.vecdot(self.residual, self.residual, out=scale)
        np.multiply(scale, np.float32(1.0 / self.residual.shape[1]), out=scale)
        np.add(scale, np.float32(epsilon), out=scale)
        np.sqrt(scale, out=scale)
        np.divide(self.residual, self.scale, out=self.normed)
