"""show(): what leaves it must live in Lab, be readable elsewhere, and be equal on every run."""

import base64
import json
import re
import subprocess
import sys

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.notebook.palette import DASHES, MARKERS, PALETTE, PAPER, contrast
from k2repro.notebook.show import PLOTLY_MIME, bundles, clean, figure_record, show
from k2repro.notebook.slider import with_slider
from k2repro.notebook.static.colour import DASH, SYMBOL

ALT = "Two points on a rising line: the second stands twice as high as the first."
TABLE = [{"step": 1, "reward": 0.25}, {"step": 2, "reward": 0.5}]


def rising() -> go.Figure:
    fig = go.Figure(go.Scatter(x=np.array([1, 2]), y=np.array([0.25, 0.5]), uid="session-id"))
    return fig.update_layout(title="Reward", width=900)


def test_bundle_holds_exactly_the_three_faces():
    """Catches a png in the bundle: Lab would show it as a dead picture without alternative text."""
    live, words = bundles(rising(), ALT, TABLE)
    assert set(live) == {PLOTLY_MIME, "text/html", "text/plain"}
    assert set(words) == {"text/html", "text/plain"}


def test_picture_carries_its_description():
    """Catches a fallback picture that says nothing to a screen reader."""
    live, _ = bundles(rising(), 'Line with "quotes" & <signs> that rises.', TABLE)
    [image] = re.findall(r"<img [^>]*>", live["text/html"])
    assert 'alt="Line with &quot;quotes&quot; &amp; &lt;signs&gt; that rises."' in image
    picture = base64.b64decode(re.search(r"base64,([^\"]+)", image).group(1)).decode()
    assert picture.startswith("<svg") and "Reward" in picture


def test_caption_and_table_stand_in_the_second_display():
    """Catches a Lab reader, who sees the live figure only, losing the words and the numbers."""
    _, words = bundles(rising(), ALT, TABLE)
    html = words["text/html"]
    assert ALT in html and "<details>" in html and "<caption" in html
    assert html.count('scope="col"') == 2 and "0.25" in html


def test_plotly_json_has_plain_lists_and_no_session_ids():
    """Catches binary arrays and uids: a diff would not show what changed, and runs would differ."""
    record = figure_record(rising())
    text = json.dumps(record)
    assert "bdata" not in text and "session-id" not in text and "width" not in record["layout"]
    assert record["data"][0]["x"] == [1, 2] and record["data"][0]["y"] == [0.25, 0.5]
    assert record["config"]["displayModeBar"] is False and record["layout"]["height"] > 200


def test_show_leaves_the_figure_unchanged():
    """Catches show() writing its template into the caller's figure."""
    fig = rising()
    before = fig.to_json()
    bundles(fig, ALT, TABLE)
    assert fig.to_json() == before


def test_the_template_is_ours():
    """Catches plotly's default grey look slipping back in."""
    layout = figure_record(rising())["layout"]
    assert layout["template"]["layout"]["plot_bgcolor"] == PAPER
    assert layout["template"]["layout"]["colorway"] == PALETTE


def test_two_runs_in_two_processes_give_equal_bytes():
    """Catches ids and hash seeds in the picture: every rebuild would change every notebook."""
    code = (
        "import plotly.graph_objects as go, hashlib, json;"
        "from k2repro.notebook.show import bundles;"
        "f = go.Figure([go.Bar(x=['a','b'], y=[1,2], name='p'), go.Bar(x=['a','b'], y=[2,1], name='q')]);"
        "print(hashlib.sha256(json.dumps(bundles(f, 'Bars of two kinds beside each other', [{'a': 1}]))"
        ".encode()).hexdigest())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1] and len(runs[0]) > 60


@pytest.mark.parametrize(
    ("alt", "table", "complaint"),
    [
        ("too short", TABLE, "at least 20"),
        ("   padded to the length    ", TABLE, None),
        (ALT, [], "non-empty"),
        (ALT, [{"a": 1}, {"b": 2}], "same keys"),
        (ALT, [1, 2], "not a dict"),
        (ALT, {"a": [1]}, "list of dicts"),
    ],
)
def test_bad_words_or_tables_are_refused(alt, table, complaint):
    """Catches a figure that goes out without a description or without its data."""
    if complaint is None:
        assert bundles(rising(), alt, table)
        return
    with pytest.raises(K2ReproError, match=complaint):
        bundles(rising(), alt, table)


def test_alt_that_repeats_the_title_is_refused():
    """Catches the title pasted as description: it says what the figure is about, not what one sees."""
    fig = rising().update_layout(title="<b>Reward during the training</b>")
    with pytest.raises(K2ReproError, match="repeats the title"):
        bundles(fig, "Reward during the training.", TABLE)


def test_show_displays_twice(capsys):
    """Catches a show() that builds bundles and forgets to display one."""
    show(rising(), ALT, TABLE)
    printed = capsys.readouterr().out
    assert ALT in printed and "Data of the figure" in printed


def test_a_level_legend_above_the_plot_gets_room_below_the_title():
    """Catches legend and title drawn over each other in Lab."""
    fig = rising().update_layout(legend={"orientation": "h", "y": 1.02})
    assert figure_record(fig)["layout"]["margin"]["t"] >= 80
    assert "margin" not in figure_record(rising())["layout"]


def test_second_axis_gets_round_ticks_of_its_own():
    """Catches plotly 7 copying the first axis's tick places: ticks such as 16%, 32%, 48%."""
    fig = go.Figure([go.Scatter(y=[1, 2]), go.Scatter(y=[3, 4], yaxis="y2")])
    fig.update_layout(yaxis2={"overlaying": "y", "side": "right"})
    assert figure_record(fig)["layout"]["yaxis2"]["tickmode"] == "auto"


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5))
def test_cleaned_values_are_valid_json(values):
    """Catches NaN and Infinity in the notebook: they are not JSON, and Lab shows nothing."""
    json.dumps(clean({"y": np.array(values), "x": values}), allow_nan=False)


