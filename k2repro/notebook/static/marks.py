"""Shapes (lines, rectangles) and annotations (words, arrows) of the layout."""

import math
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.notebook.palette import AXIS_LINE, INK
from k2repro.notebook.plain import plain_text
from k2repro.notebook.static.axes import Canvas
from k2repro.notebook.static.colour import colour, dash_style

SHAPES = ("line", "rect")


def to_fraction(canvas: Canvas, letter: str, ref: str | None, value: Any, log_given: bool) -> float:
    """A position of a shape or annotation as a fraction of the picture, along x or y.

    ref        "paper", an axis ("x2") or its domain ("x2 domain")
    log_given  annotations give the exponent on a log axis, shapes the value (plotly's rule)
    """
    left, bottom, width, height = canvas.plot_area()
    start, size = (left, width) if letter == "x" else (bottom, height)
    if ref == "paper":
        return start + float(value) * size
    name, _, domain = (ref or letter).partition(" ")
    panel = canvas.first_panel_with(name)
    box = panel.ax.get_position()
    if domain:
        low, extent = (box.x0, box.width) if letter == "x" else (box.y0, box.height)
        return low + float(value) * extent
    axis = panel.x if letter == "x" else panel.y
    place = axis.position(value)
    if axis.kind == "log" and log_given:
        place = 10.0**place
    point = (place, panel.ax.get_ylim()[0]) if letter == "x" else (panel.ax.get_xlim()[0], place)
    fraction = canvas.figure.transFigure.inverted().transform(panel.ax.transData.transform(point))
    return float(fraction[0 if letter == "x" else 1])


def draw_shapes(canvas: Canvas) -> None:
    """Every visible shape, below or above the traces as it asks."""
    for shape in canvas.layout.get("shapes") or []:
        if shape.get("visible", True):
            _draw_shape(canvas, shape)


