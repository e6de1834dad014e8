"""A GRPO step against TRL's GRPOTrainer: same model, prompts, group size, response budget and optimiser.

The two take turns, step by step, in one process, and both train every group. Two kinds of lengths: "equal"
(every completion fills the budget: nothing to gain from packing or refilling rows) and "mixed" (they end at
random, 43 % of the budget in the mean, as real ones do). Gradient checkpointing, TRL's default, is off: that
helps TRL here. TRL samples with transformers' `generate` (vLLM needs a GPU), ours with `k2repro.engine`.
Completions of a fresh model have nothing in common but the prompt, which ours reads once; those of a trained
model share more (`rlvr/batch.py`), and the update gains more than is shown here.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from k2repro.bench.peers import MINI, QUIET, train_in_steps

SHAPE = replace(MINI, vocab_size=512, max_position_embeddings=512, eos_token_id=2, pad_token_id=0)
# A fresh model draws each token about equally often: 8 of 512 end a completion after 64 tokens on average.
STOPS: dict[str, tuple[int, ...]] = {"equal": (), "mixed": tuple(range(2, 10))}
JOBS: dict[str, tuple[int, ...]] = {"step": (0, 1), "sampling": (0,), "update": (1,)}
RATE = 1e-4


@dataclass(frozen=True)
class BenchTask:
    """What both sides do: prompts as token ids, completions of each, their budget, what ends them."""

    prompts: list[list[int]]
    group_size: int
    new_tokens: int
    stop: tuple[int, ...]


@dataclass
class Steps:
    """(sampling, the rest) of every step, in seconds for each completion token."""

    parts: list[tuple[float, float]]

    def add(self, sampling: float, total: float, tokens: float) -> None:
        self.parts.append((sampling / tokens, (total - sampling) / tokens))

    def median(self, job: str) -> float:
        """Without the first step, which pays for allocation and kernel selection."""
        return statistics.median(sum(step[part] for part in JOBS[job]) for step in self.parts[1:])


def bench_rlvr(
    *, repeats: int = 5, prompts: int = 8, group_size: int = 8, prompt_tokens: int = 40, new_tokens: int = 128
) -> list[dict[str, object]]:
    """Median time of TRL's steps over the median of ours, for the step and its two halves.

    repeats: timed steps of each side, alternating, after one warm-up. Times are for each completion token, so
    the luck of the lengths drops out: the ratio is one of samples a second, too. Above 1 ours is
    faster. Record: bench, lengths, job, ratio, parameters, prompts, group_size, new_tokens,
    repeats, peer. Needs torch, transformers, datasets and trl.
    """
    import torch
    import trl

    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(10, SHAPE.vocab_size, (prompts, prompt_tokens), generator=generator).tolist()
    records: list[dict[str, object]] = []
    for lengths, stop in STOPS.items():
        work = BenchTask(tokens, group_size, new_tokens, stop)
        ours = _Ours(work)
        theirs = _train_theirs(ours.model, work, repeats + 1, between=ours.step)
        records += [
            {
                "bench": "rlvr",
                "lengths": lengths,
                "job": job,
                "ratio": theirs.median(job) / ours.steps.median(job),
                "parameters": sum(parameter.numel() for parameter in ours.model.parameters()),
                "prompts": prompts,
                "group_size": group_size,
                "new_tokens": new_tokens,
                "repeats": repeats,
                "peer": f"trl {trl.__version__}",
            }
            for job in JOBS
        ]
    return records


def _reward(completions: Sequence[Sequence[int]]) -> list[float | None]:
    """Half of all completions are right, whatever the model."""
    return [float(sum(completion) % 2) for completion in completions]


class _Ours:
    """Steps of `k2repro.rlvr`."""

    def __init__(self, work: BenchTask) -> None:
        import torch

        from k2repro.architecture.qwen2 import Qwen2
        from k2repro.engine import LocalBackend
        from k2repro.rlvr import GrpoConfig, Prompt, RolloutSource, cycle

        self.model = Qwen2(SHAPE, generator=torch.Generator().manual_seed(0))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=0.0)
        self.steps = Steps([])
        items = [Prompt(str(number), tuple(tokens)) for number, tokens in enumerate(work.prompts)]
        rewards: Any = {"parity": lambda prompts, completions: _reward([c.tokens for c in completions])}
        self.source = RolloutSource(cycle(items, 0), rewards, LocalBackend, stop=work.stop)
        self.config = GrpoConfig(
            prompts_per_step=len(items),
            group_size=work.group_size,
            max_new_tokens=work.new_tokens,
            uniform_groups="train",
        )

    def step(self) -> None:
        from k2repro.rlvr import StepProgress, train_grpo

        told: list[StepProgress] = []
        started = time.perf_counter()
        train_grpo(self.model, self.optimizer, self.source, self.config, 1, progress=told.append)
        total = time.perf_counter() - started
        completions = self.config.prompts_per_step * self.config.group_size
        self.steps.add(told[0].clock.sampling, total, told[0].record.length * completions)


def _train_theirs(model: Any, work: BenchTask, steps: int, between: Callable[[], None]) -> Steps:
    """Steps of TRL's trainer on a copy of the weights, with `between` after each, outside the timing."""
    with tempfile.TemporaryDirectory() as folder:
        trainer = _their_trainer(model, work, steps, folder)
        generate = trainer._generate
        found = Steps([])
        clock = {"started": 0.0, "sampling": 0.0, "tokens": 0.0}

        def timed(prompts: Any) -> Any:
            started = time.perf_counter()
            sampled = generate(prompts)
            clock["sampling"] = time.perf_counter() - started
            clock["tokens"] = float(sum(len(completion) for completion in sampled[1]))
            return sampled

        def end() -> None:
            found.add(clock["sampling"], time.perf_counter() - clock["started"], clock["tokens"])
            between()

        trainer._generate = timed
        train_in_steps(trainer, lambda: clock.update(started=time.perf_counter()), end)
    return found


def _their_trainer(model: Any, work: BenchTask, steps: int, folder: str) -> Any:
    import datasets
    import trl

    from k2repro.architecture.parity import transformers_twin

    copy = transformers_twin(model).train()
    if work.stop:
        copy.generation_config.eos_token_id = list(work.stop)
    rows = [" ".join(f"w{token}" for token in tokens) for tokens in work.prompts]
    return trl.GRPOTrainer(
        model=copy,
        reward_funcs=lambda completion_ids, **_: _reward(completion_ids),
        args=trl.GRPOConfig(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=len(work.prompts) * work.group_size,
            num_generations=work.group_size,
            max_completion_length=work.new_tokens,
            generation_kwargs=None if work.stop else {"min_new_tokens": work.new_tokens},
            learning_rate=RATE,
            gradient_checkpointing=False,
            **QUIET,
        ),
        train_dataset=datasets.Dataset.from_dict({"prompt": rows}),
        processing_class=_tokenizer(),
    )


def _tokenizer() -> Any:
    """Words w0 ... w511: what TRL needs to read a prompt."""
    import tokenizers
    import transformers

    words = {f"w{token}": token for token in range(SHAPE.vocab_size)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w1"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="w2", pad_token="w0")
