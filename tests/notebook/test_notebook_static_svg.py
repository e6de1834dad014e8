"""static_svg: the still picture tells what the live figure tells, or refuses."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plotly.subplots import make_subplots

from k2repro.errors import K2ReproError
from k2repro.notebook.palette import DASHES, MARKERS
from k2repro.notebook.static.format import fill_template, format_d3, plain_number
from k2repro.notebook.static.svg import static_svg

SMALL = 40_000


def words(svg: str) -> str:
    """All texts of a picture, one per line."""
    return "\n".join(
        "".join(node.itertext()) for node in ET.fromstring(svg).iter() if node.tag.endswith("text")
    )


def lines_figure() -> go.Figure:
    fig = go.Figure()
    for i in range(4):
        fig.add_scatter(
            x=[1, 2, 4, 8],
            y=[0.1 * i + 0.1 * k for k in range(4)],
            name=f"series {i}",
            mode="lines+markers",
            line={"dash": DASHES[i]},
            marker={"symbol": MARKERS[i]},
            error_y={"array": [0.02] * 4},
        )
    fig.update_xaxes(type="log", title="samples", tickvals=[1, 2, 4, 8])
    fig.update_yaxes(title="accuracy", tickformat=".0%", range=[0, 1])
    fig.add_hline(y=0.5, line_dash="dash", annotation_text="published")
    return fig.update_layout(title="<b>Best</b> of<br>N")


def bars_figure(mode: str, shapes: tuple[str, str] = ("", "")) -> go.Figure:
    bars = [
        go.Bar(
            x=["tier 1", "tier 2"],
            y=[0.9, 0.4],
            name=name,
            texttemplate="%{y:.0%}",
            marker_pattern_shape=shape,
        )
        for name, shape in zip(("base", "sft"), shapes, strict=True)
    ]
    return go.Figure(bars).update_layout(barmode=mode, title="Bars")


def heat_figure() -> go.Figure:
    cells = go.Heatmap(z=[[1.0, None], [0.25, 2.0]], x=["a", "b"], y=["c", "d"], texttemplate="%{z:.2f}")
    return go.Figure(cells.update(colorbar={"title": "score"}))


def panels_figure() -> go.Figure:
    fig = make_subplots(rows=1, cols=2, subplot_titles=["Left panel", "Right panel"])
    fig.add_scatter(y=[1, 2, 3], row=1, col=1)
    return fig.add_bar(y=[3, 2, 1], row=1, col=2)


def second_axis_figure() -> go.Figure:
    fig = make_subplots(specs=[[{"secondary_y": True}]])
    fig.add_bar(x=["p", "q"], y=[10, 20], name="tokens")
    fig.add_scatter(x=["p", "q"], y=[0.1, 0.9], name="rate", secondary_y=True)
    return fig.update_yaxes(title_text="rate on the right", secondary_y=True)


def band_figure() -> go.Figure:
    upper = go.Scatter(x=[0, 1, 2], y=[2, 3, 4], line_width=0, mode="lines", showlegend=False)
    lower = go.Scatter(x=[0, 1, 2], y=[0, 1, 2], line_width=0, mode="lines", fill="tonexty", name="interval")
    return go.Figure([upper, lower]).add_vrect(x0=0.5, x1=1, fillcolor="#dddddd", opacity=0.4)


def moving_figure() -> go.Figure:
    fig = go.Figure(go.Scatter(y=[1, 2]), frames=[go.Frame(data=[go.Scatter(y=[5, 9])], name="late")])
    steps = [{"label": "1", "method": "animate"}, {"label": "2", "method": "animate"}]
    return fig.update_layout(sliders=[{"currentvalue": {"prefix": "batch "}, "steps": steps}])


FIGURES = {
    "lines": lines_figure,
    "group": lambda: bars_figure("group", ("", "/")),
    "stack": lambda: bars_figure("stack"),
    "heat": heat_figure,
    "panels": panels_figure,
    "second": second_axis_figure,
    "band": band_figure,
    "moving": moving_figure,
}


@pytest.mark.parametrize("name", FIGURES)
def test_pictures_are_small_valid_and_repeatable(name):
    """Catches dates, random ids and bloat: a rebuilt notebook must not change."""
    first, second = static_svg(FIGURES[name]()), static_svg(FIGURES[name]())
    assert first == second
    assert len(first) < SMALL
    assert ET.fromstring(first).tag.endswith("svg")
    assert not re.search(r"20\d\d-\d\d-\d\d|matplotlib|DejaVu", first, re.IGNORECASE)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lines", ["Best of", "samples", "accuracy", "40%", "series 3", "published"]),
        ("group", ["tier 1", "90%", "40%", "base", "sft"]),
        ("heat", ["1.00", "0.25", "a", "d", "score"]),
        ("panels", ["Left panel", "Right panel"]),
        ("second", ["rate on the right", "tokens"]),
        ("band", ["interval"]),
        ("moving", ["batch 1, one of 2 states"]),
    ],
)
def test_words_of_the_figure_are_words_of_the_picture(name, told):
    """Catches a title, tick, label or legend entry that the still picture loses."""
    said = words(static_svg(FIGURES[name]()))
    assert [word for word in told if word not in said] == []
    assert "<b>" not in said


def bar_boxes(svg: str, colour: str) -> list[tuple[float, float]]:
    """(lowest, highest) of the filled paths of one colour, in picture coordinates (y grows down)."""
    boxes = []
    for path, style in re.findall(r'<path d="([^"]+)"[^>]*?style="([^"]*)"', svg):
        if f"fill: {colour}" in style:
            ys = [float(y) for y in re.findall(r"[ML] [-\d.]+ ([-\d.]+)", " ".join(path.split()))]
            boxes.append((max(ys), min(ys)))
    return boxes


def test_stacked_bars_stand_on_each_other():
    """Catches the silent wrong twin: stacked bars all starting at zero."""
    stacked, overlaid = static_svg(bars_figure("stack")), static_svg(bars_figure("overlay"))
    below, above = bar_boxes(stacked, "#0072b2"), bar_boxes(stacked, "#d55e00")
    assert above[0][0] == pytest.approx(below[0][1], abs=0.1)
    same_floor = bar_boxes(overlaid, "#d55e00")[0][0] == pytest.approx(
        bar_boxes(overlaid, "#0072b2")[0][0], abs=0.1
    )
    assert same_floor


def test_bar_heights_are_proportional_to_values():
    """Catches bars drawn from a wrong base or on a wrong axis."""
    boxes = bar_boxes(static_svg(bars_figure("overlay")), "#0072b2")
    heights = [floor - top for floor, top in boxes[:2]]
    assert heights[0] / heights[1] == pytest.approx(0.9 / 0.4, rel=0.01)


def test_log_axis_spaces_decades_evenly():
    """Catches a log axis that is drawn linearly."""
    fig = go.Figure(go.Scatter(x=[1, 10, 1000], y=[1, 1, 1], mode="markers")).update_xaxes(type="log")
    found = re.findall(r'<use[^>]*? x="([\d.]+)"[^>]*?fill: #0072b2', static_svg(fig))
    a, b, c = (float(x) for x in found[:3])
    assert (c - b) / (b - a) == pytest.approx(2.0, rel=0.01)
    fig.update_xaxes(type="linear")
    a, b, c = (
        float(x) for x in re.findall(r'<use[^>]*? x="([\d.]+)"[^>]*?fill: #0072b2', static_svg(fig))[:3]
    )
    assert (c - b) / (b - a) == pytest.approx(110.0, rel=0.01)


def test_reversed_and_fixed_ranges_are_kept():
    """Catches an axis that ignores autorange='reversed' or a given range."""
    fig = go.Figure(go.Bar(y=["first", "last"], x=[1, 2], orientation="h"))
    upright = [float(y) for y in heights_of(static_svg(fig), ["first", "last"])]
    fig.update_yaxes(autorange="reversed")
    turned = [float(y) for y in heights_of(static_svg(fig), ["first", "last"])]
    assert upright[0] > upright[1] and turned[0] < turned[1]
    assert "80" in words(static_svg(fig.update_xaxes(range=[0, 100])))


def heights_of(svg: str, texts: list[str]) -> list[str]:
    places = {}
    for node in ET.fromstring(svg).iter():
        text = "".join(node.itertext())
        if node.tag.endswith("text") and text in texts:
            places[text] = node.get("y") or re.search(
                r"translate\([-\d.]+ ([-\d.]+)", node.get("transform")
            ).group(1)
    return [places[text] for text in texts]


def test_annotations_and_shapes_differ_on_log_axes():
    """Catches plotly's trap: annotations give the exponent on a log axis, shapes give the value."""
    fig = go.Figure(go.Scatter(x=[1, 1000], y=[0, 1], mode="markers")).update_xaxes(type="log")
    fig.add_annotation(x=1.5, y=0.5, text="here", showarrow=False)
    fig.add_shape(type="line", x0=10**1.5, x1=10**1.5, y0=0, y1=1, line={"color": "#123456"})
    svg = static_svg(fig)
    line_x = float(re.search(r'd="M ([\d.]+) [^"]*"[^>]*stroke: #123456', svg).group(1))
    node = next(
        n for n in ET.fromstring(svg).iter() if "".join(n.itertext()) == "here" and n.tag.endswith("text")
    )
    where = node.get("transform") or ""
    text_x = float(node.get("x") or re.search(r"translate\(([\d.]+)", where).group(1))
    anchored = "middle" in (node.get("style") or "")
    assert anchored and text_x == pytest.approx(line_x, abs=1.0)


