"""Axes of the static picture: which exist, where they stand, what their ticks say."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.notebook.palette import template
from k2repro.notebook.plain import plain_text

WIDTH = 800
LETTER_WIDTH = 0.58  # of the font size, on average; decides when labels must turn


@dataclass
class Axis:
    """One plotly axis: `name` is "x", "y", "x2", ...; `categories` stand in drawing order."""

    name: str
    record: dict[str, Any]
    kind: str = "linear"
    categories: list[str] = field(default_factory=list)

    def positions(self, values: list[Any]) -> list[float]:
        """Data values as numbers on this axis; NaN where nothing was given."""
        return [self.position(value) for value in values]

    def position(self, value: Any) -> float:
        if value is None:
            return math.nan
        if self.kind == "category" and str(value) in self.categories:
            return float(self.categories.index(str(value)))
        try:
            return float(value)
        except (TypeError, ValueError):
            raise K2ReproError(
                f"show: {value!r} on axis {self.name} is neither a number nor one of its categories"
            ) from None


@dataclass
class Panel:
    """One pair of axes and the matplotlib Axes that draws it."""

    x: Axis
    y: Axis
    ax: Any


@dataclass
class Canvas:
    """The picture while it is drawn; lengths in pixels, `left` as a fraction of the width."""

    figure: Any
    layout: dict[str, Any]
    margin: dict[str, float]
    width: float
    height: float
    axes: dict[str, Axis]
    panels: dict[tuple[str, str], Panel]
    traces: list[dict[str, Any]]
    after_limits: list[Callable[[], None]] = field(default_factory=list)
    legend: list[tuple[str, Any]] = field(default_factory=list)
    colourbars: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    stacked: dict[Any, dict[float, float]] = field(default_factory=dict)
    last_line: dict[Any, tuple[list[float], list[float]]] = field(default_factory=dict)
    highest_mark: float = 0.0

    @property
    def left(self) -> float:
        return self.margin["l"] / self.width

    def top_of_marks(self) -> float:
        """Pixels from the top of the picture to the plot area, less what stands above it."""
        return self.height - self.highest_mark

    def panel_of(self, x: str, y: str) -> Panel:
        return self.panels[(x, y)]

    def first_panel_with(self, name: str) -> Panel:
        """A panel that carries the axis; raises K2ReproError when no trace is drawn on it."""
        for key, panel in self.panels.items():
            if name in key:
                return panel
        raise K2ReproError(f"show: a shape or annotation refers to axis {name}, on which no trace is drawn")

    def plot_area(self) -> tuple[float, float, float, float]:
        """(left, bottom, width, height) of the plot area as fractions of the picture."""
        m = self.margin
        return (
            m["l"] / self.width,
            m["b"] / self.height,
            (self.width - m["l"] - m["r"]) / self.width,
            (self.height - m["t"] - m["b"]) / self.height,
        )


def build_canvas(traces: list[dict[str, Any]], layout: dict[str, Any]) -> Canvas:
    """The empty picture with every axis that a trace uses."""
    from matplotlib.figure import Figure

    height = float(layout["height"])
    axes: dict[str, Axis] = {}
    pairs: dict[tuple[str, str], None] = {}
    for trace in traces:
        pair = (trace.get("xaxis") or "x", trace.get("yaxis") or "y")
        pairs[pair] = None
        for name in pair:
            axes.setdefault(name, Axis(name, _axis_record(layout, name)))
    for name, axis in axes.items():
        _learn_kind(axis, [trace for trace in traces if (trace.get(f"{name[0]}axis") or name[0]) == name])
    margin = _margins(traces, layout, axes)
    figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
    canvas = Canvas(figure, layout, margin, WIDTH, height, axes, {}, traces)
    for x, y in pairs:
        _add_panel(canvas, axes[x], axes[y])
    return canvas


def _margins(traces: list[dict[str, Any]], layout: dict[str, Any], axes: dict[str, Axis]) -> dict[str, float]:
    """Room around the plot area; names, legend and colour bars take theirs first, as plotly's do."""
    margin = {**template()["layout"]["margin"], **(layout.get("margin") or {})}
    names = [plain_text(c) for axis in axes.values() if axis.name == "y" for c in axis.categories]
    longest = max((len(line) for name in names for line in name.split("\n")), default=0)
    margin["l"] = max(margin["l"], longest * 12 * LETTER_WIDTH + 20)
    right = 0.0
    labels = [plain_text(t.get("name")) for t in traces if t.get("name") and t.get("showlegend") is not False]
    legend = layout.get("legend") or {}
    beside = legend.get("orientation") != "h" and (legend.get("x") is None or legend["x"] > 1)
    if labels and len(traces) > 1 and beside and layout.get("showlegend") is not False:
        right += max(map(len, labels)) * 12 * LETTER_WIDTH + 60
    scaled = any(t["type"] == "heatmap" and t.get("showscale") is not False for t in traces)
    right += 70 if scaled or any((t.get("marker") or {}).get("showscale") for t in traces) else 0
    right += 50 if any(axis.record.get("side") == "right" for axis in axes.values()) else 0
    margin["r"] = max(margin["r"], right)
    return margin


