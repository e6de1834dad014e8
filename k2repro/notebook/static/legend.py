"""Legend and colour bars: where plotly puts them, as far as a still picture needs it."""

from typing import Any

from k2repro.notebook.palette import AXIS_LINE, INK
from k2repro.notebook.plain import plain_text, title_text
from k2repro.notebook.static.axes import Canvas
from k2repro.notebook.static.format import format_tick

BAR_PIXELS = 14
ENTRY_AREA = 64  # square pixels of a marker in the legend, however large it is in the plot
HORIZONTAL = {"auto": "left", "left": "left", "center": "center", "right": "right"}
VERTICAL = {"auto": "upper", "top": "upper", "middle": "center", "bottom": "lower"}


def draw_colourbars(canvas: Canvas) -> None:
    """One bar per colour scale, right of the plot area unless the layout says where."""
    from matplotlib import ticker

    left, bottom, width, height = canvas.plot_area()
    for number, (mappable, record) in enumerate(canvas.colourbars):
        x = record.get("x")
        x = 1.02 + 0.11 * number if x is None else float(x)
        share = float(record.get("len") or 1)
        middle = 0.5 if record.get("y") is None else float(record["y"])
        place = (
            left + x * width,
            bottom + (middle - share / 2) * height,
            BAR_PIXELS / canvas.width,
            share * height,
        )
        ax = canvas.figure.add_axes(place, label=f"colourbar{number}")
        bar = canvas.figure.colorbar(mappable, cax=ax)
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=4, color=AXIS_LINE, labelcolor=INK)
        if record.get("tickvals") is not None:
            texts = record.get("ticktext") or [format_tick(v, record) for v in record["tickvals"]]
            bar.set_ticks(record["tickvals"], labels=[plain_text(text) for text in texts])
        else:
            bar.locator = ticker.MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10])
            bar.formatter = _tick_formatter(record)
            bar.update_ticks()
        title = plain_text(title_text(record.get("title")))
        if title:
            bar.ax.set_title(title, fontsize=12, loc="left", color=INK)


def _tick_formatter(record: dict[str, Any]) -> Any:
    from matplotlib import ticker

    return ticker.FuncFormatter(lambda value, _: format_tick(value, record))


def draw_legend(canvas: Canvas) -> None:
    """The legend, when the layout asks for it or more than one trace has a name."""
    from matplotlib.collections import PathCollection

    wanted = canvas.layout.get("showlegend")
    asked = any(trace.get("showlegend") is True for trace in canvas.traces)
    if not canvas.legend or wanted is False or (wanted is None and not asked and len(canvas.traces) < 2):
        return
    record = canvas.layout.get("legend") or {}
    level = record.get("orientation") == "h"
    entries = canvas.legend[::-1] if "reversed" in (record.get("traceorder") or "") else canvas.legend
    left, bottom, width, height = canvas.plot_area()
    x = record.get("x")
    y = record.get("y")
    x = (0.0 if level else 1.02 + 0.13 * len(canvas.colourbars)) if x is None else float(x)
    y = (-0.18 if level else 1.0) if y is None else float(y)
    if level and y < 0:
        # Plotly moves tick labels out of the way; here the legend moves below them.
        y = min(y, -62 / (height * canvas.height))
    corner = f"{VERTICAL[record.get('yanchor') or 'auto']} {HORIZONTAL[record.get('xanchor') or 'auto']}"
    title = plain_text(title_text(record.get("title"))) or None
    columns = _columns(entries, canvas) if level else 1
    legend = canvas.figure.legend(
        [handle for _, handle in entries],
        [label for label, _ in entries],
        loc="center" if corner == "center center" else corner,
        bbox_to_anchor=(left + x * width, bottom + y * height),
        ncols=columns,
        title=title,
        frameon=False,
        borderaxespad=0,
        handlelength=2.4,
        columnspacing=1.4,
        fontsize=12,
        alignment="left",
    )
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([ENTRY_AREA])
    if level and y >= 1:
        canvas.highest_mark = max(canvas.highest_mark, (y - 1) * height * canvas.height + 22)


def _columns(entries: list[tuple[str, Any]], canvas: Canvas) -> int:
    """As many entries side by side as the picture is wide."""
    widths = [len(label) * 7 + 50 for label, _ in entries]
    if sum(widths) <= canvas.width:
        return len(entries)
    widest = max(widths)
    return max(1, min(len(entries), int(canvas.width // widest)))