def test_first_state_of_a_moving_figure_is_drawn():
    """Catches drawing a later frame: the words beside the picture would not fit it."""
    still = moving_figure()
    still.frames = ()
    assert static_svg(moving_figure()) == static_svg(still)


def test_hidden_traces_are_not_drawn():
    """Catches traces behind a dropdown all appearing at once."""
    fig = go.Figure([go.Scatter(y=[1, 2], name="seen"), go.Scatter(y=[5, 6], name="hidden", visible=False)])
    assert "hidden" not in words(static_svg(fig))
    with pytest.raises(K2ReproError, match="no visible trace"):
        static_svg(go.Figure(go.Scatter(y=[1], visible="legendonly")))


def test_small_numbers_are_words_and_keep_their_digits():
    """Catches ticks of a thousandth that read 0.00, cut as if they were coordinates."""
    fig = go.Figure(go.Scatter(x=[1, 2], y=[0.002, 0.05], text=["1.23456"] * 2, mode="lines+text"))
    told = words(static_svg(fig.update_yaxes(type="log"))).splitlines()
    assert {"0.002", "0.005", "0.05", "1.23456"} <= set(told)


def test_a_trace_without_points_is_not_in_the_legend():
    """Catches a picture that cannot be drawn, or names something it does not show."""
    fig = go.Figure()
    for name, x in (("right so far", [0]), ("after a mistake", [])):
        fig.add_scatter(x=x, y=x, mode="markers+text", text=["a line"] * len(x), name=name)
    told = words(static_svg(fig))
    assert "a line" in told and "right so far" in told and "after a mistake" not in told


