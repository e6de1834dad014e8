"""Names and shapes of the tensors of a Qwen2 checkpoint, and what is wrong with a given set.

Needs no torch: a checkpoint is judged by its headers before a single weight is read.
"""

from collections.abc import Iterable, Mapping

from k2repro.architecture.config import ModelConfig
from k2repro.errors import K2ReproError

Shape = tuple[int, ...]
# Old checkpoints carry the rotary frequencies, which follow from the config.
IGNORED_SUFFIX = "rotary_emb.inv_freq"
HEAD = "lm_head.weight"
EMBEDDING = "model.embed_tokens.weight"


def expected_shapes(config: ModelConfig) -> dict[str, Shape]:
    """`{name: shape}` in the Hugging Face layout; a tied head has no tensor of its own."""
    hidden = config.hidden_size
    shapes: dict[str, Shape] = {EMBEDDING: (config.vocab_size, hidden)}
    for layer in range(config.num_hidden_layers):
        for name, shape in layer_shapes(config).items():
            shapes[f"model.layers.{layer}.{name}"] = shape
    shapes["model.norm.weight"] = (hidden,)
    if not config.tie_word_embeddings:
        shapes[HEAD] = (config.vocab_size, hidden)
    return shapes


def check_shapes(config: ModelConfig, found: Mapping[str, Shape], place: str) -> None:
    """Refuse missing, surplus and wrongly shaped tensors, naming them; raises K2ReproError."""
    expected = expected_shapes(config)
    surplus = [
        name
        for name in found
        if name not in expected
        and not name.endswith(IGNORED_SUFFIX)
        and not (name == HEAD and config.tie_word_embeddings)
    ]
    missing = [name for name in expected if name not in found]
    wrong = [
        f"{name} {list(found[name])} instead of {list(shape)}"
        for name, shape in expected.items()
        if name in found and tuple(found[name]) != shape
    ]
    problems = [
        f"{kind}: {_some(names)}"
        for kind, names in (("missing", missing), ("not in a Qwen2", surplus), ("wrong shape", wrong))
        if names
    ]
    if problems:
        raise K2ReproError(
            f"the tensors in {place} do not fit its config.json; {'; '.join(problems)}. "
            f"Usual cause: {_cause(found)}"
        )


_PREFIXES = {
    "_orig_mod.": "a model saved from inside torch.compile; save model._orig_mod, or strip the prefix",
    "module.": "a model saved from inside DataParallel or DistributedDataParallel; save model.module",
    "base_model.model.": "a LoRA adapter or a PEFT model; merge it into its base model first",
    "language_model.": "the language part of a model that also sees; extract it first",
    "layers.": "a base model saved without its head (Qwen2Model); save Qwen2ForCausalLM",
}


def _cause(found: Mapping[str, Shape]) -> str:
    """Why names or shapes do not fit, as far as the names tell."""
    if any(".lora_A." in name or ".lora_B." in name for name in found):
        return _PREFIXES["base_model.model."]
    for prefix, cause in _PREFIXES.items():
        if any(name.startswith(prefix) for name in found):
            return f"names begin with {prefix!r}: {cause}"
    return "config and weights of two different models"


def layer_shapes(config: ModelConfig) -> dict[str, Shape]:
    """`{name: shape}` of one decoder layer, matrices as (output rows, input columns)."""
    hidden, wide = config.hidden_size, config.intermediate_size
    query = config.num_attention_heads * config.head_dim
    key_value = config.num_key_value_heads * config.head_dim
    shapes: dict[str, Shape] = {
        "input_layernorm.weight": (hidden,),
        "self_attn.q_proj.weight": (query, hidden),
        "self_attn.q_proj.bias": (query,),
        "self_attn.k_proj.weight": (key_value, hidden),
        "self_attn.k_proj.bias": (key_value,),
        "self_attn.v_proj.weight": (key_value, hidden),
        "self_attn.v_proj.bias": (key_value,),
        "self_attn.o_proj.weight": (hidden, query),
        "post_attention_layernorm.weight": (hidden,),
        "mlp.gate_proj.weight": (wide, hidden),
        "mlp.up_proj.weight": (wide, hidden),
        "mlp.down_proj.weight": (hidden, wide),
    }
    return {
        name: shape for name, shape in shapes.items() if config.attention_bias or not name.endswith(".bias")
    }


def _some(names: Iterable[str]) -> str:
    """The first five names and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return ", ".join(listed[:5]) + more
