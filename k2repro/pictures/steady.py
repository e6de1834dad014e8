"""Figures of the steady recipe: when each skill comes, and how far seeds lie apart on each level."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from k2repro.evaluate.effects import Effect
from k2repro.lab.levels import PLANNED, SEARCH, level_table
from k2repro.lab.stages import Stage
from k2repro.lab.steady import PRETRAINED, SFT, SteadyResults, skills_left
from k2repro.lab.steady_file import StageLog
from k2repro.lab.steady_recipe import BASE
from k2repro.mini.benchmarks import LEVELS
from k2repro.mini.mistakes import KINDS
from k2repro.notebook.palette import DASHES, GREY, MARKERS, PALETTE, VERMILLION
from k2repro.pictures.rlvr_effects import error_bars
from k2repro.pictures.style import BELOW, Picture, Records
from k2repro.training.loop import SKILL_STEPS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# What the kinds of drills are called for a reader.
WORDS = {
    "marked-look-up": "look a name up",
    "marked-follow": "follow a plan",
    "return": "go back to a note",
    "table": "arithmetic",
    "marked-steps": "whole searches",
    "marked-plan": "whole planned solutions",
}
# What differences are called for a reader, in the order of their figure.
COMPARED = {
    "rlvr.steady.gain_from_sft": "RL from SFT, against SFT",
    "rlvr.steady.longer_minus_sft": "SFT that goes on, against SFT",
    "rlvr.steady.from_sft_minus_longer": "RL from SFT, against SFT that goes on",
    "rlvr.steady.two_stage_minus_sft": "budget cut and restored, against SFT",
    "rlvr.steady.two_stage_minus_full_budget": "budget cut and restored, against RL from SFT",
    "rlvr.steady.broken_reward_minus_sft": "every answer paid, against SFT",
    "rlvr.steady.gain_from_base": "RL from base, against base",
    "rlvr.steady.final_from_sft_minus_final_from_base": "RL from SFT, against RL from base",
}
# The two scores of a seed in its table: by its own search, along a plan.
WAYS = ("by its own search (%)", "with a right plan (%)")
# Levels are drawn side by side for each way, seeds beside their mean.
SHIFT = {0: -0.12, 1: 0.12}


def skill_words(name: str) -> str:
    """A skill as a reader says it: "look-up 12-18" is "look a name up, 12-18"."""
    kind, _, size = name.partition(" ")
    return WORDS[kind] + (f", {size}" if size else "")


def skills_picture(results: SteadyResults, stage_name: str) -> Picture:
    """The loss of each skill along a stage of the base, a line for each seed, and the bound that ends it."""
    import plotly.graph_objects as go

    [stage] = [each for each in BASE if each.name == stage_name]
    figure = go.Figure()
    records: Records = []
    longest = 0
    logs = [each for each in results.stages if (each.model, each.stage) == (PRETRAINED, stage_name)]
    for at, skill in enumerate(stage.skills):
        for number, log in enumerate(logs):
            losses = log.skills.get(skill.name, ())
            longest = max(longest, len(losses))
            figure.add_scatter(
                x=[SKILL_STEPS * (place + 1) for place in range(len(losses))],
                y=losses,
                mode="lines",
                name=skill_words(skill.name),
                legendgroup=skill.name,
                showlegend=number == 0,
                line={"dash": DASHES[at % 5], "color": PALETTE[at % len(PALETTE)], "width": 1.5},
            )
            if losses:
                records.append(_skill_record(log.seed, skill.name, skill.bound, losses))
    _add_bounds(figure, stage, SKILL_STEPS * max(longest, 1))
    figure.update_xaxes(title=f"steps of the stage “{stage_name}”")
    figure.update_yaxes(title="loss on fresh texts (nats a token, log scale)", type="log")
    figure.update_layout(title="When each skill comes, seed by seed", height=460, legend=BELOW)
    return figure, records


def _skill_record(seed: int, name: str, bound: float, losses: Sequence[float]) -> dict[str, Any]:
    below = [at for at, loss in enumerate(losses) if loss <= bound]
    return {
        "seed": seed,
        "skill": skill_words(name),
        "bound (nats)": bound,
        "first within it, at step": SKILL_STEPS * (below[0] + 1) if below else None,
        "loss at the end (nats)": round(losses[-1], 4),
    }


def _add_bounds(figure: "Figure", stage: Stage, steps: int) -> None:
    for number, bound in enumerate(sorted({skill.bound for skill in stage.skills})):
        figure.add_scatter(
            x=[SKILL_STEPS, steps],
            y=[bound, bound],
            mode="lines",
            name="bounds that end the stage",
            legendgroup="bounds",
            showlegend=number == 0,
            line={"color": GREY, "dash": "dot", "width": 1.5},
        )


def levels_picture(ways: Mapping[str, Mapping[str, Effect]], title: str) -> Picture:
    """pass@1 by level: a mean with its interval for each way, and every seed a dot.

    ways: {what it is called: {level: effect}}, two at most.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    records: Records = []
    for at, (way, effects) in enumerate(ways.items()):
        places = [place + SHIFT[at] for place in range(len(LEVELS))]
        chosen = [effects[name] for name in LEVELS]
        figure.add_scatter(
            x=places,
            y=[100 * each.value for each in chosen],
            mode="lines+markers",
            name=f"{way}, mean over seeds",
            line={"dash": DASHES[at], "color": PALETTE[at]},
            marker={"symbol": MARKERS[at], "size": 10},
            error_y=error_bars(chosen, 100),
        )
        dots = [
            (place, 100 * value)
            for place, each in zip(places, chosen, strict=True)
            for value, _ in each.by_seed.values()
        ]
        figure.add_scatter(
            x=[place for place, _ in dots],
            y=[value for _, value in dots],
            mode="markers",
            name="each seed",
            legendgroup="seeds",
            showlegend=at == 0,
            marker={"size": 6, "symbol": "circle-open", "color": VERMILLION},
        )
        records += [_level_record(way, name, effects[name]) for name in LEVELS]
    figure.update_xaxes(
        title="operations that the answer needs",
        tickvals=list(range(len(LEVELS))),
        ticktext=[name.removeprefix("ops-") for name in LEVELS],
    )
    figure.update_yaxes(title="pass@1 (%)", range=[0, 102])
    figure.update_layout(title=title, height=460, legend=BELOW)
    return figure, records


