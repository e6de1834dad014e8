"""A judge with weights of its own: the SFT model of another seed, a minute longer on solved problems.

weights "steady-sft" of the next seed -> judge; its verdict on a candidate is how likely it finds the text

K2-Think's judge is another, larger model. Here what counts is that it is *another*: two models of one recipe
err in different places, so the sum of their log-probabilities knows more than either. It has seen problems as
long as those that are asked, which the solver has not; it has seen no answer of the solver.

Small verifiers that were trained to say "right" or "wrong" did no better than chance in the same time, so
this one says nothing: it reads.
"""

from dataclasses import replace
from functools import partial

from k2repro.lab import sft
from k2repro.lab.made import Made, Making
from k2repro.lab.scale import Scale
from k2repro.lab.sft_recipe import FINE_TUNING
from k2repro.lab.stages import Stage
from k2repro.mini import TEXTS
from k2repro.mini.mixtures import Ingredient
from k2repro.training import NUMERICS as TRAINING

# Long problems most of all, because those are judged; a fifth with a plan, because some candidates have one.
JUDGE = Stage(
    "judge",
    (
        Ingredient("marked-steps", 0.3, (2, 16)),
        Ingredient("marked-steps", 0.5, (10, 16)),
        Ingredient("marked-plan", 0.2, (2, 16)),
    ),
    steps=96,
    rows=5,
    length=456,
    layers=4,
    schedule="cosine",
    warmup=0.2,
    rates=FINE_TUNING,
)
# Wrong twin: the same texts under the questions of other texts.
SHUFFLED = replace(JUDGE, name="judge-shuffled", mixture=(Ingredient("mispaired-steps", 1.0, (2, 16)),))


def foreign(start: int, scale: Scale) -> Made:
    """The SFT model that a judge begins as; start: its seed."""
    return sft.weights("steady-sft", start, scale)


def judge(solver_seed: int, start: int, scale: Scale, stage: Stage = JUDGE, *, ships: bool = False) -> Made:
    """The judge of a solver, from the SFT model of the seed `start`. ships: the first solver's does."""
    shortened = stage.shortened(scale.steps)
    return Made(
        "weights",
        stage.name,
        solver_seed,
        partial(_train, shortened, solver_seed),
        {"stage": shortened.params},
        (TRAINING, TEXTS),
        {"start": foreign(start, scale)},
        ships=ships,
    )


def _train(stage: Stage, seed: int, making: Making) -> None:
    sft.train_further([stage], seed, making)
