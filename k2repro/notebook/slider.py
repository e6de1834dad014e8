"""A figure whose states a slider switches: plotly frames, so that it works without a kernel."""

import math
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from k2repro.errors import K2ReproError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PADDING = 0.06
FRAME_MS = 100
# What a slider with its label takes of a live figure's height; a still picture has no slider.
SLIDER_ROOM = 90


def with_slider(
    states: Sequence[Sequence[Any]],
    labels: Sequence[str],
    prefix: str,
    suffix: str = "",
    *,
    first: int = -1,
    play: bool = False,
) -> "Figure":
    """A figure of `states`, each a list of traces, under a slider with their labels.

    prefix, suffix   around the label above the slider, such as "after " and " steps"
    first            the state that is shown before the slider is moved, and in the still picture
    play             buttons that run through all states, and stop
    """
    import plotly.graph_objects as go

    figure = go.Figure(
        data=list(states[first]),
        frames=[go.Frame(data=list(state), name=label) for state, label in zip(states, labels, strict=True)],
    )
    figure.update_layout(
        sliders=[
            {
                "active": first % len(states),
                "currentvalue": {"prefix": prefix, "suffix": suffix},
                "pad": {"t": 50},
                "steps": [
                    {"label": label, "method": "animate", "args": [[label], _at_pace(0)]} for label in labels
                ],
            }
        ]
    )
    if play:
        buttons = [
            {"label": "Play", "method": "animate", "args": [None, _at_pace(FRAME_MS)]},
            {"label": "Stop", "method": "animate", "args": [[None], _at_pace(0)]},
        ]
        place = {"direction": "left", "x": 1, "xanchor": "right", "y": 1.18, "showactive": False}
        figure.update_layout(updatemenus=[{"type": "buttons", "buttons": buttons, **place}])
    return figure


def _at_pace(milliseconds: int) -> dict[str, Any]:
    return {
        "mode": "immediate",
        "fromcurrent": True,
        "frame": {"duration": milliseconds, "redraw": True},
        "transition": {"duration": 0},
    }


def shown_state(layout: Mapping[str, Any]) -> list[str]:
    """For the alternative text: the state that is drawn, and how many there are; empty without a slider."""
    return [f"Shown: {state} of a slider." for state in still_states(layout)]


def still_states(layout: Mapping[str, Any]) -> list[str]:
    """What a still picture shows of each slider, such as "batch 1, one of 3 states"; empty without one.

    A page without JavaScript has the picture and no slider: it has to say which state it is.
    """
    found = []
    for slider in layout.get("sliders") or ():
        steps = [step for step in slider.get("steps") or () if step.get("visible", True)]
        if len(steps) > 1:
            around = slider.get("currentvalue") or {}
            prefix = str(around.get("prefix") or "").strip().rstrip(":")
            label = steps[min(slider.get("active") or 0, len(steps) - 1)].get("label") or ""
            words = f"{prefix} {label}{around.get('suffix') or ''}".strip()
            found.append(f"{words}, one of {len(steps)} states")
    return found


def with_fixed_axes(figure: "Figure") -> "Figure":
    """The figure with number axes wide enough for every state; unchanged without a slider.

    Plotly keeps the range of the first state while a slider moves, so lines of others leave the plot.
    Axes that have a range keep it; axes of categories and stacked bars are left to plotly.
    """
    import plotly.graph_objects as go

    if not figure.frames or figure.layout.barmode in ("stack", "relative"):
        return figure
    figure = go.Figure(figure)
    traces = [trace for state in (figure, *figure.frames) for trace in state.data]
    for axis in ("x", "y"):
        layout = figure.layout[f"{axis}axis"]
        if layout.range or layout.autorange or any(_has_texts(trace, axis) for trace in traces):
            continue
        log = layout.type == "log"
        values = [v for trace in traces for v in _numbers(trace, axis, positive=log, with_errors=True)]
        if values:
            places = [math.log10(v) if log else v for v in values]
            if not log and any(
                trace.type == "bar" and (trace.orientation or "v") == _UPRIGHT[axis] for trace in traces
            ):
                places.append(0.0)
            room = PADDING * (max(places) - min(places) or 1.0)
            layout.range = [min(places) - room * (min(places) != 0.0), max(places) + room]
    return figure


_UPRIGHT = {"x": "h", "y": "v"}


def _has_texts(trace: Any, axis: str) -> bool:
    values = getattr(trace, axis, None)
    return values is not None and any(isinstance(value, str) for value in values)


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


def _numbers(trace: Any, axis: str, *, positive: bool, with_errors: bool = False) -> Iterator[float]:
    """Finite numbers of a trace on the first pair of axes, with their error bars' ends if asked."""
    if getattr(trace, f"{axis}axis", None) not in (None, axis):
        return
    values = getattr(trace, axis, None)
    values = list(values) if values is not None else []
    bars = getattr(trace, f"error_{axis}", None)
    if with_errors and bars is not None and bars.array is not None:
        down = bars.arrayminus if bars.arrayminus is not None else bars.array
        values += [v + up for v, up in zip(values, bars.array, strict=False) if None not in (v, up)]
        values += [v - low for v, low in zip(values, down, strict=False) if None not in (v, low)]
    for value in values:
        number = type(value) is not bool and isinstance(value, Real) and math.isfinite(value)
        if number and (value > 0 or not positive):
            yield float(value)
