"""Which runs there are: the three of the paper's Figure 4, two controls, and one on code.

    from-sft       the K2-Think run: from the SFT checkpoint, full response budget
    from-base      the same from the base model
    short-budget   from SFT with a response budget of about half of what SFT needs, then the full one; the
                   paper's run goes from 16,000 to 32,000 tokens
    broken-reward  control: every answer is paid, right or wrong
    uncentred      control: no baseline, so that every paid response is pushed up
    code           on `programs`, from base; what pays is passing hidden tests in the sandbox
    code-from-sft  the same from SFT
    steady-...     the first four once more, from models of the steady recipe (`lab/steady.py`)

What was seen on the way to these settings, in single runs on 200 to 600 validation problems, which tell no
differences below two points apart. From SFT, forty steps with Muon on the matrices, as in training, moved
pass@1 by 0 to 5 points; AdamW with a step of its own for the norms by -2 to 9, most where SFT had left
most. Norms alone gained nothing, and a large step for the embedding destroyed the model. Runs from SFT meet
hard problems more often: of easy ones the SFT model solves nearly all, and a group that is all right
teaches nothing; the published data was filtered by difficulty for the same reason. Half as many steps again,
or two to three times these rates, gained no more in two models; a rate of its own for the last norm did
(`optimizer.py`). Code from SFT gained most where SFT had left most: 0 to 4 points from 85 %, 22 and 28 from
43 to 48 %; one run is shown.
"""

from dataclasses import dataclass, replace

from k2repro.errors import K2ReproError, unknown
from k2repro.lab.scale import Scale
from k2repro.mini import programs, variables
from k2repro.mini.benchmarks import MATHS, MAX_NEW_TOKENS, MAX_NEW_TOKENS_LEVELS
from k2repro.rlvr.optimizer import Rates
from k2repro.training import SCHEDULES

REWARDS = ("right answer", "any answer")


@dataclass(frozen=True, kw_only=True)
class RlRun:
    """One run: everything that decides its weights, besides its seed and the scale of a profile.

    start     model of the SFT pillar that it begins with
    budget    (share of the steps, response tokens) of each stage, the first at share 0
    steps     optimisation steps at full size
    rates     peak learning rates; schedule: a key of SCHEDULES
    tiers     of the train problems, in turn; a tier named twice comes twice as often
    reward    one of REWARDS
    scale, center, uniform_groups   see GrpoConfig
    planned   every so many turns through the tiers, prompts carry the program's plan, with marks; 0: never
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
    planned: int = 0

    def __post_init__(self) -> None:
        shares = [share for share, _ in self.budget]
        if not shares or shares[0] != 0 or shares != sorted(set(shares)) or shares[-1] >= 1:
            raise K2ReproError(
                f"run {self.name!r}: budget shares {shares} must begin at 0, rise, and stay below 1"
            )
        if self.reward not in REWARDS:
            raise unknown("reward", self.reward, REWARDS)
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)


@dataclass(frozen=True)
class RlSchedule:
    """A run at the scale of a profile, in whole steps.

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


