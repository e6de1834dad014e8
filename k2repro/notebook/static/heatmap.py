"""Heatmap traces: coloured cells, their words and the colour bar."""

import math
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.notebook.palette import PAPER
from k2repro.notebook.plain import plain_text
from k2repro.notebook.static.axes import Axis, Canvas, Panel
from k2repro.notebook.static.colour import colour_scaling, readable_on
from k2repro.notebook.static.format import fill_template
from k2repro.notebook.static.scatter import add_colourbar

# Above this many cells a drawn rectangle each would be larger than an embedded picture.
MOST_DRAWN_CELLS = 600


def draw_heatmap(canvas: Canvas, trace: dict[str, Any], number: int) -> None:
    """Draw one heatmap; missing cells stay white."""
    import numpy as np

    panel = canvas.panel_of(trace.get("xaxis") or "x", trace.get("yaxis") or "y")
    rows = trace.get("z")
    if not rows or not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        raise K2ReproError("show: a heatmap needs z as a non-empty list of rows of one length")
    z = np.array([[math.nan if v is None else float(v) for v in row] for row in rows])
    x_centres = _centres(panel.x, trace.get("x"), z.shape[1])
    y_centres = _centres(panel.y, trace.get("y"), z.shape[0])
    x_edges, y_edges = _edges(panel.x, x_centres), _edges(panel.y, y_centres)
    record = trace
    if trace.get("coloraxis"):
        record = canvas.layout.get(trace["coloraxis"]) or {}
    norm, scale = colour_scaling(record, z.ravel().tolist(), "c" if trace.get("coloraxis") else "z")
    _draw_cells(panel, z, x_edges, y_edges, norm, scale, bool(trace.get("xgap") or trace.get("ygap")))
    panel.ax.set_xlim(min(x_edges), max(x_edges))
    panel.ax.set_ylim(min(y_edges), max(y_edges))
    panel.x.record.setdefault("showgrid", False)
    panel.y.record.setdefault("showgrid", False)
    _draw_words(panel, trace, z, x_centres, y_centres, norm, scale)
    if record.get("showscale", True):
        add_colourbar(canvas, norm, scale, record.get("colorbar") or {})


def _draw_cells(
    panel: Panel, z: Any, x_edges: list[float], y_edges: list[float], norm: Any, scale: Any, gaps: bool
) -> None:
    import numpy as np

    masked = np.ma.masked_invalid(z)
    even = panel.x.kind != "log" and panel.y.kind != "log" and _is_even(x_edges) and _is_even(y_edges)
    if z.size > MOST_DRAWN_CELLS and even:
        extent = (x_edges[0], x_edges[-1], y_edges[0], y_edges[-1])
        panel.ax.imshow(
            masked,
            norm=norm,
            cmap=scale,
            extent=extent,
            origin="lower",
            aspect="auto",
            interpolation="none",
            zorder=2,
        )
        return
    panel.ax.pcolormesh(
        x_edges,
        y_edges,
        masked,
        norm=norm,
        cmap=scale,
        zorder=2,
        edgecolors=PAPER if gaps else "face",
        linewidth=1.5 if gaps else 0.2,
    )


def _is_even(edges: list[float]) -> bool:
    steps = [b - a for a, b in zip(edges, edges[1:], strict=False)]
    return max(steps) - min(steps) <= 1e-6 * max(map(abs, steps))


def _centres(axis: Axis, labels: list[Any] | None, count: int) -> list[float]:
    if labels is None:
        return [float(i) for i in range(count)]
    if len(labels) != count:
        raise K2ReproError(f"show: {len(labels)} labels on axis {axis.name} for {count} heatmap cells")
    return axis.positions(labels)


def _edges(axis: Axis, centres: list[float]) -> list[float]:
    """Cell borders half-way between centres; half-way in the exponent on a log axis."""
    log = axis.kind == "log"
    marks = [math.log10(c) for c in centres] if log else centres
    if len(marks) == 1:
        edges = [marks[0] - 0.5, marks[0] + 0.5]
    else:
        inner = [(a + b) / 2 for a, b in zip(marks, marks[1:], strict=False)]
        edges = [2 * marks[0] - inner[0], *inner, 2 * marks[-1] - inner[-1]]
    return [10**edge for edge in edges] if log else edges


def _draw_words(
    panel: Panel, trace: dict[str, Any], z: Any, x: list[float], y: list[float], norm: Any, scale: Any
) -> None:
    """The cells' words, in black or white; plotly writes `text` only when a texttemplate asks for it."""
    pattern = trace.get("texttemplate")
    if not pattern:
        return
    texts = trace.get("text")
    size = (trace.get("textfont") or {}).get("size") or 11
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            value = None if math.isnan(z[i, j]) else float(z[i, j])
            known = {"z": value, "x": x[j], "y": y[i], "text": texts[i][j] if texts else None}
            word = plain_text(fill_template(pattern, known))
            if word:
                ground = scale(norm(z[i, j])) if value is not None else (1.0, 1.0, 1.0, 1.0)
                ink = readable_on(ground)
                panel.ax.text(x[j], y[i], word, ha="center", va="center", fontsize=size, color=ink, zorder=5)
