"""A figure whose traces a slider or a play button switches, without a kernel."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def slide(
    states: Sequence[Sequence[Mapping[str, Any]]],
    labels: Sequence[str],
    prefix: str,
    suffix: str = "",
    *,
    play: bool = False,
    start: int = -1,
) -> "Figure":
    """A figure whose traces a slider switches; works without a kernel.

    start: the state that is shown at first; the last one if not told.
    """
    import plotly.graph_objects as go

    frames = [go.Frame(data=list(state), name=label) for state, label in zip(states, labels, strict=True)]
    jump = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    steps = [{"label": label, "method": "animate", "args": [[label], jump]} for label in labels]
    figure = go.Figure(data=list(states[start]), frames=frames)
    figure.update_layout(
        sliders=[
            {
                "active": range(len(states))[start],
                "currentvalue": {"prefix": prefix, "suffix": suffix},
                "pad": {"t": 60},
                "steps": steps,
            }
        ]
    )
    if play:
        run = {
            "frame": {"duration": 100, "redraw": True},
            "transition": {"duration": 0},
            "fromcurrent": False,
            "mode": "immediate",
        }
        figure.update_layout(
            updatemenus=[
                {
                    "type": "buttons",
                    "showactive": False,
                    "x": 1,
                    "xanchor": "right",
                    "y": 1.18,
                    "buttons": [{"label": "Play", "method": "animate", "args": [None, run]}],
                }
            ]
        )
    return figure
