"""Bar traces: grouped, stacked or overlaid, upright or lying, with their labels."""

import math
from dataclasses import dataclass
from typing import Any

from k2repro.errors import unknown
from k2repro.notebook.palette import HATCH_OPACITY, INK, PAPER
from k2repro.notebook.static.axes import Axis, Canvas, Panel
from k2repro.notebook.static.colour import colour, readable_on, trace_colour
from k2repro.notebook.static.errors import draw_error_bars, each_point, error_lengths
from k2repro.notebook.static.scatter import add_legend, marker_colours, point_texts

HATCH = {"": "", "/": "//", "\\": "\\\\", "x": "xx", "-": "--", "|": "||", "+": "++", ".": ".."}
MODES = ("group", "stack", "relative", "overlay")


@dataclass
class Bars:
    """Where the bars of one trace stand: places along the axis, thickness, bases and lengths."""

    upright: bool
    places: list[float]
    starts: list[float]
    ends: list[float]
    bases: list[float]
    lengths: list[float]
    errors: list[float]


def draw_bar(canvas: Canvas, trace: dict[str, Any], number: int) -> None:
    """Draw one bar trace, its labels and its legend entry."""
    panel = canvas.panel_of(trace.get("xaxis") or "x", trace.get("yaxis") or "y")
    bars = _lay_out(canvas, panel, trace)
    marker = trace.get("marker") or {}
    faces = marker_colours(canvas, marker, len(bars.places), trace_colour(number), trace.get("opacity"))
    edge = marker.get("line") or {}
    pattern = (marker.get("pattern") or {}).get("shape") or ""
    shapes = each_point(pattern, len(bars.places))
    drawn = None
    for i, face in enumerate(faces):
        if shapes[i] not in HATCH:
            raise unknown("bar pattern", shapes[i], HATCH)
        options = {
            "color": face,
            "hatch": HATCH[shapes[i]],
            "hatchcolor": colour(PAPER, HATCH_OPACITY),
            "edgecolor": colour(edge.get("color") or "white"),
            "linewidth": edge.get("width") or 0,
            "align": "edge",
            "zorder": 3,
        }
        thick = bars.ends[i] - bars.starts[i]
        if bars.upright:
            one = panel.ax.bar([bars.starts[i]], [bars.lengths[i]], thick, [bars.bases[i]], **options)
        else:
            one = panel.ax.barh([bars.starts[i]], [bars.lengths[i]], thick, [bars.bases[i]], **options)
        drawn = drawn or one
    _draw_errors(panel, trace, bars)
    _plan_labels(canvas, panel, trace, bars, faces)
    add_legend(canvas, trace, drawn)


def _lay_out(canvas: Canvas, panel: Panel, trace: dict[str, Any]) -> Bars:
    upright = (trace.get("orientation") or "v") == "v"
    along, across = (panel.x, panel.y) if upright else (panel.y, panel.x)
    names, values = (trace.get("x"), trace.get("y")) if upright else (trace.get("y"), trace.get("x"))
    names = list(range(len(values or []))) if names is None else names
    places = along.positions(names)
    lengths = [0.0 if math.isnan(v) else v for v in across.positions(values or [])]
    mode = canvas.layout.get("barmode") or "group"
    if mode not in MODES:
        raise unknown("barmode", mode, MODES)
    starts, ends = _thickness(canvas, panel, trace, along, places, mode)
    if trace.get("base") is not None:
        bases = [float(base) for base in each_point(trace["base"], len(places))]
    elif mode in ("stack", "relative"):
        bases = _stack(canvas, panel, places, lengths)
    else:
        bases = [0.0] * len(places)
    record = trace.get("error_y" if upright else "error_x") or {}
    _, errors = error_lengths(record, len(lengths))
    return Bars(upright, places, starts, ends, bases, lengths, errors)


def _stack(canvas: Canvas, panel: Panel, places: list[float], lengths: list[float]) -> list[float]:
    """Bases on top of what stands at each place; negative lengths hang below zero."""
    bases = []
    for place, length in zip(places, lengths, strict=True):
        pile = canvas.stacked.setdefault((panel.x.name, panel.y.name, length < 0), {})
        bases.append(pile.get(place, 0.0))
        pile[place] = bases[-1] + length
    return bases


def _thickness(
    canvas: Canvas, panel: Panel, trace: dict[str, Any], along: Axis, places: list[float], mode: str
) -> tuple[list[float], list[float]]:
    """Edges of each bar along its axis; on a log axis equal widths are equal ratios."""
    log = along.kind == "log"
    centres = [math.log10(place) if log else place for place in places]
    distances = [b - a for a, b in zip(sorted(set(centres)), sorted(set(centres))[1:], strict=False)]
    unit = min(distances, default=1.0)
    gap = canvas.layout.get("bargap")
    group = unit * (1 - (0.2 if gap is None else float(gap)))
    index, count = _place_in_group(canvas, panel, trace) if mode == "group" else (0, 1)
    width = group / count
    inner = width * float(canvas.layout.get("bargroupgap") or 0)
    offset = -group / 2 + index * width
    starts, ends = [], []
    for i, centre in enumerate(centres):
        start, end = centre + offset + inner / 2, centre + offset + width - inner / 2
        own = each_point(trace.get("width"), len(centres))[i]
        if own is not None:
            start, end = centre - own / 2, centre + own / 2
        starts.append(10**start if log else start)
        ends.append(10**end if log else end)
    return starts, ends


