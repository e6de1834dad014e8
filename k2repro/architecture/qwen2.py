"""The Qwen2 decoder, readable from top to bottom: what K2-Think computes for every token.

Paper: K2-Think is Qwen2.5-32B; the architecture is Qwen2's (arXiv 2407.10671, 2412.15115). Module names
follow the Hugging Face layout, so a checkpoint loads by name. Differs from transformers: one file, one
attention path, no dropout, and padding is described by slots (see `kv_cache.py`).

Shapes: B sequences, T new tokens, S tokens attended to, H query heads, K key and value heads, D head_dim.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from k2repro.architecture.config import ModelConfig
from k2repro.architecture.kv_cache import KVCache, compact_slots
from k2repro.architecture.rotary import rope_frequencies
from k2repro.errors import K2ReproError


@dataclass(frozen=True)
class Layout:
    """Where the new tokens of a pass stand and what each may attend to; the same for every layer.

    slots: int64 [B, T], place in the KV cache. cosine, sine: [B or 1, 1, T, D].
    visible: bool [B, 1, T, S], True where attention is allowed; None means everything, or, with
    `causal`, everything up to the token itself among the new tokens.
    """

    slots: Tensor
    cosine: Tensor
    sine: Tensor
    visible: Tensor | None
    causal: bool


class RMSNorm(nn.Module):
    """Scale each vector to root mean square 1, then by a learned weight [hidden]."""

    def __init__(self, hidden_size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.epsilon = epsilon

    def forward(self, hidden: Tensor) -> Tensor:
        # In 32 bit even for 16-bit weights: squares overflow or vanish otherwise.
        wide = hidden.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.epsilon)
        return self.weight * scaled.to(hidden.dtype)


def rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn each pair (i, i + D/2) of `heads` [B, heads, T, D] by the angle of its position (RoPE).

    Hugging Face checkpoints pair dimension i with i + D/2; the paper pairs neighbours. Mixing the two up
    leaves shapes right and answers wrong.
    """
    first, second = heads.chunk(2, dim=-1)
    return heads * cosine + torch.cat((-second, first), dim=-1) * sine


class Attention(nn.Module):
    """Grouped-query attention: H query heads share K key and value heads; bias on q, k and v only, if any."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, config.head_dim
        self.grouped = config.query_heads_per_kv_head > 1
        queries = config.num_attention_heads * config.head_dim
        keys = config.num_key_value_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden_size, queries, bias=config.attention_bias)
        self.k_proj = nn.Linear(config.hidden_size, keys, bias=config.attention_bias)
        self.v_proj = nn.Linear(config.hidden_size, keys, bias=config.attention_bias)
        self.o_proj = nn.Linear(queries, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor, layout: Layout, cache: KVCache | None) -> Tensor:
        query = rotate(self._split(self.q_proj(hidden)), layout.cosine, layout.sine)
        key = rotate(self._split(self.k_proj(hidden)), layout.cosine, layout.sine)
        value = self._split(self.v_proj(hidden))
        if cache is not None:
            key, value = cache.write(self.layer, layout.slots, key, value)
        # Query head h reads key head h // (H / K): neighbours share, as in the checkpoints.
        mixed = F.scaled_dot_product_attention(
            query, key, value, layout.visible, is_causal=layout.causal, enable_gqa=self.grouped
        )
        return self.o_proj(mixed.transpose(1, 2).flatten(2))

    def _split(self, flat: Tensor) -> Tensor:
        """[B, T, heads * D] -> [B, heads, T, D]."""
        return flat.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x)); most of the parameters live here."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(hidden)) * self.up_proj(hidden))


class DecoderLayer(nn.Module):
    """Attention, then feed-forward; each reads a normed copy and adds to the residual stream."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = FeedForward(config)

    def forward(self, hidden: Tensor, layout: Layout, cache: KVCache | None) -> Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), layout, cache)
        return hidden + self.mlp(self.post_attention_layernorm(hidden))