def plan(run: RlRun, scale: Scale) -> RlSchedule:
    """Steps, points and stages of a run; a stage begins at a point of the curve."""
    steps = max(2 * len(run.budget), round(run.steps * scale.rl_steps))
    points = scale.points if run.followed else 1
    every = max(1, steps // max(points, 2 * len(run.budget)))
    stages = tuple(
        (0 if share == 0 else max(every, round(share * steps / every) * every), tokens)
        for share, tokens in run.budget
    )
    return RlSchedule(steps, every, stages)


FULL = ((0.0, MAX_NEW_TOKENS),)
SHORT_TOKENS = 120  # fits about half of the SFT model's responses; notebook 03 says how many
SHORT_THEN_FULL = ((0.0, SHORT_TOKENS), (0.5, MAX_NEW_TOKENS))

FROM_SFT = Rates(weights=1e-4, norms=5e-3, readout=1e-1)
FROM_BASE = Rates(weights=3e-4, norms=1e-2, readout=1e-2)
STEPS_FROM_SFT, STEPS_FROM_BASE, STEPS_CODE = 64, 40, 40
# Half of the prompts from the hardest tier, a fifth from the one before.
HARD = ("tier-4", "tier-1", "tier-4", "tier-3", "tier-4", "tier-2", "tier-4", "tier-3", "tier-4", "tier-4")

_FROM_SFT = RlRun(name="from-sft", start="sft", budget=FULL, steps=STEPS_FROM_SFT, rates=FROM_SFT, tiers=HARD)
_FROM_BASE = RlRun(name="from-base", start="base", budget=FULL, steps=STEPS_FROM_BASE, rates=FROM_BASE)
_PROGRAMS = (programs.TIER,)

# The same on the steady recipe, a quarter of the prompts with a plan. Its problems are longer than those of
# fine-tuning and shorter than any that is asked: RL on the lengths that are asked solved 97 per cent of them.
_LEVELS = ((0.0, MAX_NEW_TOKENS_LEVELS),)
# First a budget that fits 45 per cent of the reference searches of these prompts, and every planned pass.
_STEADY_BUDGETS = ((0.0, 137), (0.5, MAX_NEW_TOKENS_LEVELS))
_STEADY_TIERS = tuple(variables.PRACTICE)
_STEADY = replace(
    _FROM_SFT,
    name="steady-from-sft",
    start="steady-sft",
    budget=_LEVELS,
    tiers=_STEADY_TIERS,
    planned=4,
    followed=False,
)

RUNS = {
    run.name: run
    for run in (
        _FROM_SFT,
        _FROM_BASE,
        replace(_FROM_SFT, name="short-budget", budget=SHORT_THEN_FULL),
        replace(_FROM_SFT, name="broken-reward", reward="any answer", followed=False),
        replace(
            _FROM_SFT, name="uncentred", center=False, scale="none", uniform_groups="train", followed=False
        ),
        replace(_FROM_BASE, name="code", tiers=_PROGRAMS, steps=STEPS_CODE, followed=False),
        replace(_FROM_SFT, name="code-from-sft", tiers=_PROGRAMS, steps=STEPS_CODE, followed=False),
        _STEADY,
        replace(
            _FROM_BASE,
            name="steady-from-base",
            start="steady-base",
            budget=_LEVELS,
            # What the base was spoiled on comes too, or its reward would begin near nothing.
            tiers=("tier-1", *variables.PRACTICE),
            planned=4,
            followed=False,
        ),
        replace(_STEADY, name="steady-broken-reward", reward="any answer"),
        replace(_STEADY, name="steady-short-budget", budget=_STEADY_BUDGETS),
    )
}
PAPER = ("from-sft", "from-base", "short-budget")
CODE = ("code", "code-from-sft")
# Runs behind a claim or a bar, with all seeds; the others show something, with fewer.
MEASURED = (*PAPER, "broken-reward", "code")
SHOWN = ("uncentred", "code-from-sft")
# Runs on the steady recipe, judged on the levels; see `lab/steady.py` for how many seeds.
STEADY = ("steady-from-sft", "steady-from-base", "steady-broken-reward", "steady-short-budget")
# Fields that a run got after models had been made by it.
LATER_RUN = ("planned",)
# Runs that are also judged at a lower temperature, end and start.
SHARPENED = ("from-sft",)


def run_named(name: str) -> RlRun:
    """The run of that name; K2ReproError if there is none."""
    if name not in RUNS:
        raise unknown("run", name, RUNS)
    return RUNS[name]


def all_runs(scale: Scale) -> list[tuple[str, int]]:
    """(run, seed) of everything: all seeds of each of MEASURED, the first few of each of SHOWN."""
    counts = {**dict.fromkeys(MEASURED, scale.seeds), **dict.fromkeys(SHOWN, scale.shown_seeds)}
    return [(name, seed) for name, count in counts.items() for seed in range(count)]