def test_unknown_objects_in_a_figure_are_named():
    """Catches an object's repr, with its address, being written into the notebook."""
    with pytest.raises(K2ReproError, match="object"):
        clean({"customdata": [object()]})


@pytest.mark.parametrize("colour", PALETTE)
def test_palette_is_visible_on_white(colour):
    """Catches a light colour: WCAG 1.4.11 asks for 3:1. Okabe-Ito's own yellow fails it."""
    assert contrast(colour, PAPER) >= 3.0
    assert contrast("#F0E442", PAPER) < 3.0


# Viénot, Brettel and Mollon 1999, on linear RGB; the identity is the usual eye.
EYES = {
    "protanope": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
    "deuteranope": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    "usual": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, eye: str) -> np.ndarray:
    """CIE Lab (D65) of a colour as an eye sees it."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(TO_XYZ @ np.clip(np.array(EYES[eye]) @ linear, 0, 1) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(colours: list[str]) -> float:
    """Smallest Lab distance of two colours over all eyes."""
    pairs = [(a, b) for i, a in enumerate(colours) for b in colours[:i]]
    return min(float(np.linalg.norm(lab(a, eye) - lab(b, eye))) for eye in EYES for a, b in pairs)


def test_palette_survives_colour_blindness():
    """Catches two series that look alike: amber and vermillion, both darkened, are one to a deuteranope."""
    assert nearest(PALETTE[:5]) > 23 and nearest(PALETTE) > 17
    assert nearest(["#D55E00", "#B07800"]) < 5


def test_every_dash_and_marker_of_the_palette_can_be_drawn():
    """Catches a style that works live and fails in the picture."""
    assert set(DASHES) <= set(DASH) and set(MARKERS) <= set(SYMBOL)


def test_importing_the_room_loads_no_heavy_package():
    """Catches plotly or matplotlib at import time: the first cell of every notebook would wait."""
    code = (
        "import sys, k2repro.notebook as n;"
        "heavy = {'plotly', 'matplotlib', 'IPython', 'nbformat', 'papermill', 'torch', 'numpy'};"
        "loaded = sorted(heavy & set(sys.modules)); assert not loaded, loaded;"
        "assert 'k2repro.notebook.build' not in sys.modules and n.show and n.tell and n.show_table"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def sliding(values: list[list[float]], top: float = 10.0) -> go.Figure:
    states = [[{"type": "scatter", "x": [1, 2], "y": state}] for state in values]
    fig = with_slider(states, [str(n) for n in range(len(values))], "batch: ", first=0)
    return fig.update_yaxes(range=[0, top])


def test_the_takeaway_is_the_caption_and_alt_stays_the_picture_s_name():
    """Catches a figure followed by a description of itself, in place of what it teaches."""
    live, words = bundles(rising(), ALT, TABLE, takeaway="Reward doubles in one step.")
    assert "Reward doubles in one step." in words["text/html"] and ALT not in words["text/html"]
    assert ALT in live["text/html"]
    with pytest.raises(K2ReproError, match="repeats alt"):
        bundles(rising(), ALT, TABLE, takeaway=ALT)


def test_alt_says_which_state_of_a_slider_it_describes():
    """Catches words about one state under a picture of another, and a dead slider that nobody explains."""
    live, words = bundles(sliding([[1, 2], [3, 4]]), ALT, TABLE)
    assert "Shown: batch 0, one of 2 states of a slider." in live["text/plain"]
    assert "As a still picture: batch 0, one of 2 states. In JupyterLab" in words["text/html"]
    assert "still picture" not in bundles(rising(), ALT, TABLE)[1]["text/html"]


def test_a_legend_above_the_plot_stands_on_it_and_a_slider_takes_nothing_from_it():
    """Catches a legend that plotly hangs over the first line, and a live plot squeezed by its slider."""
    moving = sliding([[1, 2], [3, 4]]).update_layout(legend={"orientation": "h", "y": 1.06}, height=300)
    layout = bundles(moving, ALT, TABLE)[0][PLOTLY_MIME]["layout"]
    assert (layout["legend"]["yanchor"], layout["legend"]["y"]) == ("bottom", 1.02)
    assert layout["height"] >= 300 + 60
    below = rising().update_layout(legend={"orientation": "h", "y": -0.2}, height=300)
    layout = bundles(below, ALT, TABLE)[0][PLOTLY_MIME]["layout"]
    assert "yanchor" not in layout["legend"] and layout["height"] == 300


def test_a_state_outside_the_fixed_axes_is_refused():
    """Catches a slider that pushes the lines off the plot."""
    assert bundles(sliding([[1, 2], [3, 4]]), ALT, TABLE)
    with pytest.raises(K2ReproError, match="state '1' the y value 40 leaves the fixed axis 0 .. 10"):
        bundles(sliding([[1, 2], [3, 40]]), ALT, TABLE)
    log = sliding([[1, 2], [3, 400]], top=2).update_yaxes(type="log")
    with pytest.raises(K2ReproError, match="400 leaves"):
        bundles(log, ALT, TABLE)
    free = sliding([[1, 2], [3, 40]])
    free.layout.yaxis.range = None
    low, high = bundles(free, ALT, TABLE)[0][PLOTLY_MIME]["layout"]["yaxis"]["range"]
    assert low <= 1 and high >= 40
    assert bundles(sliding([[1, 2], [3, 40]], top=2).update_yaxes(type="log"), ALT, TABLE)
