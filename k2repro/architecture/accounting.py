"""What a Qwen2 decoder costs, computed from its config alone: parameters, KV cache, forward FLOPs.

Paper: "32 billion parameters"; the exact number is a sum of products of the config's sizes.
Nothing is built and no torch is imported. All results are exact integers.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from k2repro.architecture.checks import natural_int, positive_int
from k2repro.architecture.config import ModelConfig
from k2repro.errors import K2ReproError

PARAMETER_COMPONENTS = (
    "embedding",
    "attention_query",
    "attention_key",
    "attention_value",
    "attention_output",
    "mlp_gate",
    "mlp_up",
    "mlp_down",
    "norms",
    "head",
)
FLOP_COMPONENTS = ("attention_qkv", "attention_scores", "attention_values", "attention_output", "mlp", "head")


@dataclass(frozen=True)
class ParameterCount:
    """Exact parameter counts. Query, key and value include their biases; a tied head counts 0."""

    by_component: Mapping[str, int]

    @property
    def total(self) -> int:
        """All parameters; a matrix shared by embedding and head counts once."""
        return sum(self.by_component.values())

    @property
    def non_embedding(self) -> int:
        """All parameters but the token embedding and the head."""
        return self.total - self.by_component["embedding"] - self.by_component["head"]

    @property
    def read_per_token(self) -> int:
        """Parameters that decoding one token must read: all but the embedding, whose one row is read.

        With a tied head the shared matrix is read as the head.
        """
        if self.by_component["head"]:
            return self.total - self.by_component["embedding"]
        return self.total


@dataclass(frozen=True)
class ForwardFlops:
    """FLOPs of one forward pass, one multiply-add counted as 2, by component."""

    by_component: Mapping[str, int]

    @property
    def total(self) -> int:
        """Sum over the components."""
        return sum(self.by_component.values())

    @property
    def attention_share(self) -> float:
        """Share of the two products whose cost grows with the context: scores and values."""
        grows = self.by_component["attention_scores"] + self.by_component["attention_values"]
        return grows / self.total


def count_parameters(config: ModelConfig) -> ParameterCount:
    """Exact number of parameters by component, without building the model.

    >>> count_parameters(ModelConfig.preset("k2-think")).total
    32763876352
    """
    hidden, layers = config.hidden_size, config.num_hidden_layers
    query = config.num_attention_heads * config.head_dim
    key_value = config.num_key_value_heads * config.head_dim
    biased = int(config.attention_bias)
    vocabulary = config.vocab_size * hidden
    feed_forward = layers * hidden * config.intermediate_size
    counts = (
        vocabulary,
        layers * (hidden + biased) * query,
        layers * (hidden + biased) * key_value,
        layers * (hidden + biased) * key_value,
        layers * query * hidden,
        feed_forward,
        feed_forward,
        feed_forward,
        # Two norms in each layer and one before the head.
        (2 * layers + 1) * hidden,
        0 if config.tie_word_embeddings else vocabulary,
    )
    return ParameterCount(dict(zip(PARAMETER_COMPONENTS, counts, strict=True)))


def kv_cache_bytes(
    config: ModelConfig, context_length: int, batch_size: int = 1, bytes_per_value: float = 2
) -> int:
    """Bytes of keys and values for `context_length` tokens of `batch_size` sequences.

    Two values (key, value) x layers x KV heads x head_dim a token. `bytes_per_value` may be a
    fraction for quantised caches; the result is rounded up. Raises K2ReproError.

    >>> kv_cache_bytes(ModelConfig.preset("k2-think"), context_length=1)
    262144
    """
    natural_int("context_length", context_length)
    natural_int("batch_size", batch_size)
    if not (isinstance(bytes_per_value, (int, float)) and 0 < bytes_per_value < math.inf):
        raise K2ReproError(f"bytes_per_value = {bytes_per_value!r}: must be a number above 0")
    values = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    return math.ceil(values * context_length * batch_size * bytes_per_value)


def forward_flops(
    config: ModelConfig,
    new_tokens: int,
    context_length: int | None = None,
    batch_size: int = 1,
    *,
    attention: str = "dense",
    logit_positions: int | None = None,
) -> ForwardFlops:
    """FLOPs of a forward pass over `new_tokens` tokens a sequence, by component.

    context_length: tokens attended to at the end of the pass, cached and new together
        (default: new_tokens, a prefill from nothing). Decoding at context C is `new_tokens=1`.
    attention: "dense" counts every query-key pair, as a kernel with a mask multiplies them;
        "causal" counts only the pairs that a causal mask keeps.
    logit_positions: positions a sequence for which the head runs (default: all new tokens).

    Convention: matrix products only, one multiply-add = 2 FLOPs. Biases, norms, rotary embedding,
    softmax and SiLU are left out. Raises K2ReproError.
    """
    new = positive_int("new_tokens", new_tokens)
    batch = positive_int("batch_size", batch_size)
    context = new if context_length is None else positive_int("context_length", context_length)
    heads_at = new if logit_positions is None else natural_int("logit_positions", logit_positions)
    if context < new or heads_at > new:
        raise K2ReproError(
            f"new_tokens = {new}, context_length = {context}, logit_positions = {heads_at}: the "
            "context includes the new tokens, and logits exist only for new tokens"
        )
    query = config.num_attention_heads * config.head_dim
    key_value = config.num_key_value_heads * config.head_dim
    tokens = 2 * batch * new * config.num_hidden_layers
    pairs = 2 * batch * _attended_pairs(new, context, attention) * config.num_hidden_layers
    counts = (
        tokens * config.hidden_size * (query + 2 * key_value),
        # Sharing KV heads saves memory, not arithmetic: every query head still meets every key.
        pairs * query,
        pairs * query,
        tokens * query * config.hidden_size,
        tokens * 3 * config.hidden_size * config.intermediate_size,
        2 * batch * heads_at * config.hidden_size * config.vocab_size,
    )
    return ForwardFlops(dict(zip(FLOP_COMPONENTS, counts, strict=True)))


def prefill_flops(config: ModelConfig, prompt_tokens: int, batch_size: int = 1) -> ForwardFlops:
    """FLOPs to read a prompt and predict one next token: causal attention, head at the end only."""
    return forward_flops(config, prompt_tokens, batch_size=batch_size, attention="causal", logit_positions=1)


def decode_flops(config: ModelConfig, context_length: int, batch_size: int = 1) -> ForwardFlops:
    """FLOPs to decode one token that attends to `context_length` tokens, itself included."""
    return forward_flops(config, 1, context_length, batch_size)


def _attended_pairs(new: int, context: int, attention: str) -> int:
    """Query-key pairs of one sequence and one head."""
    if attention == "dense":
        return new * context
    if attention == "causal":
        # The i-th new token (from 1) attends to the cached tokens and i new ones.
        return new * (context - new) + new * (new + 1) // 2
    raise K2ReproError(f"attention = {attention!r}: must be 'dense' or 'causal'")
