"""The steady recipe, carried out: five seeds of base, SFT and RL, three of each control, on the levels.

training "steady-base" -> weights -> training "steady-sft" -> weights -> runs of RL, and SFT that goes on
of every model: levels on test; of SFT also on validation (its gate) and along its training (its curve)
all of SFT -> "steady" sft, all of RL -> "steady" rl: what ships (`steady_file`)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from k2repro.engine import NUMERICS as ENGINE
from k2repro.evaluate import POOLS
from k2repro.lab import levels, rlvr, sft
from k2repro.lab.campaign import Watch, carry_out
from k2repro.lab.levels import LevelOutcome
from k2repro.lab.lines import read_lines, write_lines
from k2repro.lab.made import Made, Making
from k2repro.lab.progress import JobProgress, live
from k2repro.lab.rl_runs import STEADY
from k2repro.lab.scale import Scale
from k2repro.lab.stages import Skill
from k2repro.lab.steady_file import (
    PackedCurve,
    StageLog,
    bits,
    from_bits,
    pack,
    read_parts,
    rounded,
    unpack,
    write_parts,
)
from k2repro.lab.steady_recipe import BASE
from k2repro.mini import GRADER, TEXTS
from k2repro.mini.checkpoint import load_snapshot
from k2repro.results import ArtifactStore
from k2repro.results.provenance import made_on

# Models with all seeds, and controls with fewer.
FROM_BASE, SFT, FROM_SFT = "steady-from-base", "steady-sft", "steady-from-sft"
PRETRAINED, LONGER = "steady-base", "steady-longer"
BROKEN, SHORT = "steady-broken-reward", "steady-short-budget"
TRAINED, REINFORCED, CONTROLS = (PRETRAINED, SFT), (FROM_SFT, FROM_BASE), (LONGER, BROKEN, SHORT)
# Shares of fine-tuning after which it is probed; they are among those at which the model is kept.
POINTS = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
CURVE = "curve.jsonl.gz"


@dataclass(frozen=True)
class CurvePoint:
    """What fine-tuning solves on validation after a share of its steps. search: right (1) or wrong (0)."""

    share: float
    search: tuple[int, ...]


@dataclass(frozen=True)
class SteadyResults:
    """What was made.

    outcomes  on test, [model][seed]; gates: of SFT on validation, [seed]; curves: along SFT, [seed]
    mistakes  searches on test by kind, level by level, [model][seed][kind]
    stages    of the base and of SFT, stage by stage
    machine   that made them, see `made_on`
    """

    outcomes: Mapping[str, Mapping[int, Sequence[LevelOutcome]]]
    gates: Mapping[int, Sequence[LevelOutcome]]
    curves: Mapping[int, Sequence[CurvePoint]]
    stages: Sequence[StageLog]
    mistakes: Mapping[str, Mapping[int, Mapping[str, Sequence[int]]]]
    machine: Mapping[str, str] = field(default_factory=dict)


# ---- things to be made ----------------------------------------------------------------------------


def seeds_of(model: str, scale: Scale) -> range:
    """The seeds that a model is trained with."""
    return scale.steady(scale.steady_controls if model in CONTROLS else scale.steady_seeds)


def weights(model: str, seed: int, scale: Scale) -> Made:
    """The checkpoint of a model. Raises K2ReproError for an unknown one."""
    return (rlvr if model in STEADY else sft).weights(model, seed, scale)


def tested(model: str, seed: int, scale: Scale) -> Made:
    """What a model solves on test."""
    return levels.levels(weights(model, seed, scale), "test", scale.asked)


def gate(seed: int, scale: Scale) -> Made:
    """What SFT solves on validation."""
    return levels.levels(weights(SFT, seed, scale), "validation", scale.chosen)


def curve(seed: int, scale: Scale) -> Made:
    """SFT along its training, on validation."""
    return Made(
        "level-curve",
        SFT,
        seed,
        partial(_probe, seed, scale.chosen, sft.stages_of(SFT, scale)[-1].steps),
        {"problems": scale.chosen, "points": list(POINTS)},
        (ENGINE, POOLS, TEXTS, GRADER),
        {"training": sft.training(SFT, seed, scale)},
    )


def fine_tuned(scale: Scale) -> Made:
    """All of base and SFT; ships."""
    seeds = scale.steady(scale.steady_seeds)
    needs = _tests(TRAINED, scale)
    needs |= {f"gate {SFT} {seed}": gate(seed, scale) for seed in seeds}
    needs |= {f"curve {SFT} {seed}": curve(seed, scale) for seed in seeds}
    needs |= {f"training {m} {seed}": sft.training(m, seed, scale) for m in TRAINED for seed in seeds}
    return Made("steady", "sft", 0, _collect, needs=needs, ships=True)


def reinforced(scale: Scale) -> Made:
    """All of RL and its controls; ships."""
    return Made("steady", "rl", 0, _collect, needs=_tests((*REINFORCED, *CONTROLS), scale), ships=True)


def _tests(models: Sequence[str], scale: Scale) -> dict[str, Made]:
    return {
        f"test {model} {seed}": tested(model, seed, scale)
        for model in models
        for seed in seeds_of(model, scale)
    }


# ---- making ---------------------------------------------------------------------------------------


def _probe(seed: int, problems: int, steps: int, making: Making) -> None:
    folders = {int(folder.name): folder for folder in (making.needs["training"] / sft.STEPS).iterdir()}
    points = []
    for at, share in enumerate(POINTS):
        making.report(JobProgress(at / len(POINTS), f"point {at + 1} of {len(POINTS)}"))
        model = load_snapshot(folders[round(share * steps)])
        outcomes = levels.asked_once(model, "validation", problems, seed)
        points.append(CurvePoint(share, tuple(outcomes)))
    write_lines(making.folder / CURVE, points)


def _collect(making: Making) -> None:
    outcomes, curves, stages = [], [], []
    for role, folder in making.needs.items():
        what, model, number = role.split()
        seed = int(number)
        if what in ("test", "gate"):
            split = "test" if what == "test" else "validation"
            outcomes.append(pack(model, seed, split, levels.read_levels(folder)))
        elif what == "curve":
            for point in read_lines(folder / CURVE, CurvePoint):
                curves.append(PackedCurve(seed, point.share, len(point.search), bits(point.search)))
        else:
            stages += _stage_logs(model, seed, sft.read_history(folder))
    write_parts(making.folder, outcomes, curves, stages)


def _stage_logs(model: str, seed: int, history: sft.History) -> list[StageLog]:
    return [
        StageLog(
            model,
            seed,
            stage,
            len(each["loss"]),
            sum(each["tokens"]),
            {name: rounded(losses) for name, losses in each.get("skills", {}).items()},
        )
        for stage, each in history.items()
    ]


# ---- reading --------------------------------------------------------------------------------------


def carry_out_steady(
    scale: Scale, store: ArtifactStore, *, with_rl: bool = False, workers: int = 2, progress: Watch = live
) -> SteadyResults:
    """Make what is missing, mark what ships, and read it. Raises whatever stops a job.

    with_rl: RL and the controls too; without it base and SFT alone.
    """
    wanted = [fine_tuned(scale), *([reinforced(scale)] if with_rl else [])]
    folders = carry_out(wanted, store, workers=workers, progress=progress)
    outcomes: dict[str, dict[int, Sequence[LevelOutcome]]] = {}
    gates: dict[int, Sequence[LevelOutcome]] = {}
    curves: dict[int, list[CurvePoint]] = {}
    stages: list[StageLog] = []
    mistakes: dict[str, dict[int, Mapping[str, Sequence[int]]]] = {}
    for folder in folders.values():
        packed, points, logs = read_parts(folder)
        for each in packed:
            place = gates if each.split == "validation" else outcomes.setdefault(each.model, {})
            place[each.seed] = unpack(each)
            if each.split == "test":
                mistakes.setdefault(each.model, {})[each.seed] = each.kinds
        for point in points:
            search = tuple(from_bits(point.search, point.count, f"curve of seed {point.seed}"))
            curves.setdefault(point.seed, []).append(CurvePoint(point.share, search))
        stages += logs
    return SteadyResults(outcomes, gates, curves, stages, mistakes, made_on(folders.values()))


def skills_left(results: SteadyResults) -> list[tuple[int, str, Skill, float]]:
    """Skills that a stage of the base ended without: seed, stage, skill, and the loss that it had (nats)."""
    skills = {stage.name: stage.skills for stage in BASE}
    return [
        (log.seed, log.stage, skill, losses[-1])
        for log in results.stages
        if log.model == PRETRAINED
        for skill in skills[log.stage]
        if (losses := log.skills.get(skill.name, ())) and losses[-1] > skill.bound
    ]
