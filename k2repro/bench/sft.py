"""A fine-tuning step against TRL's SFTTrainer: same weights, texts, loss, AdamW; step by step in turns.

The texts are mini-K2's own, a fixed number in each step; the loss is the mean over response tokens. TRL runs
twice: "padded", its default, and "padding-free", all texts in one row and apart from each other. Ours packs
them. Batches are made outside the timing on both sides. Gradient clipping and checkpointing are off in
TRL, and nothing is logged: all of that helps TRL. TRL also computes entropy and token accuracy, always.
`losses_differ` shows that both did the same work. Where our time goes: `sft_shares`.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from k2repro.bench.peers import QUIET, train_in_steps
from k2repro.bench.timing import ratio_of_medians
from k2repro.training.packing import Example

ROW_TOKENS = 288
TEXTS = 9
RATE = 1e-3
LAYOUTS = ("padded", "padding-free")
END = "<|im_end|>"


@dataclass
class Turns:
    """Seconds and loss of every step of one side."""

    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def add(self, seconds: float, loss: float) -> None:
        self.seconds.append(seconds)
        self.losses.append(loss)


def bench_sft(
    *, repeats: int = 12, texts: int = TEXTS, layouts: Sequence[str] = LAYOUTS
) -> list[dict[str, object]]:
    """Tokens a second of our steps over those of TRL, a record for each layout of TRL's batches.

    repeats: timed steps of each side, alternating, after two warm-ups. texts: texts of a step. Both sides see
    the same tokens, so ratios of times are ratios of tokens a second; above 1 means ours is faster.
    Record: bench, layout, ratio (of medians), slowest (the worst pair), losses_differ (largest relative
    difference), texts, repeats, threads, peer, and `step_shares`. Needs torch, transformers, datasets, trl.
    """
    import torch
    import trl

    from k2repro.bench.sft_shares import step_shares
    from k2repro.lab.sft_recipe import MODEL

    steps = draw_steps(repeats + 2, texts)
    records: list[dict[str, object]] = []
    for layout in layouts:
        ours = Ours(MODEL, steps)
        theirs = train_theirs(ours.model, steps, layout, between=ours.step)
        pairs = list(zip(ours.turns.seconds[2:], theirs.seconds[2:], strict=True))
        records.append(
            {
                "bench": "sft",
                "layout": layout,
                "ratio": ratio_of_medians(*zip(*pairs, strict=True)),
                "slowest": min(b / a for a, b in pairs),
                "losses_differ": losses_differ(ours.turns.losses, theirs.losses),
                "texts": texts,
                "repeats": repeats,
                "threads": torch.get_num_threads(),
                "peer": f"trl {trl.__version__}",
                **step_shares(Ours(MODEL, steps), steps),
            }
        )
    return records


def draw_steps(count: int, texts: int) -> list[list[Example]]:
    """`count` steps of `texts` texts each from the SFT mixture of mini-K2, none longer than a row."""
    from k2repro.lab.sft_recipe import SFT
    from k2repro.mini.mixtures import draw_example

    steps: list[list[Example]] = [[]]
    index = 0
    while len(steps) <= count:
        example = draw_example(SFT[0].mixture, "bench", index)
        index += 1
        if len(example) <= ROW_TOKENS:
            steps[-1].append(example)
        if len(steps[-1]) == texts:
            steps.append([])
    return steps[:-1]


def losses_differ(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Largest relative difference of the losses, step by step; both sides must have learned alike."""
    return max(abs(a - b) / abs(b) for a, b in zip(ours, theirs, strict=True))


class Ours:
    """Steps of `k2repro.training` with AdamW, one for each list of texts."""

    def __init__(self, config: Any, steps: Sequence[Sequence[Example]]) -> None:
        import torch

        from k2repro.architecture.qwen2 import Qwen2
        from k2repro.training.optimizer import Optimizer
        from k2repro.training.packing import pack

        self.model = Qwen2(config, generator=torch.Generator().manual_seed(0)).train()
        adamw = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=0.0, fused=True)
        self.optimizer = Optimizer([adamw])
        self.batches = [pack(texts, ROW_TOKENS)[0] for texts in steps]
        self.turns = Turns()

    def step(self) -> None:
        from k2repro.training.loop import accumulate_gradients

        started = time.perf_counter()
        loss = accumulate_gradients(self.model, [self.batches[len(self.turns.losses)]])
        self.optimizer.step()
        self.turns.add(time.perf_counter() - started, loss)


def train_theirs(
    model: Any, steps: Sequence[Sequence[Example]], layout: str, between: Callable[[], None]
) -> Turns:
    """Steps of TRL's trainer on a copy of the weights, with `between` after each, outside the timing."""
    turns, clock = Turns(), {"started": 0.0, "loss": 0.0}

    def end() -> None:
        turns.add(time.perf_counter() - clock["started"], clock["loss"])
        between()

    with tempfile.TemporaryDirectory() as folder:
        trainer = _their_trainer(model, steps, layout, folder)
        training_step = trainer.training_step

        def kept(*given: Any, **named: Any) -> Any:
            loss = training_step(*given, **named)
            clock["loss"] = float(loss)
            return loss

        trainer.training_step = kept
        train_in_steps(trainer, lambda: clock.update(started=time.perf_counter()), end)
    return turns


def _their_rows(steps: Sequence[Sequence[Example]]) -> Any:
    """The texts of all steps as a dataset with labels, the prompt's ignored."""
    import datasets

    from k2repro.training.packing import IGNORED

    return datasets.Dataset.from_list(
        [
            {
                "input_ids": [*text.prompt, *text.response],
                "labels": [*[IGNORED] * len(text.prompt), *text.response],
            }
            for texts in steps
            for text in texts
        ]
    )


def _their_trainer(model: Any, steps: Sequence[Sequence[Example]], layout: str, folder: str) -> Any:
    import transformers
    import trl

    from k2repro.architecture.parity import transformers_twin
    from k2repro.mini import tokenizer

    return trl.SFTTrainer(
        model=transformers_twin(model).train(),
        args=trl.SFTConfig(
            output_dir=folder,
            max_steps=len(steps),
            per_device_train_batch_size=len(steps[0]),
            train_sampling_strategy="sequential",
            padding_free=layout == "padding-free",
            max_length=None,
            learning_rate=RATE,
            weight_decay=0.0,
            max_grad_norm=0.0,
            activation_checkpointing=False,
            **QUIET,
        ),
        train_dataset=_their_rows(steps),
        processing_class=transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer.load(), eos_token=END, pad_token=END
        ),
    )
