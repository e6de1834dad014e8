"""A figure whose states a slider switches: plotly frames, so that it works without a kernel."""

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from k2repro.errors import K2ReproError

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


def shown_state(layout: Mapping[str, Any]) -> list[str]:
    """For the alternative text: the state that is drawn, and how many there are; empty without a slider."""
    sentences = []
    for slider in layout.get("sliders") or ():
        steps = slider.get("steps") or ()
        if len(steps) > 1:
            prefix = str((slider.get("currentvalue") or {}).get("prefix") or "").strip().rstrip(":")
            words = f"{prefix} {steps[slider.get('active') or 0]['label']}".strip()
            sentences.append(f"Shown: {words}, one of {len(steps)} states of a slider.")
    return sentences


def check_states(figure: "Figure") -> None:
    """Refuse a slider that moves its data out of sight: fixed axes have to hold every state.

    Raises K2ReproError that names the state, the axis and the value. Axes without a fixed range, and
    axes of categories, follow the data and are not looked at.
    """
    ranges = {
        axis: sorted(map(float, layout.range))
        for axis, layout in (("x", figure.layout.xaxis), ("y", figure.layout.yaxis))
        if layout.range and layout.type not in ("category", "date") and None not in layout.range
    }
    logs = {axis: figure.layout[f"{axis}axis"].type == "log" for axis in ranges}
    for frame in figure.frames:
        for trace in frame.data:
            for axis, (low, high) in ranges.items():
                for value in _numbers(trace, axis, positive=logs[axis]):
                    if not low <= (math.log10(value) if logs[axis] else value) <= high:
                        raise K2ReproError(
                            f"show: in the slider's state {frame.name!r} the {axis} value {value:g} leaves "
                            f"the fixed axis {low:g} .. {high:g}. Widen the axis so that it holds every state"
                        )


def _numbers(trace: Any, axis: str, *, positive: bool) -> Iterator[float]:
    """Finite numbers of a trace on the first pair of axes; texts are categories."""
    if getattr(trace, f"{axis}axis", None) not in (None, axis):
        return
    values = getattr(trace, axis, None)
    for value in values if values is not None else ():
        number = type(value) is not bool and isinstance(value, Real) and math.isfinite(value)
        if number and (value > 0 or not positive):
            yield float(value)