def test_missing_values_leave_gaps():
    """Catches None drawn as zero."""
    gap = static_svg(go.Figure(go.Scatter(y=[1, None, 3, 4], mode="lines")))
    zero = static_svg(go.Figure(go.Scatter(y=[1, 0, 3, 4], mode="lines")))
    line = r'<path d="(M [^"]+)" clip-path'
    assert len(re.findall(line, gap)) <= len(re.findall(line, zero)) and gap != zero


def test_a_fresh_machine_draws_in_silence(tmp_path):
    """Catches matplotlib's remarks about its cache, which would stand in the notebook's output."""
    occupied = tmp_path / "occupied"
    occupied.write_text("a file where matplotlib wants a folder")
    draw = "import plotly.graph_objects as go; from k2repro.notebook.static.svg import static_svg; "
    remark = "import matplotlib; matplotlib.get_cachedir(); "
    loud, quiet = (
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"MPLCONFIGDIR": str(occupied), "TMPDIR": str(tmp_path)},
        ).stderr
        for code in (remark, draw + "static_svg(go.Figure(go.Scatter(y=[1, 2])))")
    )
    assert "cache directory" in loud and quiet == ""


def test_dollar_signs_are_words():
    """Catches matplotlib's formula mode eating a price or a template."""
    fig = go.Figure(go.Scatter(y=[1, 2])).update_layout(title="costs $5 and $6")
    assert "costs $5 and $6" in words(static_svg(fig))