def _axis_record(layout: dict[str, Any], name: str) -> dict[str, Any]:
    """What the layout says of an axis: "x2" is "xaxis2" there."""
    kind = f"{name[0]}axis"
    return {**template()["layout"][kind], **(layout.get(f"{kind}{name[1:]}") or {})}


def _learn_kind(axis: Axis, traces: list[dict[str, Any]]) -> None:
    """Plotly's rule with strict numbers: texts make a category axis unless the type is said."""
    letter = axis.name[0]
    lists = [trace[letter] for trace in traces if isinstance(trace.get(letter), list)]
    values = [value for each in lists for value in each]
    said = axis.record.get("type")
    if said not in (None, "-", "linear", "log", "category"):
        raise K2ReproError(f"show: axis {axis.name} has type {said!r}; known: linear, log, category")
    texts = any(isinstance(value, str) for value in values)
    axis.kind = said if said not in (None, "-") else "category" if texts else "linear"
    if axis.kind == "category":
        axis.categories = _category_order(axis, [str(v) for v in values if v is not None])


def _category_order(axis: Axis, seen: list[str]) -> list[str]:
    """Order of first appearance, unless the layout gives an array."""
    order = axis.record.get("categoryorder") or "trace"
    if axis.record.get("categoryarray") and order in ("trace", "array"):
        return list(dict.fromkeys([*map(str, axis.record["categoryarray"]), *seen]))
    if order == "trace":
        return list(dict.fromkeys(seen))
    raise K2ReproError(f"show: categoryorder {order!r} is not known here; sort the data or use categoryarray")


def _add_panel(canvas: Canvas, x: Axis, y: Axis) -> None:
    left, bottom, width, height = canvas.plot_area()
    x_start, x_end = _domain(canvas, x)
    y_start, y_end = _domain(canvas, y)
    place = (
        left + x_start * width,
        bottom + y_start * height,
        (x_end - x_start) * width,
        (y_end - y_start) * height,
    )
    same_x = next((p.ax for p in canvas.panels.values() if p.x is x), None)
    same_y = next((p.ax for p in canvas.panels.values() if p.y is y), None)
    ax = canvas.figure.add_axes(place, sharex=same_x, sharey=same_y, label=f"{x.name}{y.name}")
    ax.patch.set_visible(False)
    ax.set_zorder(2 if y.record.get("overlaying") or x.record.get("overlaying") else 1)
    ax.margins(x=0.03, y=0.07)
    if x.kind == "log":
        ax.set_xscale("log", nonpositive="clip")
    if y.kind == "log":
        ax.set_yscale("log", nonpositive="clip")
    canvas.panels[(x.name, y.name)] = Panel(x, y, ax)


def _domain(canvas: Canvas, axis: Axis) -> tuple[float, float]:
    """Part of the plot area along one axis; an overlaying axis stands where its base stands."""
    over = axis.record.get("overlaying")
    record = _axis_record(canvas.layout, over) if over and over != "free" else axis.record
    start, end = axis.record.get("domain") or record.get("domain") or (0, 1)
    return float(start), float(end)
