"""A figure whose states a slider switches: plotly frames, so that it works without a kernel."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def with_slider(
    states: Sequence[Sequence[Mapping[str, Any]]], labels: Sequence[str], prefix: str, *, first: int = -1
) -> "Figure":
    """A figure of `states`, each a list of traces, under a slider with their labels.

    first: the state that is shown before the slider is moved, and in the still picture.
    """
    import plotly.graph_objects as go

    jump = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    figure = go.Figure(
        data=list(states[first]),
        frames=[go.Frame(data=list(state), name=label) for state, label in zip(states, labels, strict=True)],
    )
    figure.update_layout(
        sliders=[
            {
                "active": first % len(states),
                "currentvalue": {"prefix": prefix},
                "pad": {"t": 50},
                "steps": [{"label": label, "method": "animate", "args": [[label], jump]} for label in labels],
            }
        ]
    )
    return figure
