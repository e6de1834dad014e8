"""What the axes say: limits, ticks, titles, lines and grid, after every trace is drawn."""

import math
from typing import Any

from k2repro.notebook.palette import AXIS_LINE, GRID, INK
from k2repro.notebook.plain import plain_text, title_text
from k2repro.notebook.static.axes import LETTER_WIDTH, WIDTH, Axis, Canvas, Panel
from k2repro.notebook.static.format import format_tick


def finish_axes(canvas: Canvas) -> None:
    """Limits, ticks, titles and lines, after every trace is drawn."""
    for panel in canvas.panels.values():
        for axis in (panel.x, panel.y):
            set_limits(panel, axis)
    _match_limits(canvas)
    dressed: set[str] = set()
    for panel in canvas.panels.values():
        for spine in panel.ax.spines.values():
            spine.set_visible(False)
        panel.ax.tick_params(length=4, color=AXIS_LINE, labelcolor=INK, which="major")
        for axis in (panel.x, panel.y):
            dress_axis(panel, axis, first=axis.name not in dressed)
            dressed.add(axis.name)


def _get_limits(panel: Panel, axis: Axis) -> tuple[float, float]:
    low, high = panel.ax.get_xlim() if axis.name[0] == "x" else panel.ax.get_ylim()
    return float(low), float(high)


def _put_limits(panel: Panel, axis: Axis, low: float, high: float) -> None:
    if axis.name[0] == "x":
        panel.ax.set_xlim(low, high)
    else:
        panel.ax.set_ylim(low, high)


def set_limits(panel: Panel, axis: Axis) -> None:
    """The layout's range (exponents on a log axis) or what the data need."""
    low, high = _get_limits(panel, axis)
    given = axis.record.get("range") or [None, None]
    if axis.kind == "log":
        given = [None if end is None else 10.0**end for end in given]
    if axis.kind == "category":
        low, high = -0.5, len(axis.categories) - 0.5
    if axis.record.get("rangemode") in ("tozero", "nonnegative") and axis.kind == "linear":
        low, high = min(low, 0.0), max(high, 0.0)
    if axis.record.get("autorange") == "reversed" and low < high:
        low, high = high, low
    start = low if given[0] is None else float(given[0])
    end = high if given[1] is None else float(given[1])
    _put_limits(panel, axis, start, end)


def _match_limits(canvas: Canvas) -> None:
    """Axes that `match` another show one common range."""
    groups: dict[str, list[tuple[Panel, Axis]]] = {}
    for panel in canvas.panels.values():
        for axis in (panel.x, panel.y):
            groups.setdefault(axis.record.get("matches") or axis.name, []).append((panel, axis))
    for members in groups.values():
        limits = [_get_limits(panel, axis) for panel, axis in members]
        given = [lim for lim, (_, axis) in zip(limits, members, strict=True) if axis.record.get("range")]
        chosen = given or limits
        if chosen[0][0] <= chosen[0][1]:
            low, high = min(lim[0] for lim in chosen), max(lim[1] for lim in chosen)
        else:
            low, high = max(lim[0] for lim in chosen), min(lim[1] for lim in chosen)
        for panel, axis in members:
            _put_limits(panel, axis, low, high)


def dress_axis(panel: Panel, axis: Axis, first: bool) -> None:
    """Line, grid, ticks and title of one axis of a panel; a shared axis is dressed once."""
    letter, record = axis.name[0], axis.record
    mpl = panel.ax.xaxis if letter == "x" else panel.ax.yaxis
    if record.get("visible") is False or not first:
        mpl.set_visible(False)
        return
    usual, other = ("bottom", "top") if letter == "x" else ("left", "right")
    side = record.get("side") or usual
    if record.get("showline", True):
        panel.ax.spines[side].set(visible=True, color=AXIS_LINE, linewidth=1, zorder=3.5)
    if side == other:
        mpl.set_label_position(other)
        mpl.set_ticks_position(other)
    grid = record.get("showgrid")
    if grid or (grid is None and not record.get("overlaying") and axis.kind != "category"):
        mpl.grid(True, color=record.get("gridcolor") or GRID, linewidth=1)
    if record.get("zeroline") and axis.kind == "linear":
        line = panel.ax.axvline if letter == "x" else panel.ax.axhline
        line(0, color=record.get("zerolinecolor") or AXIS_LINE, linewidth=1, zorder=1)
    set_ticks(panel, axis, mpl)
    text = plain_text(title_text(record.get("title")))
    if text:
        mpl.set_label_text(text, color=INK)
    if record.get("showticklabels") is False:
        panel.ax.tick_params(
            axis=letter, labelleft=False, labelbottom=False, labelright=False, labeltop=False
        )
    if record.get("ticks") == "":
        panel.ax.tick_params(axis=letter, length=0)


def set_ticks(panel: Panel, axis: Axis, mpl: Any) -> None:
    """Tick places and labels: given ones, categories, decades, or round numbers."""
    from matplotlib import ticker

    record = axis.record
    if record.get("tickvals") is not None:
        places = axis.positions(record["tickvals"])
        labels = record.get("ticktext") or [format_tick(value, record) for value in places]
        mpl.set_major_locator(ticker.FixedLocator(places))
        _label(panel, axis, mpl, places, [plain_text(label) for label in labels])
    elif axis.kind == "category":
        step = max(1, math.ceil(len(axis.categories) / (36 if axis.name[0] == "x" else 60)))
        places = [float(i) for i in range(0, len(axis.categories), step)]
        _label(panel, axis, mpl, places, [plain_text(axis.categories[int(i)]) for i in places])
    else:
        mpl.set_major_locator(_locator(panel, axis))
        mpl.set_major_formatter(ticker.FuncFormatter(lambda value, _: format_tick(value, record)))
    mpl.set_minor_locator(ticker.NullLocator())


def _locator(panel: Panel, axis: Axis) -> Any:
    from matplotlib import ticker

    step = axis.record.get("dtick")
    if axis.kind == "log":
        low, high = sorted(_get_limits(panel, axis))
        decades = math.log10(high / low)
        subs = (1.0, 2.0, 5.0) if decades < 3.2 and step != 1 else (1.0,)
        return ticker.LogLocator(base=10, subs=subs, numticks=12)
    if isinstance(step, int | float):
        return ticker.MultipleLocator(step, offset=axis.record.get("tick0") or 0.0)
    box = panel.ax.get_position()
    length = (box.width * WIDTH) if axis.name[0] == "x" else box.height * panel.ax.figure.bbox.height
    wanted = axis.record.get("nticks") or max(3, int(length / (60 if axis.name[0] == "x" else 45)))
    return ticker.MaxNLocator(nbins=wanted, steps=[1, 2, 2.5, 5, 10])


def _label(panel: Panel, axis: Axis, mpl: Any, places: list[float], labels: list[str]) -> None:
    """Write fixed labels; along x they turn when they would touch."""
    angle = -(axis.record.get("tickangle") or 0)
    options: dict[str, Any] = {}
    if axis.name[0] == "x":
        slot = panel.ax.get_position().width * WIDTH / max(1, len(labels))
        longest = max((len(line) for label in labels for line in label.split("\n")), default=0)
        if not angle and longest * 12 * LETTER_WIDTH > slot:
            angle = 35
        if angle:
            options = {"rotation": angle, "ha": "right" if angle > 0 else "left", "rotation_mode": "anchor"}
    mpl.set_ticks(places, labels, **options)
