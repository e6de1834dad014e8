"""Checkpoints of mini-K2: ordinary Qwen2 checkpoints with their tokenizer."""

from dataclasses import replace
from pathlib import Path

import torch

from k2repro.architecture import ModelConfig, Qwen2, load_pretrained, save_pretrained
from k2repro.errors import K2ReproError
from k2repro.mini import tokenizer
from k2repro.mini.problem import item_seed


def new_model(config: ModelConfig, seed: int, layers: int) -> Qwen2:
    """A model of `config` with `layers` layers and fresh weights; the seed is hashed first."""
    generator = torch.Generator().manual_seed(item_seed("weights", seed) % 2**63)
    return Qwen2(replace(config, num_hidden_layers=layers), generator=generator)


def serving_defaults() -> dict[str, object]:
    """What generation_config.json has to say so that a server runs the model that was trained.

    Without `do_sample` transformers decodes greedily whatever temperature is asked for; without `top_k` it
    draws from the 50 likeliest tokens only; without an end token it writes on after the answer.
    """
    return {"do_sample": True, "eos_token_id": tokenizer.turn_end(), "top_k": 0}


def save_checkpoint(model: Qwen2, folder: Path) -> None:
    """Write an ordinary Qwen2 checkpoint with its tokenizer, in bfloat16 as the real one is released.

    What is published is what everybody evaluates: load it with `load_checkpoint` and go on from there.
    """
    save_pretrained(model, folder, dtype=torch.bfloat16, generation_config=serving_defaults())
    tokenizer.save_tokenizer(folder)


def load_checkpoint(folder: Path) -> Qwen2:
    """A checkpoint in 32 bit, ready for sampling or further training.

    Raises K2ReproError when its vocabulary is smaller than the tokenizer's.
    """
    model = load_pretrained(folder, dtype=torch.float32)
    if model.config.vocab_size < tokenizer.vocabulary_size():
        raise K2ReproError(
            f"{folder}: the model knows {model.config.vocab_size} tokens, the tokenizer "
            f"{tokenizer.vocabulary_size()}: must not be fewer; usual cause: another tokenizer's checkpoint"
        )
    return model.eval()


def save_snapshot(model: Qwen2, folder: Path) -> None:
    """Write the weights as they are in training, in 32 bit: whatever is asked of them later has its bits.

    A run that was killed behind its last saved state comes by the same step again and writes the same file.
    """
    save_pretrained(model, folder, dtype=torch.float32, overwrite=True)


def load_snapshot(folder: Path) -> Qwen2:
    """A model as it was at a step of its training."""
    return load_pretrained(folder, dtype=torch.float32).eval()
