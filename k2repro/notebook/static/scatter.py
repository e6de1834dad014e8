"""Scatter traces: lines, markers, words, filled areas and error bars."""

import math
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.notebook.palette import INK
from k2repro.notebook.plain import plain_text
from k2repro.notebook.static.axes import Canvas, Panel
from k2repro.notebook.static.colour import colour, colour_scaling, dash_style, marker_symbol, trace_colour
from k2repro.notebook.static.errors import draw_error_bars, each_point
from k2repro.notebook.static.format import fill_template

FILLS = (None, "none", "tozeroy", "tonexty", "toself")
FEW_POINTS = 20  # plotly marks the points of a shorter line when no mode is given


def draw_scatter(canvas: Canvas, trace: dict[str, Any], number: int) -> None:
    """Draw one scatter trace and its legend entry."""
    panel = canvas.panel_of(trace.get("xaxis") or "x", trace.get("yaxis") or "y")
    x, y = _points(panel, trace)
    mode = trace.get("mode") or ("lines+markers" if len(x) < FEW_POINTS else "lines")
    line, marker = trace.get("line") or {}, trace.get("marker") or {}
    own = trace_colour(number)
    main = line.get("color") or (marker["color"] if isinstance(marker.get("color"), str) else own)
    opacity = trace.get("opacity")
    _fill(canvas, panel, trace, x, y, main)
    for key in ("error_x", "error_y"):
        draw_error_bars(panel, trace.get(key) or {}, key, x, y, colour(main))
    handles: list[Any] = []
    if "lines" in mode:
        handles.append(_draw_line(panel, trace, x, y, colour(main, opacity)))
    if "markers" in mode and x:  # an empty trace has no entry, as in plotly
        handles.append(_draw_markers(canvas, panel, trace, x, y, main))
    if "text" in mode:
        _draw_words(panel, trace, x, y)
    canvas.last_line[(panel.x.name, panel.y.name)] = (x, y)
    add_legend(canvas, trace, _legend_handle(trace, handles, main))


def _legend_handle(trace: dict[str, Any], handles: list[Any], main: str) -> Any:
    """Line and marker together; a coloured field for an area without a line of its own."""
    from matplotlib.patches import Patch

    filled = trace.get("fill") not in (None, "none")
    bare = trace.get("mode") == "none" or trace["line"].get("width") == 0
    return Patch(color=_fill_colour(trace, main)) if filled and bare else tuple(handles)


def add_legend(canvas: Canvas, trace: dict[str, Any], handle: Any) -> None:
    """Remember a legend entry; a legend group of traces with one name has one entry."""
    name = plain_text(trace.get("name"))
    if trace.get("showlegend") is False or not name or not handle:
        return
    grouped = trace.get("legendgroup") and any(label == name for label, _ in canvas.legend)
    if not grouped:
        canvas.legend.append((name, handle))


def _points(panel: Panel, trace: dict[str, Any]) -> tuple[list[float], list[float]]:
    xs, ys = trace.get("x"), trace.get("y")
    if xs is None and ys is None:
        raise K2ReproError(f"show: scatter trace {trace.get('name')!r} has neither x nor y")
    xs = list(range(len(ys or []))) if xs is None else xs
    ys = list(range(len(xs))) if ys is None else ys
    size = min(len(xs), len(ys))
    return panel.x.positions(xs[:size]), panel.y.positions(ys[:size])


def _draw_line(panel: Panel, trace: dict[str, Any], x: list[float], y: list[float], ink: Any) -> Any:
    line = trace["line"]
    [drawn] = panel.ax.plot(
        x,
        y,
        color=ink,
        linewidth=line.get("width", 2),
        linestyle=dash_style(line.get("dash")),
        zorder=3,
        solid_joinstyle="round",
    )
    return drawn


def _draw_markers(
    canvas: Canvas, panel: Panel, trace: dict[str, Any], x: list[float], y: list[float], main: str
) -> Any:
    """Markers; sizes are diameters in pixels, symbols and colours may differ point by point."""
    marker, count = trace["marker"], len(x)
    sizes = each_point(marker.get("size", 6), count)
    faces = marker_colours(canvas, marker, count, main, trace.get("opacity"))
    edge = marker.get("line") or {}
    symbols = each_point(marker.get("symbol"), count)
    handle: Any = None
    for symbol in dict.fromkeys(symbols):
        shape, hollow = marker_symbol(symbol)
        chosen = [i for i in range(count) if symbols[i] == symbol]
        face = _one_or_all([faces[i] for i in chosen])
        area = _one_or_all([(sizes[i] or 0) ** 2 for i in chosen])
        width = edge.get("width") or (2 if hollow or shape in "|_" else 0)
        rim = colour(edge["color"]) if edge.get("color") else face
        handle = panel.ax.scatter(
            [x[i] for i in chosen],
            [y[i] for i in chosen],
            s=area,
            marker=shape,
            edgecolors=rim,
            facecolors="none" if hollow else face,
            linewidths=width,
            zorder=4,
        )
    return handle


