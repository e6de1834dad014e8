"""The floor plan of a wafer: which cores hold which layers, and which of them work at a moment."""

import math

from k2repro.notebook.palette import GREY
from k2repro.pictures.style import Picture, Records
from k2repro.wafer.model.mesh import Placement


def floor_plan_picture(placement: Placement, cores: float, wafers: int, layers: int, working: int) -> Picture:
    """Regions of a placement as squares on their wafers, side in cores.

    working: the layer that computes at this moment; its region is filled, all others wait.
    """
    import plotly.graph_objects as go

    side, edge = placement.region.side, math.sqrt(cores)
    per_wafer = math.ceil(placement.regions / wafers)
    # A region need not be a square on the floor: it is drawn as a strip of the same area.
    height = edge / per_wafer * min(1.0, per_wafer * side**2 / cores)
    figure = go.Figure()
    records: Records = []
    for region in range(placement.regions):
        wafer, place = divmod(region, per_wafer)
        first = region * placement.layers_per_region
        last = min(layers, first + placement.layers_per_region) - 1
        busy = first <= working <= last
        held = f"layers {first} to {last}" if last > first else f"layer {first}"
        left, low = wafer * 1.15 * edge, place * edge / per_wafer
        figure.add_scatter(
            x=[left, left + edge, left + edge, left, left],
            y=[low, low, low + height, low + height, low],
            mode="lines",
            fill="toself" if busy else "none",
            line={"dash": "solid" if busy else "dot", "color": None if busy else GREY},
            name="works now" if busy else "waits",
            showlegend=busy,
        )
        figure.add_annotation(x=left + edge / 2, y=low + height / 2, showarrow=False, text=held)
        records.append(
            {"wafer": wafer + 1, "region": region + 1, "layers": held.split(" ", 1)[1], "works now": busy}
        )
    figure.update_xaxes(title="cores along a wafer, wafers side by side")
    figure.update_yaxes(title="cores")
    figure.update_layout(title="One layer works, the other regions wait", height=440)
    return figure, records
