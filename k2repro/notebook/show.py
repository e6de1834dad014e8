"""The one way to show a figure: alive in JupyterLab, a picture with words and numbers everywhere else.

Lab takes the plotly bundle; GitHub, nbconvert and a browser without JavaScript take the picture.
Nothing here starts a browser: the picture is drawn by `static_svg` from the same data.
"""

import base64
import math
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from k2repro.errors import K2ReproError
from k2repro.notebook.palette import template
from k2repro.notebook.plain import plain_text, title_text
from k2repro.notebook.slider import SLIDER_ROOM, check_states, shown_state, still_states, with_fixed_axes
from k2repro.notebook.text import Bundle, Record, check_records
from k2repro.tables import Table

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PLOTLY_MIME = "application/vnd.plotly.v1+json"
SHORTEST_ALT = 20
DEFAULT_HEIGHT = 420
DIGITS = 6
ROOM_FOR_TITLE_AND_LEGEND = 88
LEGEND_ABOVE = 1.02
# Without the mode bar: it is a row of links that a screen reader cannot name.
CONFIG = {"displayModeBar": False, "responsive": True}


def show(fig: "Figure", alt: str, table: list[dict[str, Any]], *, takeaway: str = "") -> None:
    """Display a figure, what it teaches, and its data.

    fig     plotly Figure; it is not changed
    alt       what one sees, at least 20 characters and not the title: the picture's name for a screen
              reader. Of a figure with a slider it is said which state it describes
    table     the data, a list of dicts with the same keys
    takeaway  what a reader should keep, the caption for everybody; without it `alt` is the caption

    Raises K2ReproError when these rules are broken, when the figure cannot be drawn statically, or when
    a state of its slider leaves the plot.
    """
    from IPython.display import display

    live, words = bundles(fig, alt, table, takeaway=takeaway)
    display(Bundle(live))
    display(Bundle(words))


def bundles(
    fig: "Figure", alt: str, table: list[dict[str, Any]], *, takeaway: str = ""
) -> tuple[dict[str, Any], dict[str, str]]:
    """The two display bundles of `show`: the figure, then its caption and data table."""
    from k2repro.notebook.static.svg import static_svg

    columns = check_records(table, "show(table=...)")
    fig = with_fixed_axes(fig)
    record = figure_record(fig)
    _check_words(alt, takeaway, record)
    check_states(fig)
    alt = alt.strip()
    picture = base64.b64encode(static_svg(fig).encode()).decode()
    caption = takeaway.strip() or alt
    alt = " ".join([alt, *shown_state(record["layout"])])
    image = f'<img alt="{escape(alt)}" src="data:image/svg+xml;base64,{picture}" style="max-width:100%">'
    live = {PLOTLY_MIME: record, "text/html": f'<figure style="margin:0">{image}</figure>', "text/plain": alt}
    told = f'<p style="margin:0.4em 0"><em>{escape(caption)}</em></p>\n'
    words = {
        "text/html": told + _still_note(record["layout"]) + details_table(table, columns),
        "text/plain": f"{caption}\n" * bool(takeaway)
        + Table.of_records(table, columns, "Data of the figure").as_text(),
    }
    return live, words


def details_table(table: list[dict[str, Any]], columns: list[str]) -> str:
    """The figure's numbers, folded away but within everybody's reach."""
    count = f"{len(table)} row{'s' if len(table) != 1 else ''}"
    return (
        f"<details><summary>Data table ({count})</summary>\n"
        f"{Table.of_records(table, columns, 'Data of the figure').as_html()}</details>"
    )


def figure_record(fig: "Figure") -> dict[str, Any]:
    """The figure as plain JSON: our template, no ids of the session, six significant digits, no width."""
    figure = clean(fig.to_plotly_json())
    layout = figure.get("layout", {})
    layout["template"] = template()
    layout["autosize"] = True
    layout.setdefault("height", DEFAULT_HEIGHT)
    layout.pop("width", None)
    if layout.get("sliders"):
        layout["height"] += SLIDER_ROOM
    _make_room_for_title(layout)
    for name, axis in layout.items():
        if name[1:5] == "axis" and isinstance(axis, dict) and axis.get("overlaying"):
            # Plotly would copy the base axis's tick places, which gives ticks such as 16%, 32%, 48%.
            axis.setdefault("tickmode", "auto")
            axis.setdefault("showgrid", False)
    record: dict[str, Any] = {"config": dict(CONFIG), "data": figure.get("data", []), "layout": layout}
    if figure.get("frames"):
        record["frames"] = figure["frames"]
    return record


def _make_room_for_title(layout: dict[str, Any]) -> None:
    """A level legend above the plot stands where the title is; widen the margin so that both fit."""
    legend = layout.get("legend") or {}
    above = legend.get("orientation") == "h" and (legend.get("y") or 0) >= 1
    if above and layout.get("title"):
        margin = layout.setdefault("margin", {})
        margin["t"] = max(margin.get("t") or 0, ROOM_FOR_TITLE_AND_LEGEND)
    if above:
        # By default plotly hangs such a legend down from its place, over the first line of the plot.
        layout["legend"] = {**legend, "yanchor": "bottom", "y": LEGEND_ABOVE}


def clean(value: Any) -> Any:
    """Plain JSON values: arrays as lists, floats rounded, NaN and infinities as null, uids dropped."""
    if isinstance(value, Mapping):
        if "bdata" in value and "dtype" in value:
            return clean(_unpack(value))
        return {str(key): clean(item) for key, item in value.items() if key != "uid"}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return round_float(value)
    return clean(_from_numpy(value))


def round_float(value: float) -> float | int | None:
    """Six significant digits are more than a screen can show, and keep notebooks small.

    >>> round_float(0.1 + 0.2), round_float(float("nan"))
    (0.3, None)
    """
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


def _unpack(packed: Mapping[str, Any]) -> Any:
    """Plotly's binary arrays {dtype, bdata, shape} as nested lists: a diff shows what changed."""
    import numpy as np

    array = np.frombuffer(
        base64.b64decode(packed["bdata"]), dtype=np.dtype(packed["dtype"]).newbyteorder("<")
    )
    if "shape" in packed:
        array = array.reshape([int(size) for size in str(packed["shape"]).split(",")])
    return array.tolist()


def _from_numpy(value: Any) -> Any:
    import numpy as np

    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise K2ReproError(
        f"show: the figure holds a {type(value).__name__} ({value!r:.60}); "
        "use numbers, texts, lists or arrays"
    )


def _check_words(alt: str, takeaway: str, record: Record) -> None:
    if len(alt.strip()) < SHORTEST_ALT:
        raise K2ReproError(
            f"show: alt {alt!r} has {len(alt.strip())} characters, at least {SHORTEST_ALT} are needed. "
            "Say what one sees in the figure, not only what it is about"
        )
    title = plain_text(title_text(record["layout"].get("title")))
    if alt.strip().rstrip(".").casefold() == title.strip().rstrip(".").casefold():
        raise K2ReproError(f"show: alt repeats the title {title!r}; say what one sees instead")
    if takeaway and takeaway.strip().casefold() == alt.strip().casefold():
        raise K2ReproError("show: takeaway repeats alt; alt says what one sees, takeaway what it means")


def _still_note(layout: Mapping[str, Any]) -> str:
    """For a page whose slider is dead: which state its picture shows, and where the others are."""
    states = " ".join(f"{state}." for state in still_states(layout))
    if not states:
        return ""
    return (
        f'<p style="margin:0.4em 0">As a still picture: {escape(states)} In JupyterLab a slider shows '
        "the others.</p>\n"
    )
