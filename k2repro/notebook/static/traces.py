"""Which function draws which trace type, and what all traces share."""

from collections.abc import Callable
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.notebook.palette import template
from k2repro.notebook.static.axes import Canvas
from k2repro.notebook.static.bar import draw_bar
from k2repro.notebook.static.heatmap import draw_heatmap
from k2repro.notebook.static.scatter import draw_scatter

DRAWERS: dict[str, Callable[[Canvas, dict[str, Any], int], None]] = {
    "bar": draw_bar,
    "heatmap": draw_heatmap,
    "scatter": draw_scatter,
}


def is_visible(trace: dict[str, Any]) -> bool:
    """Plotly hides a trace with visible False, and one whose visibility waits for a click."""
    return trace.get("visible") not in (False, "legendonly")


def draw_trace(canvas: Canvas, trace: dict[str, Any], number: int) -> None:
    """Draw one trace; `number` is its place in the figure, which decides its colour."""
    kind = trace.get("type", "scatter")
    if kind not in DRAWERS:
        raise K2ReproError(
            f"show: trace type {kind!r} has no static drawing; supported: {', '.join(sorted(DRAWERS))}"
        )
    DRAWERS[kind](canvas, merged(template()["data"][kind][0], trace), number)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, key by key through nested records."""
    out = dict(base)
    for key, value in over.items():
        inner = out.get(key)
        both = isinstance(inner, dict) and isinstance(value, dict)
        out[key] = merged(inner, value) if both and inner is not None else value
    return out
