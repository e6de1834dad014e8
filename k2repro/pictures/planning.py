"""Figures of notebook 04: what a plan does by level and by quality, and where the first mistake stands."""

import html
from collections.abc import Mapping

import numpy as np

from k2repro.notebook.palette import MARKERS, PALETTE
from k2repro.pictures.style import HATCHES, Picture


def levels_picture(values: Mapping[str, Mapping[str, Mapping[int, float]]], title: str, axis: str) -> Picture:
    """A group of bars for each level, a bar for each line of `values`, a dot for each seed.

    values: [line][level][seed].
    """
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    names, levels = list(values), list(next(iter(values.values())))
    width = 0.8 / len(names)
    dots = []
    for at, name in enumerate(names):
        means = [100 * float(np.mean(list(values[name][level].values()))) for level in levels]
        shift = (at - (len(names) - 1) / 2) * width
        figure.add_bar(
            x=[place + shift for place in range(len(levels))],
            y=means,
            width=width * 0.92,
            name=name,
            marker={"color": PALETTE[at % len(PALETTE)], "pattern": {"shape": HATCHES[at % len(HATCHES)]}},
        )
        dots += [
            (place + shift, 100 * value)
            for place, level in enumerate(levels)
            for value in values[name][level].values()
        ]
        records += [
            {"plan": name, "level": level, "mean": round(mean, 1)}
            | {f"seed {seed}": round(100 * value, 1) for seed, value in values[name][level].items()}
            for level, mean in zip(levels, means, strict=True)
        ]
    figure.add_scatter(
        x=[x for x, _ in dots],
        y=[y for _, y in dots],
        mode="markers",
        name="each solver",
        marker={"symbol": MARKERS[0], "size": 6, "color": "black"},
    )
    figure.update_xaxes(
        tickvals=list(range(len(levels))), ticktext=levels, title="operations that a problem needs"
    )
    figure.update_yaxes(title=axis)
    figure.update_layout(title=title, height=440, barmode="overlay")
    return figure, records


def marked_html(title: str, text: str, good: int, right: bool) -> str:
    """A response as HTML: what stands before its first mistake, and the rest, marked.

    good: characters before the first mistake; the whole length when there is none.
    """
    verdict = "right" if right else "wrong"
    first, rest = html.escape(text[:good]), html.escape(text[good:])
    marked = f'<span style="background:#f4c7c3;color:#222">{rest}</span>' if rest else ""
    return (
        f'<div style="flex:1;min-width:280px"><b>{html.escape(title)}</b>: {verdict}'
        f'<pre style="white-space:pre-wrap">{first}{marked}</pre></div>'
    )


def side_by_side_html(parts: list[str]) -> str:
    """Parts beside each other, below each other where the page is narrow."""
    return f'<div style="display:flex;gap:1.5em;flex-wrap:wrap">{"".join(parts)}</div>'
