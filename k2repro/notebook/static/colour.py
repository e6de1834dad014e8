"""Plotly's colours, dashes and marker symbols in matplotlib's words."""

import re
from collections.abc import Mapping
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.notebook.palette import PALETTE, contrast

RGB = re.compile(r"rgba?\(([^)]*)\)")
Colour = tuple[float, float, float, float]

DASH = {
    "solid": "solid",
    "dot": (0, (1, 1.6)),
    "dash": (0, (4, 2)),
    "longdash": (0, (8, 3)),
    "dashdot": (0, (4, 2, 1, 2)),
    "longdashdot": (0, (8, 3, 1, 3)),
}
SYMBOL = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "cross": "P",
    "x": "X",
    "triangle-up": "^",
    "triangle-down": "v",
    "triangle-left": "<",
    "triangle-right": ">",
    "pentagon": "p",
    "hexagon": "h",
    "star": "*",
    "line-ns": "|",
    "line-ew": "_",
}


def colour(value: Any, opacity: float | None = None) -> Colour:
    """Red, green, blue and opacity, each 0 to 1, of a CSS colour; raises K2ReproError for another text."""
    from matplotlib.colors import to_rgba

    match = RGB.fullmatch(str(value).strip())
    try:
        if match:
            parts = [float(part.strip().rstrip("%")) for part in match.group(1).split(",")]
            red, green, blue = (part / 255 for part in parts[:3])
            rgba: Colour = (red, green, blue, parts[3] if len(parts) > 3 else 1.0)
        else:
            named = "none" if str(value) == "transparent" else str(value)
            rgba = to_rgba(named)
    except ValueError:
        raise K2ReproError(
            f"show: {value!r} is not a colour; use '#rrggbb', 'rgba(...)' or a CSS name"
        ) from None
    if opacity is None:
        return rgba
    return (*rgba[:3], rgba[3] * float(opacity))


def trace_colour(number: int) -> str:
    """The colour that plotly gives to the trace at this place."""
    return PALETTE[number % len(PALETTE)]


def dash_style(name: str | None) -> Any:
    """matplotlib line style of a plotly dash name."""
    if name is not None and name not in DASH:
        raise unknown("line dash", name, DASH)
    return DASH[name or "solid"]


def marker_symbol(name: str | None) -> tuple[str, bool]:
    """matplotlib marker and whether it is hollow."""
    base = (name or "circle").removesuffix("-open")
    if base not in SYMBOL:
        raise unknown("marker symbol", base, SYMBOL)
    return SYMBOL[base], base != (name or "circle")


def readable_on(background: Colour) -> str:
    """Black or white, whichever reads better on a colour."""
    from matplotlib.colors import to_hex

    ground = to_hex(background[:3])
    return max("#ffffff", "#1a1a1a", key=lambda ink: contrast(ink, ground))


def colour_map(scale: Any, reverse: bool) -> Any:
    """matplotlib colour map of a plotly colour scale: a name or a list of [place, colour]."""
    from matplotlib.colors import LinearSegmentedColormap

    from k2repro.notebook.palette import SEQUENTIAL

    if isinstance(scale, str):
        scale = _named_scale(scale)
    stops = scale or SEQUENTIAL
    if not isinstance(stops[0], list | tuple):
        stops = [[place / (len(stops) - 1), each] for place, each in enumerate(stops)]
    pairs: list[Any] = [(float(str(place)), colour(each)) for place, each in stops]
    made = LinearSegmentedColormap.from_list("scale", pairs, N=256)
    return made.reversed() if reverse else made


def _named_scale(name: str) -> list[Any]:
    from plotly.colors import get_colorscale
    from plotly.exceptions import PlotlyError

    try:
        return list(get_colorscale(name))
    except PlotlyError:
        raise K2ReproError(
            f"show: colour scale {name!r} is not one of plotly's; try 'Blues' or 'Cividis'"
        ) from None


def colour_scaling(record: Mapping[str, Any], values: list[float], ends: str) -> tuple[Any, Any]:
    """(norm, colour map) for values; `ends` is "z" for heatmaps and "c" for markers and colour axes."""
    from matplotlib.colors import Normalize

    finite = [value for value in values if value == value]
    if not finite:
        raise K2ReproError("show: a colour scale has no value to stand for; every one is missing")
    low, high = record.get(f"{ends}min"), record.get(f"{ends}max")
    low = min(finite) if low is None else float(low)
    high = max(finite) if high is None else float(high)
    middle = record.get(f"{ends}mid")
    if middle is not None:
        reach = max(abs(high - middle), abs(low - middle))
        low, high = middle - reach, middle + reach
    if low == high:
        low, high = low - 0.5, high + 0.5
    return Normalize(low, high), colour_map(record.get("colorscale"), bool(record.get("reversescale")))