def _level_record(way: str, name: str, effect: Effect) -> dict[str, Any]:
    return {
        "level": name.removeprefix("ops-") + " operations",
        "way": way,
        "pass@1 (%)": round(100 * effect.value, 1),
        "low": round(100 * effect.interval.low, 1),
        "high": round(100 * effect.interval.high, 1),
        "seed by seed (%)": ", ".join(f"{100 * value:.1f}" for value, _ in effect.by_seed.values()),
    }


def seed_records(results: SteadyResults) -> Records:
    """For each seed the steps of its base's stages."""
    logs = [each for each in results.stages if each.model == PRETRAINED]
    return [
        {"seed": seed, **{f"{stage.name}, steps": _steps(logs, seed, stage.name) for stage in BASE}}
        for seed in dict.fromkeys(log.seed for log in logs)
    ]


def score_records(results: SteadyResults) -> Records:
    """For each seed the skills that its base went on without, and what its SFT model solves of all levels."""
    left = skills_left(results)
    tables = {way: level_table(results.outcomes[SFT], way) for way in (SEARCH, PLANNED)}
    return [
        {
            "seed": seed,
            "its base went on without": "; ".join(
                f"{skill_words(skill.name)} ({loss:.3f} for {skill.bound:g} nats)"
                for of, _, skill, loss in left
                if of == seed
            )
            or "nothing",
            WAYS[0]: round(100 * float(tables[SEARCH].by_seed[seed].mean()), 1),
            WAYS[1]: round(100 * float(tables[PLANNED].by_seed[seed].mean()), 1),
        }
        for seed in results.outcomes[SFT]
    ]


def mistake_records(results: SteadyResults, model: str) -> Records:
    """What goes wrong first in the searches of a model, in per cent of each level, all seeds together."""
    by_seed = list(results.mistakes.get(model, {}).values())
    records: Records = []
    for kind in KINDS:
        counts = [sum(each[kind][at] for each in by_seed) for at in range(len(LEVELS))]
        asked = [sum(sum(each[k][at] for k in KINDS) for each in by_seed) for at in range(len(LEVELS))]
        if any(counts):
            shares = (f"{100 * n / of:.1f}" for n, of in zip(counts, asked, strict=True))
            names = (name.removeprefix("ops-") + " operations (%)" for name in LEVELS)
            records.append({"first mistake": kind, **dict(zip(names, shares, strict=True))})
    return records


def seed_mistake_records(results: SteadyResults, model: str) -> Records:
    """What goes wrong first in the searches of a model, in per cent of a seed's, all levels together."""
    by_seed = results.mistakes.get(model, {})
    seen = [kind for kind in KINDS if any(sum(each[kind]) for each in by_seed.values())]
    records: Records = []
    for seed, counts in sorted(by_seed.items()):
        asked = sum(sum(counts[kind]) for kind in KINDS)
        records.append({"seed": seed} | {kind: f"{100 * sum(counts[kind]) / asked:.1f}" for kind in seen})
    return records


def _steps(logs: Sequence[StageLog], seed: int, stage: str) -> int:
    [found] = [log.steps for log in logs if (log.seed, log.stage) == (seed, stage)]
    return found