def _draw_shape(canvas: Canvas, shape: dict[str, Any]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    kind = shape.get("type") or "rect"
    if kind not in SHAPES:
        raise unknown("shape type", kind, SHAPES)
    if (shape.get("label") or {}).get("text"):
        raise K2ReproError("show: the label of a shape has no static drawing; use an annotation")
    x0, x1 = (to_fraction(canvas, "x", shape.get("xref"), shape[key], False) for key in ("x0", "x1"))
    y0, y1 = (to_fraction(canvas, "y", shape.get("yref"), shape[key], False) for key in ("y0", "y1"))
    line = shape.get("line") or {}
    style = {
        "linewidth": line.get("width", 2 if kind == "line" else 0 if not line else 1),
        "linestyle": dash_style(line.get("dash")),
        "transform": canvas.figure.transFigure,
        # Figure artists lie above or below all axes; axes have order 1 and 2.
        "zorder": 0.5 if shape.get("layer") == "below" or kind != "line" else 3,
    }
    ink = colour(line.get("color") or AXIS_LINE, shape.get("opacity"))
    if kind == "line":
        canvas.figure.add_artist(Line2D([x0, x1], [y0, y1], color=ink, **style))
    else:
        face = colour(shape.get("fillcolor") or "transparent", shape.get("opacity"))
        corner, width, height = (min(x0, x1), min(y0, y1)), abs(x1 - x0), abs(y1 - y0)
        canvas.figure.add_artist(Rectangle(corner, width, height, facecolor=face, edgecolor=ink, **style))


def draw_annotations(canvas: Canvas) -> None:
    """Every visible annotation; arrows are given in pixels from the point they name."""
    for note in canvas.layout.get("annotations") or []:
        speaks = note.get("text") is not None or note.get("showarrow", True)
        if note.get("visible", True) and speaks:
            _draw_annotation(canvas, note)


def _draw_annotation(canvas: Canvas, note: dict[str, Any]) -> None:
    x = to_fraction(canvas, "x", note.get("xref"), note.get("x", 0.5), True)
    y = to_fraction(canvas, "y", note.get("yref"), note.get("y", 0.5), True)
    arrow = note.get("showarrow", True)
    shift_x, shift_y = float(note.get("xshift") or 0), float(note.get("yshift") or 0)
    offset, arrow_style = (shift_x, shift_y), None
    if arrow:
        offset = _arrow_offset(canvas, note, x, y)
        head = "-|>" if note.get("arrowhead") not in (None, 0) else "-"
        ink = colour(note.get("arrowcolor") or INK)
        arrow_style = {
            "arrowstyle": head,
            "color": ink,
            "linewidth": note.get("arrowwidth") or 1,
            "shrinkA": 2,
            "shrinkB": 2,
            "mutation_scale": 12,
        }
    ha, va = _anchor(note, arrow)
    font = note.get("font") or {}
    bold = str(note.get("text")).strip().startswith("<b>")
    note_box = None
    if note.get("bgcolor") or note.get("bordercolor"):
        face = colour(note.get("bgcolor") or "transparent")
        edge = colour(note.get("bordercolor") or "transparent")
        note_box = {"boxstyle": "square,pad=0.25", "facecolor": face, "edgecolor": edge}
    text = canvas.figure.add_artist(
        _annotation(plain_text(note.get("text")), (x, y), offset, canvas, arrow_style, note_box)
    )
    text.set(
        ha=ha,
        va=va,
        color=colour(font.get("color") or INK),
        fontsize=font.get("size") or 12,
        rotation=-float(note.get("textangle") or 0),
        zorder=5,
        multialignment=note.get("align") or "center",
        fontweight=700 if bold else 400,
    )
    canvas.highest_mark = max(canvas.highest_mark, _top(canvas, y, offset[1], va, text.get_fontsize(), note))


def _top(canvas: Canvas, y: float, up: float, va: str, size: float, note: dict[str, Any]) -> float:
    """Pixels by which an annotation stands above the plot area (0 inside it): the title goes above."""
    lines = 1 + plain_text(note.get("text")).count("\n")
    share = {"bottom": 1.0, "center": 0.5, "top": 0.0}[va]
    top = y * canvas.height + up + share * lines * size * 1.25
    return max(0.0, top - (canvas.height - canvas.margin["t"]))


def _annotation(text: str, xy: Any, offset: Any, canvas: Canvas, arrow: Any, box: Any) -> Any:
    from matplotlib.text import Annotation

    return Annotation(
        text,
        xy,
        offset,
        xycoords=canvas.figure.transFigure,
        textcoords="offset points",
        arrowprops=arrow,
        bbox=box,
        annotation_clip=False,
    )


def _arrow_offset(canvas: Canvas, note: dict[str, Any], x: float, y: float) -> tuple[float, float]:
    """From the point to the words, in pixels; plotly's y grows downwards."""
    ax, ay = note.get("ax"), note.get("ay")
    right = -10.0 if ax is None else float(ax)
    up = 30.0 if ay is None else -float(ay)
    if note.get("axref") not in (None, "pixel") and ax is not None:
        right = (to_fraction(canvas, "x", note["axref"], ax, True) - x) * canvas.width
    if note.get("ayref") not in (None, "pixel") and ay is not None:
        up = (to_fraction(canvas, "y", note["ayref"], ay, True) - y) * canvas.height
    return right, up


def _anchor(note: dict[str, Any], arrow: bool) -> tuple[str, str]:
    """Plotly's automatic anchors: centred on an arrow, else away from the nearer edge of the paper."""
    across, upright = note.get("xanchor") or "auto", note.get("yanchor") or "auto"
    if across == "auto":
        across = (
            _away(note.get("x"), ("left", "center", "right"))
            if not arrow and note.get("xref") == "paper"
            else "center"
        )
    if upright == "auto":
        upright = (
            _away(note.get("y"), ("bottom", "middle", "top"))
            if not arrow and note.get("yref") == "paper"
            else "middle"
        )
    return across, {"middle": "center"}.get(upright, upright)


def _away(place: Any, names: tuple[str, str, str]) -> str:
    value = 0.5 if place is None or (isinstance(place, float) and math.isnan(place)) else float(place)
    return names[0] if value < 1 / 3 else names[2] if value > 2 / 3 else names[1]