class Decoder(nn.Module):
    """Token embedding, the layers and the last norm; called `model` in Hugging Face checkpoints."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, tokens: Tensor, layout: Layout, cache: KVCache | None) -> Tensor:
        hidden = self.embed_tokens(tokens)
        for layer in self.layers:
            hidden = layer(hidden, layout, cache)
        return self.norm(hidden)


class Qwen2(nn.Module):
    """A Qwen2 language model: tokens in, logits over the next token out.

    config: its shape. generator: source of the initial weights (default: a new one with seed 0, so
    the global random state is neither read nor changed). With `device="meta"` nothing is allocated.
    """

    def __init__(
        self,
        config: ModelConfig,
        *,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.config = config
        # Built without memory first: torch's own initialisation would draw from the global state.
        with torch.device("meta"):
            self.model = Decoder(config)
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.to_empty(device=device).to(dtype)
        if torch.device(device).type != "meta":
            init_weights(self, generator or torch.Generator(device=device).manual_seed(0))

    def tie_head(self) -> None:
        """Let head and embedding share one matrix, if the config says so."""
        if self.config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Qwen2":
        """Follow `.to(...)`: the shared matrix stays shared, the frequencies stay in 32 bit.

        In bfloat16 a frequency has 8 significant bits, and position 1000 would be off by whole turns.
        """
        super()._apply(fn, recurse)
        self.tie_head()
        with torch.device("cpu"):
            frequencies, self.magnitude = rope_frequencies(self.config)
        self.frequencies = frequencies.to(self.lm_head.weight.device)
        return self

    def forward(
        self,
        tokens: Tensor,
        *,
        cache: KVCache | None = None,
        attention_mask: Tensor | None = None,
        positions: Tensor | None = None,
        segments: Tensor | None = None,
        logits_at: Tensor | None = None,
    ) -> Tensor:
        """Logits [B, T, vocabulary] for `tokens`, int64 [B, T].

        cache: keys and values of the tokens before; extended by this pass, which then has no gradient.
        attention_mask: [B, T], non-zero for real tokens, zero for padding on either side.
        positions: int64 [B, T] for the rotary embedding; by default each row counts its real tokens.
        segments: int64 [B, T] for packed training rows: neighbours with the same number form one text,
            which sees only itself and whose positions start at 0. Excludes cache and attention_mask.
        logits_at: int64 [B, N] token indices; then only those logits are computed, [B, N, vocabulary].
        Raises K2ReproError for shapes or combinations that do not fit.
        """
        _check_inputs(tokens, cache, attention_mask, segments)
        real = None if attention_mask is None else attention_mask.to(torch.bool)
        with torch.set_grad_enabled(torch.is_grad_enabled() and cache is None):
            layout = self._layout(tokens, cache, real, positions, segments)
            hidden = self.model(tokens, layout, cache)
            if cache is not None:
                cache.advance(tokens.shape[1], real)
            if logits_at is not None:
                hidden = torch.take_along_dim(hidden, logits_at[..., None], dim=1)
            return self.lm_head(hidden)

    def _layout(
        self,
        tokens: Tensor,
        cache: KVCache | None,
        real: Tensor | None,
        positions: Tensor | None,
        segments: Tensor | None,
    ) -> Layout:
        batch, new = tokens.shape
        if cache is None:
            slots = compact_slots(batch, new, real, tokens.device)
        else:
            slots = cache.slots_for(new, real)
            # From here on rows may differ; only the device knows whether they do.
            cache.uniform = cache.uniform and real is None
        visible: Tensor | None
        if segments is not None:
            visible, places = _packed(segments)
            causal = False
        else:
            visible, causal = _visible(slots, cache, real)
            alike = real is None and (cache is None or cache.uniform)
            places = slots[:1] if alike else slots
        cosine, sine = self._angles(places if positions is None else positions)
        return Layout(slots, cosine, sine, visible, causal)

    def _angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine [B, 1, T, D] of position times frequency, computed in 32 bit."""
        angles = positions[:, None, :, None].float() * self.frequencies
        angles = torch.cat((angles, angles), dim=-1)
        dtype = self.model.embed_tokens.weight.dtype
        return (angles.cos() * self.magnitude).to(dtype), (angles.sin() * self.magnitude).to(dtype)


def _visible(slots: Tensor, cache: KVCache | None, real: Tensor | None) -> tuple[Tensor | None, bool]:
    """`(visible, causal)` of a Layout: a token sees every slot up to its own."""
    new = slots.shape[1]
    if cache is None:
        if real is None:
            return None, new > 1
        return (slots[:, None, :] <= slots[:, :, None])[:, None], False
    if cache.uniform and new == 1:
        return None, False
    if cache.uniform and cache.longest == 0:
        return None, True
    places = torch.arange(cache.longest + new, device=slots.device)
    return (places <= slots[:, :, None])[:, None], False


def _packed(segments: Tensor) -> tuple[Tensor, Tensor]:
    """`(visible, positions)` of packed rows: causal inside each run of equal numbers."""
    index = torch.arange(segments.shape[1], device=segments.device)
    begins = torch.ones_like(segments, dtype=torch.bool)
    begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
    run = begins.cumsum(1)
    visible = (run[:, :, None] == run[:, None, :]) & (index[:, None] >= index)
    starts = torch.where(begins, index, 0).cummax(1).values
    return visible[:, None], index - starts


def _check_inputs(
    tokens: Tensor, cache: KVCache | None, attention_mask: Tensor | None, segments: Tensor | None
) -> None:
    if tokens.dim() != 2 or tokens.shape[1] == 0:
        raise K2ReproError(f"tokens have shape {tuple(tokens.shape)}: must be [batch, tokens], tokens >= 1")
    for name, value in (("attention_mask", attention_mask), ("segments", segments)):
        if value is not None and value.shape != tokens.shape:
            raise K2ReproError(
                f"{name} has shape {tuple(value.shape)}, tokens {tuple(tokens.shape)}: must be equal. "
                "The mask covers the new tokens only; the cache remembers the padding before"
            )
    if cache is not None and cache.batch_size != tokens.shape[0]:
        raise K2ReproError(f"the cache has {cache.batch_size} rows, tokens {tokens.shape[0]}: must be equal")
    if segments is not None and (cache is not None or attention_mask is not None):
        raise K2ReproError("segments go with neither cache nor attention_mask: padding is a segment too")


@torch.no_grad()
def init_weights(model: Qwen2, generator: torch.Generator) -> None:
    """Draw fresh weights: matrices normal with `initializer_range`, biases 0, norms 1 (as released Qwen2).

    The order of drawing is that of `named_parameters`, so one seed gives one model.
    """
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            parameter.fill_(1.0)
        elif name.endswith(".bias"):
            parameter.zero_()
        else:
            parameter.normal_(0.0, model.config.initializer_range, generator=generator)
