"""Bars that lie on their side and are stacked: the legend reads as the bar does, from the left."""

import pytest

from k2repro.pictures import rlvr, sft

MADE = ("wrong look-up", "wrong arithmetic", "wrong order")


@pytest.mark.parametrize(
    "picture",
    [lambda: rlvr.mistakes_picture({"sft": dict.fromkeys(MADE, 0.2)}), lambda: sft.mistakes_picture({})],
)
def test_the_legend_has_the_order_of_the_bar(picture):
    """Catches plotly's own order for stacks, the reverse: the first name stands for the last piece."""
    figure, _ = picture()
    assert figure.layout.barmode == "stack" and len(figure.data) > 2
    assert all(bar.orientation == "h" for bar in figure.data)
    assert figure.layout.legend.traceorder == "normal"
