"""Error bars of scatter and bar traces."""

from collections.abc import Mapping
from typing import Any

from k2repro.errors import unknown
from k2repro.notebook.static.axes import Panel
from k2repro.notebook.static.colour import Colour, colour

Record = Mapping[str, Any]


def each_point(value: Any, count: int) -> list[Any]:
    """One value per point of what plotly lets be a single value or a list."""
    return list(value[:count]) if isinstance(value, list) else [value] * count


def error_lengths(record: Record, count: int) -> tuple[list[float], list[float]]:
    """(below, above) of each point; zeros where the record asks for no error bars.

    Lengths are given ("data") or one for all ("constant"). Raises K2ReproError for another type.
    """
    asked = any(record.get(key) is not None for key in ("array", "value", "type"))
    if record.get("visible") is False or not asked:
        return [0.0] * count, [0.0] * count
    kind = record.get("type") or ("data" if record.get("array") is not None else "percent")
    if kind not in ("data", "constant"):
        raise unknown("error bar type", kind, ["data", "constant"])
    up = record.get("array") if kind == "data" else record.get("value", 10.0)
    down = up if record.get("arrayminus") is None else record["arrayminus"]
    below, above = ([float(each or 0) for each in each_point(ends, count)] for ends in (down, up))
    return below, above


def draw_error_bars(
    panel: Panel, record: Record, key: str, x: list[float], y: list[float], main: Colour
) -> None:
    """Draw the bars of `error_x` or `error_y` around points; nothing when none are asked for."""
    below, above = error_lengths(record, len(x))
    if not any(below) and not any(above):
        return
    upright = key == "error_y"
    panel.ax.errorbar(
        x,
        y,
        yerr=[below, above] if upright else None,
        xerr=None if upright else [below, above],
        fmt="none",
        ecolor=colour(record["color"]) if record.get("color") else main,
        zorder=5,
        elinewidth=record.get("thickness", 1.5),
        capsize=record.get("width", 4),
        capthick=1.5,
    )
