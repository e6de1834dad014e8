"""Effects of notebook 03 in words, as a figure and as tables: what is compared, over which seeds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from k2repro.evaluate.effects import Effect
from k2repro.lab.pools import KINDS, SHARP
from k2repro.lab.rlvr_rows import LABELS, SHARP_RL, SHARP_SFT, SWITCHED
from k2repro.mini.benchmarks import MATHS
from k2repro.notebook.palette import GREY, PALETTE, VERMILLION
from k2repro.pictures.style import BELOW, Picture, Records

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# What the models and runs are called in figures and tables; ids are for rows.
MODELS = {
    "base": "base",
    "sft": "SFT",
    "from-sft": "RL from SFT",
    "from-base": "RL from base",
    SWITCHED: "RL, short budget, at the switch",
    "short-budget": "RL, short budget and then the full one",
    "broken-reward": "RL, every answer paid",
    "uncentred": "RL, group mean left in",
    SHARP_SFT: f"SFT at temperature {SHARP}",
    SHARP_RL: f"RL from SFT at temperature {SHARP}",
}
AGAINST = {
    "rlvr.broken_reward_minus_sft": "every answer paid, against SFT",
    "rlvr.broken_reward_minus_sound_run": "every answer paid, against RL from SFT",
    "rlvr.uncentred_minus_sft": "group mean left in, against SFT",
    "rlvr.uncentred_minus_sound_run": "group mean left in, against RL from SFT",
}


def effects_picture(effects: Mapping[str, Effect], title: str, axis: str) -> Picture:
    """Differences with their intervals, each seed a dot, and a line at zero.

    An effect of a single seed is drawn hollow and says so: its interval knows nothing of training.
    """
    import plotly.graph_objects as go

    names = {name: name if len(each.seeds) > 1 else f"{name} (one seed)" for name, each in effects.items()}
    figure = go.Figure()
    for single, legend, symbol in (
        (False, "mean over seeds", "diamond"),
        (True, "one seed: decides nothing", "diamond-open"),
    ):
        chosen = {name: each for name, each in effects.items() if (len(each.seeds) == 1) == single}
        if chosen:
            figure.add_scatter(
                x=[100 * each.value for each in chosen.values()],
                y=[names[name] for name in chosen],
                mode="markers",
                marker={"size": 10, "symbol": symbol, "color": PALETTE[0]},
                name=legend,
                error_x=error_bars(list(chosen.values()), 100),
            )
    _add_seed_dots(figure, {names[name]: each for name, each in effects.items() if len(each.seeds) > 1})
    order = list(names.values())
    figure.add_scatter(
        x=[0, 0],
        y=[order[0], order[-1]],
        mode="lines",
        name="no difference",
        line={"color": GREY, "dash": "dot", "width": 1.5},
    )
    figure.update_xaxes(title=axis)
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1])
    figure.update_layout(title=title, height=230 + 36 * len(order), legend=BELOW)
    return figure, effect_records(effects)


def _add_seed_dots(figure: "Figure", effects: Mapping[str, Effect]) -> None:
    """The value of each seed alone, on the line of its effect."""
    dots = [(name, 100 * value) for name, effect in effects.items() for value, _ in effect.by_seed.values()]
    if dots:
        figure.add_scatter(
            x=[value for _, value in dots],
            y=[name for name, _ in dots],
            mode="markers",
            name="each seed",
            marker={"size": 6, "symbol": "circle-open", "color": VERMILLION},
        )


def gain_words(row: str) -> str:
    """What a row `rlvr.gain_from_<start>[.<part>]` is called in a figure.

    >>> gain_words("rlvr.gain_from_sft.tier-1"), gain_words("rlvr.gain_from_base")
    ('from SFT, tier-1', 'from base, all tiers')
    """
    start, _, part = row.removeprefix("rlvr.gain_from_").partition(".")
    return f"from {MODELS[start]}, {part if part not in ('', 'mean') else 'all tiers'}"


def change_words(row: str) -> str:
    """What a row `rlvr.change.<run>.<what>` is called in a table.

    >>> change_words("rlvr.change.from-sft.mistake.wrong-look-up")
    'RL from SFT: wrong look-up'
    >>> change_words("rlvr.change.from-base.cut_off")
    'RL from base: cut off by the budget'
    """
    run, _, what = row.removeprefix("rlvr.change.").partition(".")
    kinds = {kind.replace(" ", "-"): kind for kind in KINDS}
    words = {"cut_off": "cut off by the budget", "length": "tokens of a response"}
    return f"{MODELS[run]}: {words.get(what) or kinds[what.removeprefix('mistake.')]}"


def rate_records(
    rates: Mapping[str, Effect], beside: Sequence[str] = ("sft", "from-sft")
) -> dict[str, Records]:
    """pass@1 in per cent by model and tier: a table for each set of seeds, under a caption that names them.

    Means over other seeds cannot stand in one column. Under a smaller set the models of `beside` are
    repeated on exactly its seeds, so that each table can be read down.
    """
    seeds = {model: rates[f"rlvr.pass_at_1.{label}.mean"].seeds for model, label in LABELS.items()}
    largest_first = sorted(set(seeds.values()), key=len, reverse=True)
    found: dict[str, Records] = {}
    for chosen in largest_first:
        own = [model for model in LABELS if seeds[model] == chosen]
        again = [model for model in beside if model not in own and set(chosen) <= set(seeds[model])]
        many = (
            f"mean over {len(chosen)} seeds"
            if len(chosen) > 1
            else f"seed {chosen[0]} alone: decides nothing"
        )
        found[f"pass@1 on the test problems (%), {many}"] = [
            {
                "model": MODELS[model],
                **{
                    {"mean": "all tiers"}.get(tier, tier): _on_seeds(
                        rates[f"rlvr.pass_at_1.{LABELS[model]}.{tier}"], chosen
                    )
                    for tier in (*MATHS, "mean")
                },
            }
            for model in [*again, *own]
        ]
    return found


def _on_seeds(effect: Effect, seeds: Sequence[int]) -> float:
    return round(100 * float(np.mean([effect.by_seed[seed][0] for seed in seeds])), 1)


def effect_records(effects: Mapping[str, Effect], adjusted: Mapping[str, float] | None = None) -> Records:
    """Effects in points as a table, with Holm-adjusted p-values where they are given."""
    records: Records = []
    for name, effect in effects.items():
        record = {
            "comparison": name,
            "points": round(100 * effect.value, 2),
            "low": round(100 * effect.interval.low, 2),
            "high": round(100 * effect.interval.high, 2),
            "problems": effect.n,
            "seeds": len(effect.seeds),
            "seeds that agree": effect.agreeing,
        }
        if adjusted is not None:
            record["p, Holm"] = f"{adjusted[name]:.2g}"
        records.append(record)
    return records


def error_bars(effects: Sequence[Effect], factor: float = 1.0) -> dict[str, Any]:
    """Error bars from the intervals of effects."""
    return {
        "type": "data",
        "symmetric": False,
        "thickness": 1.5,
        "array": [factor * (effect.interval.high - effect.value) for effect in effects],
        "arrayminus": [factor * (effect.value - effect.interval.low) for effect in effects],
    }
