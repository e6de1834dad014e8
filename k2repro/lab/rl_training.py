"""One run of reinforcement learning on mini-K2: what it starts from, what pays, how it is followed.

Paper: K2-Think trains on verifiable problems with rewards of 0 and 1, answers compared for maths, tests
executed for code; its Figure 4 follows runs from the SFT checkpoint, from the base, and with a short response
budget. Here the same loop (`trainer.py`) runs on train problems that have no end: no prompt comes twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from k2repro.architecture.qwen2 import Qwen2
from k2repro.engine import sample
from k2repro.errors import K2ReproError, unknown
from k2repro.mini import tokenizer, variables
from k2repro.mini.grading import OPEN_ANSWER, grade
from k2repro.mini.problem import Problem, item_seed
from k2repro.results.atomic import canonical_json, write_text
from k2repro.rlvr.config import GrpoConfig
from k2repro.rlvr.optimizer import Rates, policy_optimizer
from k2repro.rlvr.probe import benchmark, look
from k2repro.rlvr.rewards import Completion, Prompt, Reward
from k2repro.rlvr.rollouts import PromptStream, Source
from k2repro.rlvr.trainer import Tell, train_grpo
from k2repro.training import SCHEDULES

MATHS = tuple(variables.TIERS)
SAVE_EVERY = 8  # steps: what a stopped run loses at most
RECORDS, CURVE = "records.jsonl", "curve.jsonl"
Keep = Callable[[Qwen2], None]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One run: everything that decides its weights, besides its seed and the sizes of a profile.

    start     checkpoint of the SFT pillar that it begins with
    budget    (share of the steps, response tokens) of each stage, the first at share 0
    steps     optimisation steps at full size
    rates     peak learning rates; schedule: a key of SCHEDULES
    tiers     of the train problems, in turn; a tier named twice comes twice as often
    reward    a key of REWARDS
    scale, center, uniform_groups   see GrpoConfig
    followed  whether its curve is shown, so that the probe is asked often; else at both ends and half-way

    Raises K2ReproError for a budget that does not begin at 0 or does not rise in shares, and for an unknown
    reward or schedule.
    """

    name: str
    start: str
    budget: tuple[tuple[float, int], ...]
    steps: int
    rates: Rates
    schedule: str = "linear"
    tiers: tuple[str, ...] = MATHS
    reward: str = "right answer"
    scale: str = "group"
    center: bool = True
    uniform_groups: str = "skip"
    followed: bool = True

    def __post_init__(self) -> None:
        shares = [share for share, _ in self.budget]
        if not shares or shares[0] != 0 or shares != sorted(set(shares)) or shares[-1] >= 1:
            raise K2ReproError(
                f"arm {self.name!r}: budget shares {shares} must begin at 0, rise, and stay below 1"
            )
        if self.reward not in REWARDS:
            raise unknown("reward", self.reward, REWARDS)
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)


@dataclass(frozen=True, kw_only=True)
class RunSizes:
    """What a profile sets of every run.

    steps      share of each arm's steps, above 0 and at most 1
    prompts    groups of a step
    group      completions of a group
    probe      validation problems of each tier behind a point of the curve
    points     intervals between points of the curve, as many as the steps allow
    """

    steps: float = 1.0
    prompts: int = 16
    group: int = 8
    probe: int = 50
    points: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.steps <= 1:
            raise K2ReproError(f"steps = {self.steps}: must be a share of an arm's, above 0 and at most 1")
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise K2ReproError(f"{field.name} = {value!r}: must be a whole number of at least 1")


@dataclass(frozen=True)
class Plan:
    """An arm at the sizes of a profile, in whole steps.

    probe_every: steps between two points of the curve. stages: (first step, response tokens).
    """

    steps: int
    probe_every: int
    stages: tuple[tuple[int, int], ...]

    @property
    def switch(self) -> int | None:
        """The step from which the last stage of the budget holds; None with one stage."""
        return self.stages[-1][0] if len(self.stages) > 1 else None

    @property
    def points(self) -> list[int]:
        """Finished steps at which the probe is asked."""
        return sorted({*range(0, self.steps, self.probe_every), self.steps})


