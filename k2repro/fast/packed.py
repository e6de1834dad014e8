"""The decoder on packed rows with a gradient, in few and large operations: what makes training fast.

The same mathematics as `architecture/qwen2.py`, with the way back written out. Three things are gained.
Padding and unasked answers are not computed, and shared prefixes once if wished (`spans.py`). Attention stays
inside each text (`packed_attention.py`). Matrix products are few and go to the faster library.
Nothing here knows about a loss: fine-tuning and reinforcement learning both start from the logits.

Shapes: N tokens read, M asked, A answered; H query heads, K key and value heads, D head_dim.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from k2repro.architecture import ModelConfig, Qwen2
from k2repro.fast.folding import Folding, Gradients
from k2repro.fast.packed_layer import LayerQueries, Norm, PackedLayer, Rotation
from k2repro.fast.products import outer, product
from k2repro.fast.spans import PackedTexts, plan_reading

EMBEDDING, NORM, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"


def fits_fused(model: Qwen2) -> bool:
    """Whether `packed_logits` applies: 32-bit weights on the CPU."""
    return all(p.dtype == torch.float32 and p.device.type == "cpu" for p in model.parameters())


def packed_logits(
    model: Qwen2,
    tokens: Tensor,
    segments: Tensor,
    at: Tensor,
    *,
    share_prefixes: bool = False,
    positions: Tensor | None = None,
) -> Tensor:
    """Logits [A, vocabulary] of packed rows at the places `at`, with a gradient.

    tokens, segments: int64 [rows, length], as `Qwen2.forward` takes them. at: int64 [A], flat indices
    (row * length + column) of the positions whose next token is wanted, in any order. share_prefixes: read
    what a text has in common with the one before it once for both; logits and gradients stay the same.
    positions: int64 [rows, length] for the rotary embedding; by default each text counts its tokens.
    Raises K2ReproError for shapes that do not fit and an empty `at`.
    """
    reading = plan_reading(tokens, segments, at, share_prefixes=share_prefixes, positions=positions)
    angles = reading.positions[:, None].float() * model.frequencies
    turns = torch.polar(torch.full_like(angles, model.magnitude), angles)
    names, parameters = zip(*model.named_parameters(), strict=True)
    return _PackedLogits.apply(reading, turns, model.config, names, *parameters)


@dataclass
class _Pass:
    """What the way back of one pass needs."""

    reading: PackedTexts
    foldings: list[Folding]
    layers: list[PackedLayer]
    norm: Norm
    head: Tensor


class _PackedLogits(torch.autograd.Function):
    """reading, turns, config, names of the parameters, parameters -> logits [A, vocabulary]."""

    @staticmethod
    def forward(
        ctx: Any,
        reading: PackedTexts,
        turns: Tensor,
        config: ModelConfig,
        names: Sequence[str],
        *parameters: Tensor,
    ) -> Tensor:
        weights = dict(zip(names, parameters, strict=True))
        foldings = [Folding(config, _of_layer(weights, layer)) for layer in range(config.num_hidden_layers)]
        layers = _layers(config, foldings, reading, turns)
        hidden = weights[EMBEDDING].index_select(0, reading.tokens)
        for layer in layers:
            hidden = layer.forward(hidden)
        norm = Norm(hidden, config.rms_norm_eps)
        head = weights.get(HEAD, weights[EMBEDDING]) * weights[NORM]
        ctx.done = _Pass(reading, foldings, layers, norm, head)
        ctx.names, ctx.weights = names, weights
        return product(norm.out, head).index_select(0, reading.answers)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, logits: Tensor) -> tuple[Tensor | None, ...]:
        done, weights = ctx.done, ctx.weights
        ctx.done = ctx.weights = None
        reading, out = done.reading, done.norm.out
        answers = logits.new_zeros(len(out), logits.shape[1]).index_add_(0, reading.answers, logits)
        head = outer(answers, out)
        head_name = HEAD if HEAD in weights else EMBEDDING
        found: Gradients = {NORM: torch.linalg.vecdot(head, weights[head_name], dim=0)}
        head.mul_(weights[NORM])
        hidden = done.norm.backward(product(answers, done.head.t()), torch.zeros_like(out))
        for index in reversed(range(len(done.layers))):
            hidden, folded = done.layers[index].backward(hidden)
            unfolded = done.foldings[index].unfold(folded)
            found.update({f"model.layers.{index}.{name}": value for name, value in unfolded.items()})
        found[EMBEDDING] = torch.zeros_like(weights[EMBEDDING])
        found[EMBEDDING].index_add_(0, reading.tokens, hidden)
        found[head_name] = found[head_name].add_(head) if head_name in found else head
        return (None, None, None, None, *(found[name] for name in ctx.names))


def _layers(
    config: ModelConfig, foldings: Sequence[Folding], reading: PackedTexts, turns: Tensor
) -> list[PackedLayer]:
    """All layers; what they share (who sees what, the rotation) is made once."""
    width = config.num_attention_heads * config.head_dim
    rotation = Rotation(turns, width)
    whole = LayerQueries(reading.queries, rotation)
    asked = LayerQueries(reading.last_queries, Rotation(turns[reading.asked], width))
    last = foldings[-1]
    return [
        PackedLayer(config, f.fold(), reading, rotation, asked if f is last else whole, last=f is last)
        for f in foldings
    ]


def _of_layer(weights: Gradients, layer: int) -> Gradients:
    """The parameters of one layer, by their names inside it."""
    prefix = f"model.layers.{layer}."
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