def _place_in_group(canvas: Canvas, panel: Panel, trace: dict[str, Any]) -> tuple[int, int]:
    """Which bar of how many; traces with one offsetgroup share a place."""
    groups: list[Any] = []
    mine: Any = None
    for place, other in enumerate(canvas.traces):
        on_panel = ((other.get("xaxis") or "x"), (other.get("yaxis") or "y")) == (panel.x.name, panel.y.name)
        if other["type"] != "bar" or not on_panel:
            continue
        key = other.get("offsetgroup") or f"trace {place}"
        if key not in groups:
            groups.append(key)
        if all(other.get(name) == trace.get(name) for name in ("x", "y", "name", "offsetgroup", "base")):
            mine = key if mine is None else mine
    return groups.index(mine), len(groups)


def _draw_errors(panel: Panel, trace: dict[str, Any], bars: Bars) -> None:
    key = "error_y" if bars.upright else "error_x"
    record = trace.get(key) or {}
    middles = [(a + b) / 2 for a, b in zip(bars.starts, bars.ends, strict=True)]
    tops = [base + length for base, length in zip(bars.bases, bars.lengths, strict=True)]
    x, y = (middles, tops) if bars.upright else (tops, middles)
    draw_error_bars(panel, record, key, x, y, colour(INK))


def _plan_labels(canvas: Canvas, panel: Panel, trace: dict[str, Any], bars: Bars, faces: list[Any]) -> None:
    """Labels are placed when the limits are known: inside where they fit, else beyond the bar's end."""
    if trace.get("text") is None and not trace.get("texttemplate"):
        return
    words = point_texts(trace, bars.places, bars.lengths)
    stacked = canvas.layout.get("barmode") in ("stack", "relative")
    where = trace.get("textposition") or "auto"
    if where == "none":
        return
    outside = where == "outside" or (where == "auto" and not stacked)
    if outside:
        _make_room(panel, bars)
    size = (trace.get("textfont") or {}).get("size") or 12
    ink = (trace.get("textfont") or {}).get("color")

    def place() -> None:
        for i, word in enumerate(words):
            if word and outside:
                _label_outside(panel, bars, i, word, ink, size)
            elif word:
                _label_inside(
                    panel, bars, i, word, ink if isinstance(ink, str) else readable_on(faces[i]), size
                )

    canvas.after_limits.append(place)


def _make_room(panel: Panel, bars: Bars) -> None:
    """Room for labels beyond the longest bar, unless the layout fixes the range."""
    if bars.upright:
        panel.ax.margins(y=0.14)
    else:
        panel.ax.margins(x=0.14)


def _label_outside(panel: Panel, bars: Bars, i: int, word: str, ink: Any, size: float) -> None:
    middle = (bars.starts[i] + bars.ends[i]) / 2
    end = bars.bases[i] + bars.lengths[i] + (-bars.errors[i] if bars.lengths[i] < 0 else bars.errors[i])
    sign = -1 if bars.lengths[i] < 0 else 1
    options = {"textcoords": "offset points", "fontsize": size, "color": colour(ink or INK), "zorder": 6}
    if bars.upright:
        panel.ax.annotate(
            word, (middle, end), (0, 4 * sign), ha="center", va="bottom" if sign > 0 else "top", **options
        )
    else:
        panel.ax.annotate(
            word, (end, middle), (5 * sign, 0), ha="left" if sign > 0 else "right", va="center", **options
        )


def _label_inside(panel: Panel, bars: Bars, i: int, word: str, ink: str, size: float) -> None:
    """In the middle of the bar; left out where the bar is too short, as plotly shrinks it away."""
    middle = (bars.starts[i] + bars.ends[i]) / 2
    ends = (bars.bases[i], bars.bases[i] + bars.lengths[i])
    transform = panel.ax.transData
    corners = [(middle, end) if bars.upright else (end, middle) for end in ends]
    (x0, y0), (x1, y1) = transform.transform(corners)
    room, need = (abs(y1 - y0), size * 1.2) if bars.upright else (abs(x1 - x0), len(word) * size * 0.62)
    if room < need:
        return
    x, y = transform.inverted().transform(((x0 + x1) / 2, (y0 + y1) / 2))
    panel.ax.text(x, y, word, ha="center", va="center", fontsize=size, color=ink, zorder=6)