def plan(arm: Arm, sizes: RunSizes) -> Plan:
    """Steps, points and stages of an arm; a stage begins at a point of the curve."""
    steps = max(2 * len(arm.budget), round(arm.steps * sizes.steps))
    points = sizes.points if arm.followed else 1
    every = max(1, steps // max(points, 2 * len(arm.budget)))
    stages = tuple(
        (0 if share == 0 else max(every, round(share * steps / every) * every), tokens)
        for share, tokens in arm.budget
    )
    return Plan(steps, every, stages)


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


def train_prompts(tiers: Sequence[str], seed: int) -> PromptStream:
    """Prompt i of an endless stream: the tiers in turn, each with train problems of its own, none twice.

    Runs of different seeds see different problems; arms of one seed and the same tiers see the same.
    """

    def at(place: int) -> Prompt:
        turn, position = divmod(place, len(tiers))
        tier = tiers[position]
        item = turn * tiers.count(tier) + tiers[:position].count(tier)
        # Far apart for different seeds: `seed + item` would share items between neighbours.
        first = item_seed("rlvr-train", tier, seed) % 2**40
        (problem,) = benchmark(tier, "train", 1, start=first + item)
        return Prompt(problem.id, tuple(tokenizer.encode(tokenizer.prompt_text(problem.question))), problem)

    return at


def grpo_config(arm: Arm, sizes: RunSizes, seed: int) -> GrpoConfig:
    """The settings of GRPO for one arm."""
    planned = plan(arm, sizes)
    return GrpoConfig(
        prompts_per_step=sizes.prompts,
        group_size=sizes.group,
        max_new_tokens=planned.stages,
        scale=arm.scale,
        center=arm.center,
        uniform_groups=arm.uniform_groups,
        seed=seed,
        # A run in which nothing can be learned is a result; it must not end in an error.
        max_skipped_steps=planned.steps,
    )


def source_of(arm: Arm, seed: int) -> Source:
    """Prompts, reward and sampler of one arm."""
    return Source(
        train_prompts(arm.tiers, seed),
        {arm.reward: REWARDS[arm.reward]},
        sample,
        stop=[tokenizer.turn_end()],
        tokenizer=tokenizer.load(),
    )


def carry_out(
    arm: Arm,
    model: Qwen2,
    seed: int,
    sizes: RunSizes,
    work: Path,
    *,
    max_new_tokens: int,
    tell: Tell | None = None,
    keep: Keep | None = None,
) -> None:
    """Train `model` in place and leave `records.jsonl` and `curve.jsonl` in `work`; resumable from there.

    max_new_tokens: response budget of the probe. keep: called with the model where the last stage of the
        budget begins, before its first step.
    """
    planned = plan(arm, sizes)
    problems = [
        problem for tier in dict.fromkeys(arm.tiers) for problem in benchmark(tier, "validation", sizes.probe)
    ]

    def probe(done: int, model: Qwen2) -> None:
        if done == planned.switch and keep is not None:
            keep(model)
        point = look(model, problems, done, max_new_tokens=max_new_tokens)
        write_text(_point_file(work, done), point.line())

    records = train_grpo(
        model,
        policy_optimizer(model, arm.rates),
        source_of(arm, seed),
        grpo_config(arm, sizes, seed),
        planned.steps,
        schedule=SCHEDULES[arm.schedule],
        work=work,
        save_every=SAVE_EVERY,
        tell=tell,
        probe=probe,
        probe_every=planned.probe_every,
    )
    write_text(work / RECORDS, "".join(canonical_json(asdict(record)) + "\n" for record in records))
    write_text(work / CURVE, "".join(_point_file(work, step).read_text() for step in planned.points))


def _point_file(work: Path, step: int) -> Path:
    return work / "curve" / f"{step:06d}.json"
