"""Figures of notebook 05: what selectors reach over N, who is fooled by more samples, and what tokens buy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2repro.notebook.palette import DASHES, MARKERS, PALETTE
from k2repro.pictures.style import Picture

Curve = Mapping[int, NDArray[np.float64]]


def curves_picture(curves: Mapping[str, Curve], title: str) -> Picture:
    """Accuracy over N for each selector, the mean of the seeds as a line; records say each seed."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    for at, (name, by_seed) in enumerate(curves.items()):
        mean = np.mean(list(by_seed.values()), axis=0)
        figure.add_scatter(
            x=list(range(1, len(mean) + 1)),
            y=mean.tolist(),
            name=name,
            mode="lines+markers",
            line={"color": PALETTE[at % len(PALETTE)], "dash": DASHES[at % len(DASHES)]},
            marker={"symbol": MARKERS[at % len(MARKERS)], "size": 7},
        )
        records += [
            {"selector": name, "N": n + 1, "mean": round(float(value), 4)}
            | {f"seed {seed}": round(float(curve[n]), 4) for seed, curve in by_seed.items()}
            for n, value in enumerate(mean)
        ]
    figure.update_xaxes(title="samples to choose from, N", dtick=1)
    figure.update_yaxes(title="share of problems right")
    figure.update_layout(title=title, height=460)
    return figure, records


def seeds_picture(values: Mapping[str, Mapping[int, float]], title: str, axis: str) -> Picture:
    """A bar for the mean of each line and a dot for each seed, one below the other."""
    import plotly.graph_objects as go

    names = list(values)
    means = [float(np.mean(list(values[name].values()))) for name in names]
    figure = go.Figure()
    figure.add_bar(
        y=names, x=[100 * mean for mean in means], orientation="h", name="mean", marker={"color": PALETTE[0]}
    )
    seeds = list(values[names[0]])
    for at, seed in enumerate(seeds):
        present = [name for name in names if seed in values[name]]
        figure.add_scatter(
            y=present,
            x=[100 * values[name][seed] for name in present],
            mode="markers",
            name=f"seed {seed}",
            marker={
                "symbol": MARKERS[at % len(MARKERS)],
                "size": 9,
                "color": PALETTE[(at + 1) % len(PALETTE)],
                "line": {"width": 1, "color": "white"},
            },
        )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title=axis, zeroline=True)
    figure.update_layout(title=title, height=120 + 36 * len(names))
    records = [
        {"what": name, "mean": round(100 * mean, 1)}
        | {f"seed {seed}": round(100 * value, 1) for seed, value in values[name].items()}
        for name, mean in zip(names, means, strict=True)
    ]
    return figure, records


def budget_picture(points: Sequence[Mapping[str, Any]], curve: Sequence[tuple[float, float]]) -> Picture:
    """Accuracy against the solver's tokens a question: ways to spend them as points, best-of-N as a line.

    points: name, tokens, accuracy. curve: (tokens, accuracy) at N = 1, 2, ...
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=[tokens for tokens, _ in curve],
        y=[accuracy for _, accuracy in curve],
        mode="lines+markers+text",
        text=[f"N={n}" if n in (1, 2, 3, 4, 8) else "" for n in range(1, len(curve) + 1)],
        textposition="bottom right",
        name="N searches, the same choice",
        line={"color": PALETTE[0]},
    )
    for at, point in enumerate(points, 1):
        figure.add_scatter(
            x=[point["tokens"]],
            y=[point["accuracy"]],
            mode="markers",
            name=point["name"],
            marker={"symbol": MARKERS[at % len(MARKERS)], "size": 13, "color": PALETTE[at % len(PALETTE)]},
        )
    figure.update_xaxes(title="tokens that the solver writes for a question", rangemode="tozero")
    figure.update_yaxes(title="share of problems right")
    figure.update_layout(title="What a token buys", height=440)
    line = [
        {"what": f"{n} searches", "tokens": round(tokens), "right": round(accuracy, 4)}
        for n, (tokens, accuracy) in enumerate(curve, 1)
    ]
    return figure, line + [
        {"what": each["name"], "tokens": round(each["tokens"]), "right": round(each["accuracy"], 4)}
        for each in points
    ]
