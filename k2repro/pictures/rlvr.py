"""Figures of notebook 03, each built from logs and effects; plotly is imported when one is drawn.

Every function returns the figure and the records that it shows, in the two arguments that `show` wants.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from k2repro.evaluate.effects import Effect
from k2repro.lab.rlvr import Log
from k2repro.lab.rlvr_curves import CurveEffect
from k2repro.notebook.palette import DASHES, GREY, MARKERS, PALETTE
from k2repro.paper.facts import FactBook
from k2repro.paper.figures import curve as published_curve
from k2repro.pictures.marks import mistake_mark
from k2repro.pictures.rlvr_effects import MODELS, error_bars
from k2repro.pictures.style import BELOW, Picture, Records

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Curves of Figure 4 and the run that stands beside each.
PUBLISHED = {
    "from-sft": "TL: RL from SFT (K2-Think), AIME",
    "from-base": "TL: RL from base, AIME",
    "short-budget": "BL: 16K->32K, AIME",
}


def loss_picture(logs: Sequence[Log]) -> Picture:
    """Loss and reward of every step of some runs, one above the other, on the same steps."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.12)
    records: Records = []
    for place, log in enumerate(logs):
        steps = [record.step + 1 for record in log.records]
        style = {"color": PALETTE[place % len(PALETTE)], "dash": DASHES[place % len(DASHES)]}
        name = f"{MODELS[log.run.name]}, seed {log.seed}"
        for row, values in enumerate(
            ([record.loss for record in log.records], [record.reward for record in log.records]), 1
        ):
            figure.add_scatter(
                x=steps,
                y=values,
                name=name,
                line=style,
                mode="lines",
                row=row,
                col=1,
                legendgroup=name,
                showlegend=row == 1,
            )
        records += _step_records(name, log)
    losses = [record.loss for log in logs for record in log.records if record.loss is not None]
    largest = max(map(abs, losses), default=0.0)
    figure.update_yaxes(title="loss", range=[-max(0.1, 1.5 * largest), max(0.1, 1.5 * largest)], row=1, col=1)
    figure.update_yaxes(title="mean reward", range=[0, 1], row=2, col=1)
    figure.update_xaxes(title="step", row=2, col=1)
    figure.update_layout(title="The loss says nothing, the reward does", height=520, legend=BELOW)
    return figure, records


def _step_records(name: str, log: Log) -> Records:
    return [
        {
            "run": name,
            "step": record.step + 1,
            "loss": _rounded(record.loss),
            "reward": _rounded(record.reward),
            "gradient norm": _rounded(record.grad_norm),
            "groups with nothing to learn": record.all_right + record.all_wrong,
        }
        for record in log.records
    ]


def noise_picture(run: Sequence[float], still: Sequence[float]) -> Picture:
    """Rewards of a run beside those of a model that does not change, with the band of 95 % of those."""
    import plotly.graph_objects as go

    low, high = (float(np.quantile(still, probability)) for probability in (0.025, 0.975))
    shown = list(still[: len(run)])
    steps = list(range(1, len(run) + 1))
    figure = go.Figure()
    _add_band(figure, len(run), low, high)
    figure.add_scatter(
        x=steps,
        y=shown,
        mode="lines+markers",
        name="a model that does not change",
        line={"color": GREY, "dash": "dot", "width": 1.5},
        marker={"symbol": "x", "size": 6},
    )
    figure.add_scatter(
        x=steps,
        y=list(run),
        mode="lines+markers",
        name="the run",
        line={"color": PALETTE[0]},
        marker={"symbol": "circle", "size": 7},
    )
    figure.update_xaxes(title="step")
    figure.update_yaxes(title="mean reward of the batch")
    figure.update_layout(title="How much of a reward curve is noise", height=430, legend=BELOW)
    records = [
        {"step": step, "run": mine, "still model": other, "band low": low, "band high": high}
        for step, mine, other in zip(steps, run, shown, strict=False)
    ]
    return figure, records


def _add_band(figure: "Figure", steps: int, low: float, high: float) -> None:
    """A grey band between two levels, over all steps."""
    ends = [1, steps]
    figure.add_scatter(x=ends, y=[high, high], mode="lines", line={"width": 0}, showlegend=False)
    figure.add_scatter(
        x=ends,
        y=[low, low],
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor="rgba(107,114,128,0.2)",
        name="holds 95 % of a still model's batches",
    )


