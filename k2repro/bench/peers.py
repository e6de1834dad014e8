"""What several benches need of the peers: a small decoder, its twin, a trainer that is timed step by step."""

from collections.abc import Callable
from typing import Any

from k2repro.architecture.config import ModelConfig

# mini-K2's shape, 0.8M parameters.
MINI = ModelConfig(
    vocab_size=384,
    hidden_size=128,
    intermediate_size=384,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    tie_word_embeddings=True,
)
# Nothing of TRL's trainers is written, logged or computed in another precision while they are timed.
QUIET: dict[str, Any] = {
    "lr_scheduler_type": "constant",
    "use_cpu": True,
    "bf16": False,
    "report_to": [],
    "save_strategy": "no",
    "logging_strategy": "no",
    "disable_tqdm": True,
}


def pair_of(config: ModelConfig) -> tuple[Any, Any]:
    """Our model and transformers' with the same weights, both ready for inference."""
    import torch

    from k2repro.architecture.parity import transformers_twin
    from k2repro.architecture.qwen2 import Qwen2

    ours = Qwen2(config, generator=torch.Generator().manual_seed(0)).eval()
    return ours, transformers_twin(ours)


def train_in_steps(trainer: Any, begin: Callable[[], None], end: Callable[[], None]) -> None:
    """Run a trainer of transformers or TRL with `begin` before and `end` after each of its steps."""
    import transformers

    class Turns(transformers.TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            begin()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            end()

    # It would print a summary between our records.
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.add_callback(Turns())
    trainer.train()
