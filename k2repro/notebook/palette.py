"""Colours, dashes, markers and the plotly template "k2repro": one look for every figure.

The colours start from Okabe and Ito's set (https://jfly.uni-koeln.de/color/). Its light members fail a
contrast of 3:1 on white, which WCAG 2.2 rule 1.4.11 asks of graphics; darkening them alone makes two
equal to a deuteranope. The others were searched: 3:1 each, and far apart in CIE Lab for every eye.
Colour is never the only sign: use DASHES and MARKERS beside it.
"""

from typing import Any

BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#1C996C"
PURPLE = "#7A1A70"
BROWN = "#5A4812"
SKY = "#4991EF"
INK = "#22272E"
GREY = "#6B7280"

PALETTE = [BLUE, VERMILLION, GREEN, PURPLE, BROWN, SKY, GREY, INK]
DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"]
MARKERS = ["circle", "square", "diamond", "triangle-up", "x", "cross", "triangle-down", "star"]

GRID = "#E3E7EC"
AXIS_LINE = "#6B7280"
PAPER = "#FFFFFF"
HATCH_OPACITY = 0.45
TITLE_PAD = 14
FONT_FAMILY = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"

# One hue, light to dark: its order survives grey print and every kind of colour blindness.
SEQUENTIAL = [[0.0, "#F4F7FB"], [0.25, "#B9D4EA"], [0.5, "#6FA8D3"], [0.75, "#2475AD"], [1.0, "#0B3C66"]]
DIVERGING = [[0.0, "#A34700"], [0.25, "#E8A36B"], [0.5, "#F7F7F7"], [0.75, "#6FA8D3"], [1.0, "#0B4F85"]]

AXIS: dict[str, Any] = {
    "automargin": True,
    "gridcolor": GRID,
    "linecolor": AXIS_LINE,
    "showline": True,
    "tickcolor": AXIS_LINE,
    "ticks": "outside",
    "ticklen": 4,
    "title": {"standoff": 10},
    "zeroline": False,
}


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two `#rrggbb` colours, 1 to 21 (WCAG 2.2, "contrast ratio").

    >>> round(contrast("#000000", "#ffffff"), 1)
    21.0
    """
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance, 0 (black) to 1 (white), of an sRGB colour (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def template() -> dict[str, Any]:
    """The plotly template "k2repro" as plain data: small, because it travels in every figure."""
    scale = {"sequential": SEQUENTIAL, "sequentialminus": SEQUENTIAL[::-1], "diverging": DIVERGING}
    return {
        "data": _trace_defaults(),
        "layout": {
            "autotypenumbers": "strict",
            "colorway": PALETTE,
            "colorscale": scale,
            "font": {"family": FONT_FAMILY, "size": 13, "color": INK},
            "title": {
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "y": 1,
                "yref": "container",
                "yanchor": "top",
                "pad": {"t": TITLE_PAD},
                "font": {"size": 16, "weight": 700},
            },
            "paper_bgcolor": PAPER,
            "plot_bgcolor": PAPER,
            "hovermode": "closest",
            "hoverlabel": {"align": "left", "bgcolor": PAPER, "font": {"color": INK}},
            "legend": {"bgcolor": "rgba(255,255,255,0.8)"},
            "margin": {"l": 64, "r": 32, "t": 56, "b": 56},
            "xaxis": dict(AXIS),
            "yaxis": dict(AXIS),
            "annotationdefaults": {"arrowcolor": INK, "arrowhead": 0, "arrowwidth": 1},
            "shapedefaults": {"line": {"color": AXIS_LINE}},
        },
    }


def _trace_defaults() -> dict[str, list[dict[str, Any]]]:
    error_bars = {"color": INK, "thickness": 1.5}
    # Hatching lies over the colour, so that a bar has both signs.
    # Pale enough for the words on it.
    pattern = {"fillmode": "overlay", "size": 9, "fgopacity": HATCH_OPACITY, "fgcolor": PAPER}
    bar_marker = {"line": {"color": PAPER, "width": 1}, "pattern": pattern}
    colourbar = {"outlinewidth": 0, "ticks": "outside", "ticklen": 4, "thickness": 14}
    return {
        "scatter": [{"type": "scatter", "line": {"width": 2.5}, "marker": {"size": 8}}],
        "bar": [{"type": "bar", "marker": bar_marker, "error_x": error_bars, "error_y": error_bars}],
        "heatmap": [{"type": "heatmap", "colorscale": SEQUENTIAL, "colorbar": colourbar}],
    }
