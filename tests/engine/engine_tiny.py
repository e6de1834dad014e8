"""Tiny decoders with sharp, random weights for the tests of the engine, and a toy tokenizer."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from k2repro.architecture import ModelConfig, RopeScaling
from k2repro.architecture.qwen2 import Qwen2

VOCABULARY = 61


def config(*, groups: int = 2, **changes: object) -> ModelConfig:
    """Two layers, two KV heads of 8 dimensions with `groups` query heads each, a context of 96 tokens."""
    values: dict[str, object] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 2,
        "num_attention_heads": 2 * groups,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 96,
        **changes,
    }
    return ModelConfig(**values)  # type: ignore[arg-type]


def model(shape: ModelConfig, seed: int = 0, scale: float = 0.3) -> Qwen2:
    """Every weight random, biases and norms too; large enough that no token ever ties with another."""
    generator = torch.Generator().manual_seed(seed)
    made = Qwen2(shape, generator=generator).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if name.endswith("norm.weight"):
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:
                parameter.normal_(0.0, scale, generator=generator)
    return made


def prompts(lengths: list[int], seed: int = 1) -> list[list[int]]:
    """Random prompts of the given lengths."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(VOCABULARY, (n,), generator=generator).tolist() for n in lengths]


def greedy_reference(made: Qwen2, prompt: list[int], steps: int) -> list[int]:
    """What `transformers.generate` says, greedily."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    theirs = Qwen2ForCausalLM(Qwen2Config.from_dict(made.config.to_dict()))
    theirs.load_state_dict(made.state_dict())
    tokens = torch.tensor([prompt])
    # The mask is stated: generate would take the padding token inside a prompt for padding.
    found = theirs.eval().generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        do_sample=False,
        max_new_tokens=steps,
        min_new_tokens=steps,
        pad_token_id=0,
    )
    return found[0, len(prompt) :].tolist()


def tokenizer(size: int = VOCABULARY) -> Tokenizer:
    """Byte-level tokens: single characters, and pairs that let a stop string span tokens."""
    alphabet = ["<", "/", "a", ">", "</", "a>", "x</", "\u00c3", "\u00a9", "b"]
    vocabulary = {token: index for index, token in enumerate(alphabet)}
    for index in range(len(alphabet), size):
        vocabulary[chr(0x4E00 + index)] = index
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    return made


YARN = RopeScaling(kind="yarn", factor=4.0, original_max_position_embeddings=24)
LINEAR = RopeScaling(kind="linear", factor=2.0)
