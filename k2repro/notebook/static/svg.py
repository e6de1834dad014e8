"""A plotly figure as a small SVG, drawn with matplotlib: no browser, same bytes every time.

It draws what the notebooks use: scatter, bar and heatmap traces on linear, logarithmic and category
axes, subplots, second axes, shapes and annotations. A figure with frames is drawn in its first state.
What it cannot draw it refuses by name: a picture that leaves something out would lie.
"""

import io
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from k2repro.errors import K2ReproError
from k2repro.notebook.palette import FONT_FAMILY, INK, PAPER, template
from k2repro.notebook.plain import plain_text, title_text
from k2repro.notebook.slider import still_states
from k2repro.notebook.static.axes import Canvas, build_canvas
from k2repro.notebook.static.bar import draw_bar
from k2repro.notebook.static.heatmap import draw_heatmap
from k2repro.notebook.static.legend import draw_colourbars, draw_legend
from k2repro.notebook.static.marks import draw_annotations, draw_shapes
from k2repro.notebook.static.scatter import draw_scatter
from k2repro.notebook.static.ticks import finish_axes

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# 72 dots per inch: one plotly pixel is one matplotlib point is one SVG unit.
DOTS_PER_INCH = 72
STYLE = {
    "axes.axisbelow": True,
    "axes.labelsize": 14,
    "axes.unicode_minus": True,
    "figure.dpi": DOTS_PER_INCH,
    "font.family": "sans-serif",
    # Ships with matplotlib, so that widths do not depend on the fonts of this machine.
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 12,
    "savefig.dpi": DOTS_PER_INCH,
    "svg.fonttype": "none",
    "svg.hashsalt": "k2repro",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
}
SLIMMING = [
    (re.compile(pattern, re.DOTALL), replacement)
    for pattern, replacement in (
        (r"\s*<metadata>.*?</metadata>", ""),
        (r"<!--.*?-->", ""),
        (r'(?<= width=)"([\d.]+)pt"', r'"\1"'),
        (r'(?<= height=)"([\d.]+)pt"', r'"\1"'),
        (r'<g id="[^"]*"(/?)>', r"<g\1>"),
        (r' transform="rotate\(-0 [-\d.]+ [-\d.]+\)"', ""),
        (r" font-family: 'DejaVu Sans'(, sans-serif)*;", ""),
        (r'(<style type="text/css">)', rf"\1text{{font-family: {FONT_FAMILY}}}"),
        (r"\n\s*", "\n"),
    )
]
TAG, COORDINATE = re.compile(r"<[^>]*>"), re.compile(r"(\d+\.\d{2})\d+")
DRAWERS = {"bar": draw_bar, "heatmap": draw_heatmap, "scatter": draw_scatter}
# Plotly draws these of a trace and this does not: a figure that asks for one is refused.
NOT_DRAWN = ("stackgroup", "connectgaps", "line.shape")
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def static_svg(fig: "Figure") -> str:
    """SVG source of a figure; equal figures give equal bytes.

    Raises K2ReproError for a trace type, marker or shape that it cannot draw, naming those it can.
    """
    from k2repro.notebook.show import figure_record

    record = figure_record(fig)
    with _quiet_matplotlib():
        from matplotlib import style

        with style.context(["default", STYLE]):
            return _slim(_render(record["data"], record["layout"]))


@contextmanager
def _quiet_matplotlib() -> Iterator[None]:
    """On a fresh machine matplotlib logs where it puts its font cache; that would enter the notebook."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _render(data: list[dict[str, Any]], layout: dict[str, Any]) -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    # A trace may also wait for a click on the legend.
    visible = [(n, each) for n, each in enumerate(data) if each.get("visible") not in (False, "legendonly")]
    if not visible:
        raise K2ReproError("show: the figure has no visible trace, so there is nothing to draw")
    canvas = build_canvas([trace for _, trace in visible], layout)
    for number, trace in visible:
        _draw_trace(canvas, trace, number)
    finish_axes(canvas)
    for later in canvas.after_limits:
        later()
    draw_shapes(canvas)
    draw_annotations(canvas)
    draw_colourbars(canvas)
    draw_legend(canvas)
    _draw_title(canvas)
    _draw_slider_state(canvas)
    FigureCanvasSVG(canvas.figure)
    out = io.StringIO()
    canvas.figure.savefig(
        out, format="svg", metadata=NO_METADATA, bbox_inches="tight", pad_inches=0.12, facecolor=PAPER
    )
    return out.getvalue()


def _draw_trace(canvas: Canvas, trace: dict[str, Any], number: int) -> None:
    """Draw one trace; `number` is its place in the figure, which decides its colour."""
    kind = trace.get("type", "scatter")
    if kind not in DRAWERS:
        raise K2ReproError(
            f"show: trace type {kind!r} has no static drawing; supported: {', '.join(sorted(DRAWERS))}"
        )
    for name in NOT_DRAWN:
        value: Any = trace
        for key in name.split("."):
            value = (value or {}).get(key)
        if value not in (None, "", False, "linear"):
            raise K2ReproError(f"show: {name} = {value!r} of a {kind} trace has no static drawing")
    DRAWERS[kind](canvas, _merged(template()["data"][kind][0], trace), number)


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, key by key through nested records."""
    out = dict(base)
    for key, value in over.items():
        inner = out.get(key)
        both = isinstance(inner, dict) and isinstance(value, dict)
        out[key] = _merged(inner, value) if both and inner is not None else value
    return out


def _draw_title(canvas: Canvas) -> None:
    title = canvas.layout.get("title")
    text = plain_text(title_text(title))
    if not text:
        return
    size = 16
    if isinstance(title, dict):
        size = (title.get("font") or {}).get("size") or size
        subtitle = plain_text(title_text(title.get("subtitle")))
        text = f"{text}\n{subtitle}" if subtitle else text
    room = max(canvas.margin["t"] * 0.45, canvas.height - canvas.top_of_marks() + 10)
    canvas.figure.text(
        canvas.left,
        (canvas.height - canvas.margin["t"] + room) / canvas.height,
        text,
        ha="left",
        va="bottom",
        fontsize=size,
        fontweight=700,
        color=INK,
    )


def _draw_slider_state(canvas: Canvas) -> None:
    """Say which state a still picture of a movable figure shows."""
    lines = [f"Still picture: {plain_text(state)}" for state in still_states(canvas.layout)]
    if lines:
        y = (canvas.margin["b"] - 62) / canvas.height
        canvas.figure.text(canvas.left, y, "\n".join(lines), ha="left", va="top", fontsize=12, color=INK)


def _slim(svg: str) -> str:
    """Shorter and friendlier source: no prologue, pixels for points, the reader's own sans-serif font."""
    body = svg[svg.index("<svg") :]
    for pattern, replacement in SLIMMING:
        body = pattern.sub(replacement, body)
    # Coordinates to a hundredth of a pixel; a number between tags is a word of the figure.
    return TAG.sub(lambda tag: COORDINATE.sub(r"\1", tag[0]), body)
