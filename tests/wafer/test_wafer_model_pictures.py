"""The figures of notebook 07: they show the numbers of their predictions and draw without a browser."""

import numpy as np
import pytest
from wafer_tables import shipped_report, shipped_table

from k2repro.notebook.show import bundles
from k2repro.pictures import wafer as pictures
from k2repro.pictures import wafer_validation as pictures_validation
from k2repro.pictures.wafer_race import race_picture
from k2repro.wafer import find_device, find_shape, predict
from k2repro.wafer.replay.live import lane_at_rate, race_frames

K2 = find_shape("k2-think")
ALT = "What one sees in a figure of the tests."
DEPLOYMENTS = {
    "1 x H100": predict(K2, "H100-SXM"),
    "8 x H100": predict(K2, "H100-SXM", devices=8),
    "2 wafers": predict(K2, "WSE-3", devices=2),
    "4 wafers": predict(K2, "WSE-3", devices=4),
}
CLAIMS = {"published": 2000.0}


def draw(picture):
    """The picture as the notebook would show it; records come back."""
    figure, records = picture
    live, words = bundles(figure, ALT, records)
    assert "<img" in live["text/html"]
    assert ALT in words["text/html"]
    return figure, records


def test_breakdown_bars_fill_the_step():
    """A cause missing from the bars: shares of every deployment add up to 100 per cent."""
    figure, records = draw(pictures.breakdown_picture(DEPLOYMENTS))
    total = np.sum([bar.x for bar in figure.data], axis=0)
    assert total == pytest.approx(np.full(len(DEPLOYMENTS), 100.0))
    assert [record["tokens/s"] for record in records] == [
        found.tokens_per_second for found in DEPLOYMENTS.values()
    ]


def test_bands_hold_their_point_and_ask_for_more_where_slower():
    """Error bars the wrong way round: low < point < high, and the slower needs the larger factor."""
    figure, records = draw(pictures.bands_picture(DEPLOYMENTS, CLAIMS, draft_tokens=4))
    bars = figure.data[0].error_x
    assert min(*bars.array, *bars.arrayminus) > 0
    for record in records:
        assert record["at best"] < record["needs times"] < record["at worst"]
        assert record["needs times"] * DEPLOYMENTS[record["deployment"]].tokens_per_second == pytest.approx(
            2000
        )
    needed = {record["deployment"]: record["acceptance"] for record in records}
    assert needed["1 x H100"] is None
    # The declared placement gives every number of wafers that holds the model the same rate.
    assert needed["4 wafers"] == pytest.approx(needed["2 wafers"])


def test_the_mesh_figure_passes_through_its_rows():
    """Curves of another model: measured WSE-2 rates lie within six per cent of their curve."""
    rows = [row for row in shipped_table().rates if row.device.name == "WSE-2"]
    _, records = draw(pictures.mesh_picture(rows, ["Llama-3.1-8B", "Qwen2-72B"]))
    measured = [record for record in records if record["measured tokens/s"]]
    assert len(measured) == 6
    for record in measured:
        assert record["predicted tokens/s"] == pytest.approx(record["measured tokens/s"], rel=0.06)


def test_the_slider_shows_every_batch_without_a_kernel():
    """A slider that needs a kernel: every state is in the figure, and equals `predict`."""
    figure, records = draw(pictures.contexts_picture(K2, {"2 wafers": ("WSE-3", 2)}, [1024, 8192], [64, 1]))
    assert [frame.name for frame in figure.frames] == ["64", "1"]
    one = next(record for record in records if (record["batch"], record["context"]) == (1, 1024))
    assert one["tokens/s per sequence"] == pytest.approx(predict(K2, "WSE-3", devices=2).tokens_per_second)


def test_the_race_counts_tokens_by_the_clock():
    """Frames counted instead of seconds: after one second a lane holds its rate."""
    lanes = [lane_at_rate("slow", 20, 4000), lane_at_rate("fast", 2000, 4000)]
    figure, records = draw(race_picture(lanes, race_frames(lanes, seconds=2, frames_per_second=5)))
    assert list(figure.frames[5].data[0].x) == [20, 2000]
    assert records[0]["fast"] == 0
    assert figure.layout.updatemenus[0].buttons[0].label == "Play"


def test_the_roofline_figure_is_a_roof():
    """A roof above its walls: no dot lies above bandwidth or peak."""
    devices = pictures.fan_of_devices(["H100-SXM", "WSE-3"])
    _, records = draw(pictures.roofline_picture(devices, K2, [1, 256]))
    for record in records:
        device = find_device(record["device"])
        assert record["attainable TFLOP/s"] * 1e12 <= device.peak_bf16_flops * (1 + 1e-9)
    assert records[0]["tokens/s at the roof"] == pytest.approx(3350e9 / (2 * K2.decode_parameters))


def test_the_ladder_keeps_its_numbers():
    """Rungs sorted or rounded away."""
    _, records = draw(pictures.ladder_picture({"a": 7000.0, "b": 5.5}))
    assert [record["times"] for record in records] == [7000.0, 5.5]


def test_the_validation_figure_shows_held_out_points():
    """Frozen predictions sold as held out: the points are those of the leave-one-out forecast."""
    report = shipped_report()
    figure, records = draw(
        pictures_validation.validation_picture(shipped_table().rates, report.held_out_points)
    )
    assert sum(record["rows"] for record in records) == 648
    shown = np.concatenate([trace.y for trace in figure.data if trace.mode == "markers"])
    assert sorted(shown) == pytest.approx(sorted(point[1] for point in report.held_out_points))
    assert report.held_out_points != report.points


def test_the_methods_figure_is_the_table():
    """Bars of other rows than the table's."""
    scores = shipped_report().baselines
    figure, records = draw(pictures_validation.methods_picture(scores))
    assert list(figure.data[0].x) == [100 * score.median_error for score in scores]
    assert [record["rows"] for record in records] == [648, 648, 648, 648]
