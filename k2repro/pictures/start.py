"""Figures of notebook 00: the map of the kit, and what a plan changes."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from k2repro.notebook.palette import BLUE, GREY, INK, VERMILLION
from k2repro.pictures.style import Picture, Records

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

STAGES = ("the model", "training", "test time", "speed", "verdicts")
# number, name, column, height, the question that it answers
PILLARS = (
    ("01", "architecture", 0, 0, "Where do the weights and the memory go?"),
    ("02", "fine-tuning", 1, 1, "What do long chains of thought teach?"),
    ("03", "RL, verifiable", 1, -1, "What does a checked answer teach?"),
    ("04", "planning", 2, 1, "Does a plan before thinking help?"),
    ("05", "best-of-N", 2, -1, "What do more samples buy?"),
    ("06", "speculation", 3, 1, "Is a drafted answer the same answer?"),
    ("07", "the wafer", 3, -1, "How fast can weights be read?"),
    ("08", "paper tables", 4, 0, "Which published claims hold?"),
)


def map_picture(notebooks: Collection[str]) -> Picture:
    """Five columns from the model to the verdicts; a pillar without a notebook is hollow.

    notebooks   names of the profile's notebooks, such as "01_architecture"
    """
    import plotly.graph_objects as go

    present = {name[:2] for name in notebooks}
    figure = go.Figure()
    for column, stage in enumerate(STAGES):
        figure.add_annotation(x=column, y=2, text=f"<b>{stage}</b>", showarrow=False)
    for column in range(len(STAGES) - 1):
        figure.add_annotation(
            x=column + 0.66,
            ax=column + 0.34,
            y=0,
            ay=0,
            xref="x",
            axref="x",
            yref="y",
            ayref="y",
            arrowhead=2,
            arrowwidth=2,
            arrowcolor=GREY,
        )
    for is_here, name in ((True, "in this version"), (False, "to come")):
        chosen = [pillar for pillar in PILLARS if (pillar[0] in present) == is_here]
        if chosen:
            _add_squares(figure, chosen, is_here, name)
    figure.update_xaxes(visible=False, range=[-0.5, 4.5])
    figure.update_yaxes(visible=False, range=[-1.9, 2.3])
    figure.update_layout(height=400, legend={"orientation": "h", "y": 0, "itemsizing": "constant"})
    records: Records = [
        {"notebook": number, "pillar": pillar, "question": question, "in this version": number in present}
        for number, pillar, _, _, question in PILLARS
    ]
    return figure, records


def _add_squares(
    figure: "Figure", chosen: list[tuple[str, str, int, int, str]], here: bool, name: str
) -> None:
    """Numbered squares, named below, with their question on hover."""
    colour = BLUE if here else GREY
    figure.add_scatter(
        x=[pillar[2] for pillar in chosen],
        y=[pillar[3] for pillar in chosen],
        name=name,
        mode="markers+text",
        text=[pillar[0] for pillar in chosen],
        hovertext=[pillar[4] for pillar in chosen],
        hoverinfo="text",
        textposition="middle center",
        textfont={"color": "white" if here else INK, "size": 16},
        marker={"symbol": "square" if here else "square-open", "size": 52, "color": colour, "opacity": 1},
    )
    for _, word, column, height, _ in chosen:
        figure.add_annotation(x=column, y=height, yshift=-40, text=word, showarrow=False)


def changes_picture(changes: Mapping[str, float], noise: Mapping[str, float]) -> Picture:
    """Change of each benchmark in points, with the bound within which chance alone could do it."""
    import plotly.graph_objects as go

    names = list(changes)
    figure = go.Figure(
        go.Scatter(
            y=names,
            x=[changes[name] for name in names],
            mode="markers+text",
            text=[f"{changes[name]:+.2f}" for name in names],
            textposition="top center",
            marker={
                "size": 12,
                "color": [VERMILLION if changes[name] < 0 else BLUE for name in names],
                "symbol": ["diamond" if changes[name] < 0 else "circle" for name in names],
            },
            error_x={"type": "data", "array": [noise[name] for name in names]},
        )
    )
    widest = max(abs(changes[name]) + noise[name] for name in names)
    figure.update_xaxes(
        title="points against the checkpoint; whiskers: two standard errors",
        range=[-1.05 * widest, 1.05 * widest],
        zeroline=True,
    )
    # Half a line of room above the first: its number stands over its dot.
    figure.update_yaxes(range=[len(names) - 0.5, -0.7])
    figure.update_layout(title="What a plan alone changes", height=360)
    records: Records = [
        {"benchmark": n, "change in points": f"{changes[n]:+.2f}", "two standard errors": f"{noise[n]:.1f}"}
        for n in names
    ]
    return figure, records
