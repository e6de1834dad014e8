"""Every notebook, opened in a real JupyterLab as somebody would who has just cloned the repository."""

import nbformat
import pytest
from playwright.sync_api import expect

from k2repro.notebook.show import PLOTLY_MIME
from k2repro.results.places import Places

pytestmark = pytest.mark.browser

NAMES = [*sorted(path.name for path in Places.find().notebooks.glob("*.ipynb")), "specimen.ipynb"]
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
BROKEN = ("Error displaying widget", "Error loading", "Javascript Error", "model not found")
PATIENCE_MS = 60_000


@pytest.fixture
def opened(lab, open_page):
    """Open a notebook and return the page and the errors that it raised so far."""

    def open_notebook(name: str):
        page = open_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(f"uncaught: {error}"))
        page.on("console", lambda message: _remember(errors, message))
        page.goto(f"{lab.address}/lab/tree/{name}?reset&token={lab.token}", timeout=PATIENCE_MS)
        page.wait_for_selector(f"{PANEL} .jp-Notebook .jp-Cell", timeout=PATIENCE_MS)
        return page, errors

    return open_notebook


def _remember(errors: list[str], message) -> None:
    if message.type == "error":
        errors.append(message.text)


def live_figures(path) -> list[dict]:
    cells = nbformat.read(path, as_version=4).cells
    outputs = [o.get("data", {}) for c in cells if c.cell_type == "code" for o in c.outputs]
    return [data[PLOTLY_MIME] for data in outputs if PLOTLY_MIME in data]


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_lives_in_lab(lab, opened, screenshots, name):
    """Catches figures that stay empty or tiny, sliders without a tab stop, broken widgets, console errors."""
    page, errors = opened(name)
    figures = live_figures(lab.folder / name)
    wanted = len(figures)
    calls_show = "show(" in (lab.folder / name).read_text()
    assert wanted > 0 or not calls_show, f"{name} calls show() but holds no live figure"
    plots = page.locator(f"{PANEL} .js-plotly-plot")
    drawn = "([plots, wanted]) => document.querySelectorAll(plots + ' .main-svg').length >= wanted"
    page.wait_for_function(drawn, arg=[f"{PANEL} .js-plotly-plot", wanted], timeout=PATIENCE_MS)
    for number in range(plots.count()):
        plot = plots.nth(number)
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box and box["width"] > 200 and box["height"] > 150, f"{name}: figure {number + 1} is {box}"
    assert plots.count() == wanted
    stops = page.locator(f"{PANEL} .slider-group[role=slider][tabindex='0'][aria-valuetext]")
    expect(stops).to_have_count(sum(len(each["layout"].get("sliders", [])) for each in figures))
    text = page.locator(f"{PANEL} .jp-Notebook").inner_text()
    assert [words for words in BROKEN if words in text] == []
    page.screenshot(path=screenshots / f"lab-{name.removesuffix('.ipynb')}.png")
    assert errors == []


OPEN_FIRST_TABLE = """place => {
    const details = document.querySelector(place);
    if (!details.open) details.querySelector('summary').click();
    const table = details.querySelector('table');
    return table.offsetHeight > 0 && table.querySelector('th[scope=col]') !== null;
}"""


@pytest.mark.parametrize("name", NAMES)
def test_words_and_tables_survive_labs_sanitizer(lab, opened, name):
    """Catches captions and data tables that Lab strips from a notebook it does not trust yet."""
    page, _ = opened(name)
    cells = nbformat.read(lab.folder / name, as_version=4).cells
    outputs = [o for c in cells if c.cell_type == "code" for o in c.outputs]
    folded = sum("<details>" in o.get("data", {}).get("text/html", "") for o in outputs)
    summaries = page.locator(f"{PANEL} .jp-OutputArea details summary")
    expect(summaries).to_have_count(folded, timeout=PATIENCE_MS)
    if folded:
        # One step inside the page: Lab redraws its outputs once more while figures arrive.
        page.wait_for_function(OPEN_FIRST_TABLE, arg=f"{PANEL} .jp-OutputArea details", timeout=PATIENCE_MS)


def test_sliders_move_without_a_kernel(opened):
    """Catches frames that are lost on the way into the notebook: the slider would do nothing."""
    page, errors = opened("specimen.ipynb")
    page.wait_for_selector(f"{PANEL} .js-plotly-plot .slider-group", timeout=PATIENCE_MS)
    heights = "() => document.querySelector('.slider-group').closest('.js-plotly-plot').data[0].y.join()"
    before = page.evaluate(heights)
    touch = page.locator(f"{PANEL} .slider-rail-touch-rect")
    touch.scroll_into_view_if_needed()
    box = touch.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    page.wait_for_function(f"{heights} !== '{before}'".replace("() => ", ""), timeout=10_000)
    assert before == "1,2" and page.evaluate(heights) == "3,6"
    assert errors == []


def test_sliders_are_reached_by_tab_and_moved_by_arrows(opened):
    """Catches a figure that only a mouse can move: no tab stop, no role, arrow keys without effect."""
    page, errors = opened("specimen.ipynb")
    page.wait_for_selector(f"{PANEL} .slider-group[role=slider]", timeout=PATIENCE_MS)
    slider = page.locator(f"{PANEL} .slider-group[role=slider]")
    slider.scroll_into_view_if_needed()
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('role') === 'slider'"):
            break
    assert page.evaluate("document.activeElement.getAttribute('role')") == "slider"
    data = "document.querySelector('.slider-group').closest('.js-plotly-plot').data[0].y.join()"
    before = page.evaluate(data)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"{data} !== '{before}'", timeout=10_000)
    value = slider.get_attribute("aria-valuetext")
    page.keyboard.press("Home")
    page.wait_for_function(f"{data} === '{before}'", timeout=10_000)
    assert value and value != slider.get_attribute("aria-valuetext")
    assert errors == []