@pytest.mark.parametrize(
    ("figure", "named"),
    [
        (lambda: go.Figure(go.Pie(values=[1, 2])), "pie.*supported: bar, heatmap, scatter"),
        (lambda: go.Figure(go.Scatter(y=[1], mode="markers", marker_symbol="hexagram")), "marker symbol"),
        (lambda: go.Figure(go.Scatter(y=[1, 2], fill="tonext")), "fill"),
        (lambda: go.Figure(go.Scatter(y=[1, 2], stackgroup="one")), "stackgroup = 'one'"),
        (lambda: go.Figure(go.Scatter(y=[1, 2], line_shape="hv")), "line.shape = 'hv'"),
        (lambda: go.Figure(go.Scatter(y=[1], error_y={"type": "percent", "value": 5})), "error bar type"),
        (lambda: go.Figure(go.Bar(y=[1])).add_hline(y=1, label={"text": "a"}), "label of a shape"),
        (lambda: go.Figure(go.Bar(y=[1])).add_shape(type="path", path="M 0 0 L 1 1"), "shape type"),
        (lambda: go.Figure(go.Scatter(x=["2026-01-01"], y=[1])).update_xaxes(type="date"), "type 'date'"),
        (lambda: go.Figure(), "no visible trace"),
        (lambda: go.Figure(go.Heatmap(z=[[None]])), "missing"),
        (
            lambda: go.Figure(go.Scatter(y=[1, 2], text=["a", "b"], texttemplate="%{r}", mode="text")),
            "variable 'r'",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(figure, named):
    """Catches a picture that silently leaves something out."""
    with pytest.raises(K2ReproError, match=named):
        static_svg(figure())


@settings(deadline=None, derandomize=True, max_examples=15)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6),
    st.sampled_from(["lines", "markers", "lines+markers", "text"]),
)
def test_any_finite_series_can_be_drawn(values, mode):
    """Catches single points, equal values and extremes that break limits or ticks."""
    fig = go.Figure(go.Scatter(y=values, mode=mode, text=["word"] * len(values)))
    assert ET.fromstring(static_svg(fig)).tag.endswith("svg")


def test_large_heatmaps_stay_small():
    """Catches one rectangle per cell for thousands of cells."""
    z = np.random.default_rng(0).random((64, 64))
    assert len(static_svg(go.Figure(go.Heatmap(z=z)))) < SMALL


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (0.4161, ".1%", "41.6%"),
        (1234567, ",", "1,234,567"),
        (1234567.0, ",d", "1,234,567"),
        (32_763_876_352, ".3s", "32.8G"),
        (1500, "~s", "1.5k"),
        (2.5, "~g", "2.5"),
        (-3.0, ".1f", "−3.0"),
        (0.5, "+.2f", "+0.50"),
    ],
)
def test_d3_formats_are_read_as_plotly_reads_them(value, spec, text):
    """Catches a number in the picture that differs from the one in the live figure."""
    assert format_d3(value, spec) == text


def test_number_formats_and_templates():
    """Catches float noise in ticks and unknown formats passing through unread."""
    assert [plain_number(v) for v in (0.1 + 0.2, 9999, 10_000, 2.5e9, 3e-6)] == [
        "0.3",
        "9999",
        "10k",
        "2.5B",
        "3µ",
    ]
    assert fill_template("%{y:.0%} at %{x}", {"x": "tier 1", "y": 0.5}) == "50% at tier 1"
    with pytest.raises(K2ReproError, match="number format"):
        format_d3(1.0, "!!")
