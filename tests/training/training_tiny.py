"""A model and batches that train in milliseconds."""

import torch

from k2repro.architecture import ModelConfig, Qwen2
from k2repro.training.packing import Batch, Example, pack

CONFIG = ModelConfig(
    vocab_size=17,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    tie_word_embeddings=True,
)


def tiny_model(seed: int = 0, layers: int = 2) -> Qwen2:
    from dataclasses import replace

    config = replace(CONFIG, num_hidden_layers=layers, initializer_range=0.3)
    return Qwen2(config, generator=torch.Generator().manual_seed(seed))


class CountingStream:
    """Batches that follow from a counter; `fail_at` returns a target that makes the loss NaN."""

    def __init__(self, rows: int = 2, length: int = 12) -> None:
        self.rows, self.length, self.at = rows, length, 0

    def next_batch(self) -> Batch:
        generator = torch.Generator().manual_seed(self.at)
        self.at += 1
        examples = [
            Example(text[:3], text[3:])
            for text in torch.randint(1, 17, (2 * self.rows, 6), generator=generator).tolist()
        ]
        return pack(examples, self.length, rows=self.rows)[0]

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.at = state["at"]
