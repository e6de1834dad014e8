"""One run of reinforcement learning on mini-K2: what pays, which prompts come, and the loop over them.

Paper: K2-Think trains on verifiable problems with rewards of 0 and 1, answers compared for maths, tests
executed for code; its Figure 4 follows runs from the SFT checkpoint, from the base, and with a short response
budget. Here the same loop (`k2repro.rlvr.trainer`) runs on train problems that have no end: no prompt comes
twice.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine import Completion, LocalBackend
from k2repro.errors import K2ReproError
from k2repro.lab.rl_runs import RlRun, plan
from k2repro.lab.scale import Scale
from k2repro.mini import tokenizer
from k2repro.mini.benchmarks import benchmark_problems
from k2repro.mini.grading import OPEN_ANSWER, grade
from k2repro.mini.problem import Problem, item_seed
from k2repro.mini.variables import marked
from k2repro.rlvr.config import GrpoConfig
from k2repro.rlvr.optimizer import policy_optimizer
from k2repro.rlvr.records import StepRecord
from k2repro.rlvr.rewards import Prompt, Reward
from k2repro.rlvr.rollouts import PromptStream, RolloutSource
from k2repro.rlvr.trainer import OnStep, train_grpo
from k2repro.training import SCHEDULES

SAVE_EVERY = 8  # steps: what a stopped run loses at most
# Micro-batches of a step are a multiple of this, so that two threads have equal work. It decides in which
# order gradients are added, so it is a setting and not the number of threads at hand.
MICRO_BATCH_MULTIPLE = 2
Keep = Callable[[int, Qwen2], None]


# ---- rewards --------------------------------------------------------------------------------------


def right_answer(prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
    """1 for a right answer in the strict form, else 0; a program is run on its hidden tests."""
    return [float(right) for right in grade([_problem(prompt) for prompt in prompts], _texts(completions))]


def any_answer(prompts: Sequence[Prompt], completions: Sequence[Completion]) -> list[float]:
    """Broken on purpose: 1 for every response that gives an answer, whatever it says."""
    return [float(OPEN_ANSWER in text) for text in _texts(completions)]


REWARDS: dict[str, Reward] = {"right answer": right_answer, "any answer": any_answer}


def _problem(prompt: Prompt) -> Problem:
    if not isinstance(prompt.problem, Problem):
        raise K2ReproError(f"prompt {prompt.id!r} carries no problem of mini-K2, so nobody can judge it")
    return prompt.problem


def _texts(completions: Sequence[Completion]) -> list[str]:
    return [completion.text or "" for completion in completions]


# ---- the run --------------------------------------------------------------------------------------


def train_prompts(tiers: Sequence[str], seed: int, planned: int = 0) -> PromptStream:
    """Prompt i of an endless stream: the tiers in turn, each with train problems of its own, none twice.

    planned: every so many turns through the tiers, one comes with plans; 0: never.
    Runs of different seeds see different problems; runs of one seed and the same tiers see the same.
    """

    def at(place: int) -> Prompt:
        turn, position = divmod(place, len(tiers))
        tier = tiers[position]
        item = turn * tiers.count(tier) + tiers[:position].count(tier)
        # Far apart for different seeds: `seed + item` would share items between neighbours.
        first = item_seed("rlvr-train", tier, seed) % 2**40
        (problem,) = benchmark_problems(tier, "train", 1, start=first + item)
        plan = marked(problem.plan) if planned and turn % planned == 0 else ""
        text = tokenizer.prompt_text(problem.question, plan)
        return Prompt(problem.id, tuple(tokenizer.encode(text)), problem)

    return at


def grpo_config(run: RlRun, scale: Scale, seed: int) -> GrpoConfig:
    """The settings of GRPO for one run."""
    planned = plan(run, scale)
    return GrpoConfig(
        prompts_per_step=scale.prompts,
        group_size=scale.group,
        max_new_tokens=planned.stages,
        scale=run.scale,
        center=run.center,
        uniform_groups=run.uniform_groups,
        micro_batch_multiple=MICRO_BATCH_MULTIPLE,
        seed=seed,
        # A run in which nothing can be learned is a result; it must not end in an error.
        max_skipped_steps=planned.steps,
    )


def source_of(run: RlRun, seed: int) -> RolloutSource:
    """Prompts, reward and backend of one run."""
    return RolloutSource(
        train_prompts(run.tiers, seed, run.planned),
        {run.reward: REWARDS[run.reward]},
        partial(LocalBackend, tokenizer=tokenizer.load()),
        stop=[tokenizer.turn_end()],
    )


def train_run(
    run: RlRun,
    model: Qwen2,
    seed: int,
    scale: Scale,
    work: Path,
    *,
    progress: OnStep | None = None,
    keep: Keep | None = None,
) -> list[StepRecord]:
    """Train `model` in place; resumable from `work`.

    keep: called with (finished steps, model) at the points of the curve.
    """
    planned = plan(run, scale)
    return train_grpo(
        model,
        policy_optimizer(model, run.rates),
        source_of(run, seed),
        grpo_config(run, scale, seed),
        planned.steps,
        schedule=SCHEDULES[run.schedule],
        work=work,
        save_every=SAVE_EVERY,
        progress=progress,
        probe=keep,
        probe_every=planned.probe_every,
    )
