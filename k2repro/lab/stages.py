"""A training run as a list of stages, each a mixture, a length and a schedule; and how one is carried out.

Paper: K2-Think is one stage of supervised fine-tuning on long traces from Qwen2.5-32B. mini-K2 has no public
base to start from, so its base is trained here first: skill stages, then a weak mixture.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from k2repro.architecture import Qwen2
from k2repro.errors import K2ReproError
from k2repro.lab.made import declared
from k2repro.mini.mixtures import Ingredient, MixtureStream
from k2repro.mini.problem import item_seed
from k2repro.training import SCHEDULES, build_optimizer
from k2repro.training.growth import grow_layers
from k2repro.training.loop import History, OnStep, response_loss, train
from k2repro.training.optimizer import LearningRates
from k2repro.training.packing import Batch

Keep = Callable[[int, Qwen2], None]
# Rows and their length, in tokens, on which a skill is measured: some thirty of the longest texts.
SKILL_ROWS, SKILL_LENGTH = 12, 400
# Fields that stages got after models had been made by them.
LATER_STAGE = ("skills", "stretch")


@dataclass(frozen=True)
class Skill:
    """What a stage teaches: texts of one kind and size, and the bound of their loss (nats a token)."""

    kind: str
    bound: float
    operations: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        return self.kind if self.operations is None else "{} {}-{}".format(self.kind, *self.operations)

    @property
    def texts(self) -> Ingredient:
        return Ingredient(self.kind, 1.0, *([] if self.operations is None else [self.operations]))


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    rows, length: packed rows of a batch and their tokens. layers: the model is grown to this depth before
    the stage. schedule: a key of SCHEDULES; warmup: its share of the steps. until: the stage ends once its
    recent loss is at most this (see `train`), or once each of `skills` is within its bound; with neither it
    has exactly `steps`. stretch: see `MixtureStream`.
    """

    name: str
    mixture: tuple[Ingredient, ...]
    steps: int
    rows: int
    length: int
    layers: int
    schedule: str = "constant"
    warmup: float = 0.05
    until: float | None = None
    rates: LearningRates = field(default_factory=LearningRates)
    skills: tuple[Skill, ...] = ()
    stretch: int = 0

    @property
    def params(self) -> dict[str, Any]:
        """Of a thing that is made by this stage."""
        return declared(self, later=LATER_STAGE)

    def shortened(self, share: float) -> "Stage":
        """The same stage with `share` of its steps, at least two; for quick runs that prove the path."""
        return replace(self, steps=max(2, round(self.steps * share)))


def run_stages(
    model: Qwen2,
    stages: Sequence[Stage],
    seed: int,
    *,
    work: Path | None = None,
    progress: OnStep | None = None,
    keep: Keep | None = None,
    keep_at: Sequence[int] = (),
) -> tuple[Qwen2, dict[str, History]]:
    """Train through `stages`; the model of the last one, and the history of each by name.

    work: folder for resumable states, one for each stage; a stage that is finished there is not repeated.
    keep: called with (finished steps, model) at the steps `keep_at` of the last stage.
    """
    if not stages:
        raise K2ReproError("no stage to run")
    histories: dict[str, History] = {}
    for stage in stages:
        model = _grown(model, stage, seed)
        wanted = set(keep_at) if stage is stages[-1] else set()

        def at_step(step: int, model: Qwen2, wanted: set[int] = wanted) -> None:
            if keep is not None and step in wanted:
                keep(step, model)

        histories[stage.name] = train(
            model,
            build_optimizer(model, stage.rates),
            _stream(stage, seed),
            stage.steps,
            stage=stage.name,
            schedule=partial(SCHEDULES[stage.schedule], warmup=stage.warmup),
            until=stage.until,
            skills=partial(skill_losses, skill_batches(stage, seed)) if stage.skills else None,
            work=None if work is None else work / stage.name,
            progress=progress,
            at_step=at_step,
        )
    return model, histories


def _stream(stage: Stage, seed: int) -> MixtureStream:
    return MixtureStream(
        stage.mixture, f"{stage.name}-{seed}", rows=stage.rows, length=stage.length, stretch=stage.stretch
    )


def skill_batches(stage: Stage, seed: int) -> dict[str, tuple[Batch, float]]:
    """For each skill of a stage, by name, the texts that it is measured on and its bound."""
    found: dict[str, tuple[Batch, float]] = {}
    for skill in stage.skills:
        name = f"skill-{skill.name}-{stage.name}-{seed}"
        stream = MixtureStream((skill.texts,), name, rows=SKILL_ROWS, length=SKILL_LENGTH)
        found[skill.name] = stream.next_batch(), skill.bound
    return found


@torch.no_grad()
def skill_losses(batches: Mapping[str, tuple[Batch, float]], model: Qwen2) -> dict[str, tuple[float, float]]:
    """The loss of each skill (nats a token) and its bound, by name."""
    return {
        name: (float(response_loss(model, batch)) / batch.learned, bound)
        for name, (batch, bound) in batches.items()
    }


def _grown(model: Qwen2, stage: Stage, seed: int) -> Qwen2:
    if model.config.num_hidden_layers == stage.layers:
        return model
    generator = torch.Generator().manual_seed(item_seed("growth", stage.name, seed) % 2**63)
    return grow_layers(model, stage.layers, generator=generator)


def history_values(histories: dict[str, History]) -> dict[str, dict[str, Any]]:
    """Histories as JSON-like values."""
    return {
        name: {"loss": h.loss, "tokens": h.tokens} | ({"skills": h.skills} if h.skills else {})
        for name, h in histories.items()
    }