def _one_or_all(values: list[Any]) -> Any:
    """A single value when all are equal: the picture then holds one marker shape, used many times."""
    return values[:1] if len(set(values)) == 1 else values


def marker_colours(
    canvas: Canvas, marker: dict[str, Any], count: int, main: str, opacity: float | None
) -> list[Any]:
    shade = marker.get("opacity") if isinstance(marker.get("opacity"), int | float) else opacity
    given = marker.get("color")
    if not isinstance(given, list):
        return [colour(given or main, shade)] * count
    if any(isinstance(each, str) for each in given):
        return [colour(each or main, shade) for each in given[:count]]
    values = [math.nan if each is None else float(each) for each in given[:count]]
    axis = canvas.layout.get(marker["coloraxis"]) or {} if marker.get("coloraxis") else marker
    norm, scale = colour_scaling(axis, values, "c")
    if marker.get("showscale") or (axis is not marker and axis.get("showscale", True)):
        add_colourbar(canvas, norm, scale, axis.get("colorbar") or {})
    return [scale(norm(value)) for value in values]


def add_colourbar(canvas: Canvas, norm: Any, scale: Any, record: dict[str, Any]) -> None:
    """Ask for a colour bar; it is placed when the panels stand."""
    from matplotlib.cm import ScalarMappable

    canvas.colourbars.append((ScalarMappable(norm, scale), record))


def _draw_words(panel: Panel, trace: dict[str, Any], x: list[float], y: list[float]) -> None:
    words = point_texts(trace, x, y)
    places = each_point(trace.get("textposition") or "middle center", len(x))
    font = trace.get("textfont") or {}
    inks, sizes = each_point(font.get("color"), len(x)), each_point(font.get("size"), len(x))
    for i, word in enumerate(words):
        if not word or math.isnan(x[i]) or math.isnan(y[i]):
            continue
        vertical, horizontal = places[i].split()
        up = {"top": 6, "middle": 0, "bottom": -6}[vertical]
        right = {"left": -7, "center": 0, "right": 7}[horizontal]
        panel.ax.annotate(
            word,
            (x[i], y[i]),
            (right, up),
            textcoords="offset points",
            zorder=6,
            ha={"left": "right", "center": "center", "right": "left"}[horizontal],
            va={"top": "bottom", "middle": "center", "bottom": "top"}[vertical],
            color=colour(inks[i] or INK),
            fontsize=sizes[i] or 12,
            annotation_clip=False,
        )


def point_texts(trace: dict[str, Any], x: list[float], y: list[float]) -> list[str]:
    """The words at each point: `text`, or `texttemplate` filled with the point's values."""
    count = len(x)
    texts = each_point(trace.get("text"), count)
    pattern = trace.get("texttemplate")
    if not pattern:
        return [plain_text(text) for text in texts]
    patterns = each_point(pattern, count)
    xs, ys = trace.get("x") or x, trace.get("y") or y
    return [
        plain_text(fill_template(patterns[i] or "", {"x": xs[i], "y": ys[i], "text": texts[i]}))
        for i in range(count)
    ]


def _fill_colour(trace: dict[str, Any], main: str) -> Any:
    return colour(trace["fillcolor"]) if trace.get("fillcolor") else colour(main, 0.35)


def _fill(
    canvas: Canvas, panel: Panel, trace: dict[str, Any], x: list[float], y: list[float], main: str
) -> None:
    fill = trace.get("fill")
    if fill not in FILLS:
        raise unknown("scatter fill", fill, [str(known) for known in FILLS if known])
    if fill in (None, "none"):
        return
    ink = _fill_colour(trace, main)
    before = canvas.last_line.get((panel.x.name, panel.y.name))
    if fill == "toself":
        panel.ax.fill(x, y, color=ink, linewidth=0, zorder=2)
    elif fill == "tonexty" and before is not None:
        panel.ax.fill(x + before[0][::-1], y + before[1][::-1], color=ink, linewidth=0, zorder=2)
    else:
        panel.ax.fill_between(x, y, 0, color=ink, linewidth=0, zorder=2)
