"""The figure of notebook 03 about many samples."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from k2repro.evaluate.effects import Effect
from k2repro.notebook.palette import DASHES, GREY, MARKERS, PALETTE
from k2repro.pictures.style import BELOW, Picture, Records

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

NAMES = {"sft": "SFT", "rl": "RL from SFT"}


def pass_at_k_picture(curves: Mapping[str, Effect], ks: Sequence[int], crossing: int | None) -> Picture:
    """pass@k of SFT and RL over k, each seed a thin line; a ring where RL is no longer ahead."""
    import plotly.graph_objects as go

    figure = go.Figure()
    records: Records = []
    for at, (model, name) in enumerate(NAMES.items()):
        effects = [curves[f"rlvr.large_k.pass.{model}.k{k}"] for k in ks]
        line = {"color": PALETTE[at], "dash": DASHES[at]}
        for number, seed in enumerate(effects[0].seeds):
            figure.add_scatter(
                x=list(ks),
                y=[100 * each.by_seed[seed][0] for each in effects],
                mode="lines",
                line={**line, "width": 1},
                opacity=0.5,
                name=f"{name}, each seed",
                legendgroup=f"{name}, each seed",
                showlegend=number == 0,
            )
        figure.add_scatter(
            x=list(ks),
            y=[100 * each.value for each in effects],
            mode="lines+markers",
            line={**line, "width": 3},
            marker={"symbol": MARKERS[at], "size": 9},
            name=name,
        )
        records += [_record(name, k, each) for k, each in zip(ks, effects, strict=True)]
    if crossing is not None:
        figure.add_scatter(
            x=[crossing],
            y=[100 * curves[f"rlvr.large_k.pass.sft.k{crossing}"].value],
            mode="markers",
            marker={"symbol": "circle-open", "size": 18, "color": GREY, "line": {"width": 2}},
            name=f"RL no longer ahead, from k = {crossing}",
        )
    _label(figure, ks)
    return figure, records


def _label(figure: "Figure", ks: Sequence[int]) -> None:
    figure.update_xaxes(
        title="k, samples for each problem (log scale)",
        type="log",
        tickvals=list(ks),
        ticktext=[str(k) for k in ks],
    )
    figure.update_yaxes(title="problems with a right sample among k (%)")
    figure.update_layout(title="pass@k before and after reinforcement learning", height=440, legend=BELOW)


def _record(name: str, k: int, effect: Effect) -> dict[str, object]:
    seeds = {f"seed {seed}": round(100 * value, 1) for seed, (value, _) in effect.by_seed.items()}
    return {
        "model": name,
        "k": k,
        "pass@k (%)": round(100 * effect.value, 1),
        "low": round(100 * effect.interval.low, 1),
        "high": round(100 * effect.interval.high, 1),
        **seeds,
    }
