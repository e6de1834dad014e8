"""What all figures share beside the palette: the types of `show`'s arguments."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Records = list[dict[str, Any]]
Picture = tuple["Figure", Records]
# Hatches beside the colours of stacked bars, in the order of the palette.
HATCHES = ("", "/", "\\", "x", "-", "|", "+", ".")
# A level legend under the plot: it hides no line, whatever the lines do.
BELOW = {"orientation": "h", "y": -0.2}