def curves_picture(curves: Mapping[str, Sequence[CurveEffect]], book: FactBook) -> Picture:
    """Curves of mini-K2 with intervals on the left, the paper's digitised Figure 4 on the right."""
    from plotly.subplots import make_subplots

    titles = ["mini-K2: probe, four tiers", "K2-Think, published: AIME (digitised)"]
    figure = make_subplots(rows=1, cols=2, subplot_titles=titles, horizontal_spacing=0.1)
    records: Records = []
    for place, (name, points) in enumerate(curves.items()):
        colour, dash = PALETTE[place % len(PALETTE)], DASHES[place % len(DASHES)]
        figure.add_scatter(
            x=[point.step for point in points],
            y=[point.effect.value for point in points],
            name=MODELS[name],
            mode="lines+markers",
            line={"color": colour, "dash": dash},
            legendgroup=name,
            marker={"symbol": MARKERS[place % len(MARKERS)], "size": 7},
            row=1,
            col=1,
            error_y=error_bars([point.effect for point in points]),
        )
        records += [
            {
                "source": "mini-K2",
                "run": MODELS[name],
                "step": point.step,
                "pass@1": point.effect.value,
                "low": point.effect.interval.low,
                "high": point.effect.interval.high,
            }
            for point in points
        ]
        if name in PUBLISHED:
            records += _published(figure, name, book, {"color": colour, "dash": dash})
    for column, label in ((1, "pass@1"), (2, "score")):
        figure.update_yaxes(title=label, range=[0, 1], row=1, col=column)
        figure.update_xaxes(title="optimisation steps", row=1, col=column)
    figure.update_layout(title="Reinforcement learning, here and in the paper", height=460, legend=BELOW)
    return figure, records


def _published(figure: "Figure", name: str, book: FactBook, line: dict[str, Any]) -> Records:
    series = published_curve(PUBLISHED[name], book)
    figure.add_scatter(
        x=series.xs,
        y=series.ys,
        mode="lines",
        name=MODELS[name],
        legendgroup=name,
        showlegend=False,
        line={**line, "width": 2},
        row=1,
        col=2,
    )
    marked = {"start": series.start, "peak": series.peak, "last": series.last}
    return [
        {
            "source": f"paper, {at}",
            "run": MODELS[name],
            "step": point.x,
            "pass@1": point.y,
            "low": None,
            "high": None,
        }
        for at, point in marked.items()
    ]


def mistakes_picture(shares: Mapping[str, Mapping[str, float]]) -> Picture:
    """Stacked bars: for each model, which first mistake its responses make; right ones make up the rest."""
    import plotly.graph_objects as go

    kinds = list(dict.fromkeys(kind for mix in shares.values() for kind in mix))
    figure = go.Figure()
    for kind in kinds:
        figure.add_bar(
            y=[MODELS[model] for model in shares],
            x=[100 * mix.get(kind, 0.0) for mix in shares.values()],
            name=kind,
            orientation="h",
            marker=mistake_mark(kind),
        )
    figure.update_xaxes(title="share of all responses (%)")
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(
        title="The first mistake of wrong responses",
        barmode="stack",
        height=220 + 44 * len(shares),
        legend={"orientation": "h", "y": -0.35, "traceorder": "normal"},
    )
    records = [
        {"model": MODELS[model], **{kind: round(100 * mix.get(kind, 0.0), 2) for kind in kinds}}
        for model, mix in shares.items()
    ]
    return figure, records


def lengths_picture(levels: Mapping[str, Mapping[str, Effect]]) -> Picture:
    """Mean response length, a line for each model over its tiers, with intervals."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    for place, (model, tiers) in enumerate(levels.items()):
        figure.add_scatter(
            x=list(tiers),
            y=[effect.value for effect in tiers.values()],
            name=MODELS[model],
            mode="lines+markers",
            line={"color": PALETTE[place % len(PALETTE)], "dash": DASHES[place % len(DASHES)]},
            marker={"symbol": MARKERS[place % len(MARKERS)]},
            error_y=error_bars(list(tiers.values())),
        )
        records += [
            {
                "model": MODELS[model],
                "tier": tier,
                "tokens": effect.value,
                "low": effect.interval.low,
                "high": effect.interval.high,
            }
            for tier, effect in tiers.items()
        ]
    figure.update_yaxes(title="tokens of a response", rangemode="tozero")
    figure.update_layout(title="How long the responses are", height=430, legend=BELOW)
    return figure, records


def _rounded(number: float | None) -> float | None:
    """As a table shows it."""
    return None if number is None else round(number, 5)
