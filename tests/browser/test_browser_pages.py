"""The exported notebooks and the report with JavaScript off, and under an accessibility scanner."""

import logging

import nbformat
import pytest

from k2repro.notebook.show import PLOTLY_MIME
from k2repro.results.places import Places

pytestmark = pytest.mark.browser

NAMES = [*sorted(path.name for path in Places.find().notebooks.glob("*.ipynb")), "specimen.ipynb"]
# nbconvert's page around our outputs is not ours; inside an output everything is.
OURS = [".jp-OutputArea-output"]
GRAVE = ("serious", "critical")


def export(path, folder, caplog):
    """The notebook as HTML; fails when nbconvert misses alternative text."""
    from nbconvert import HTMLExporter

    with caplog.at_level(logging.WARNING):
        body, _ = HTMLExporter().from_filename(str(path))
    assert "Alternative text is missing" not in caplog.text
    page = folder / path.with_suffix(".html").name
    page.write_text(body)
    return page


@pytest.mark.parametrize("name", NAMES)
def test_exported_notebook_speaks_without_javascript(served, open_page, screenshots, tmp_path, caplog, name):
    """Catches figures that vanish for everybody who has neither Lab nor JavaScript."""
    page = open_page(javascript=False)
    page.goto(export(served / name, tmp_path, caplog).as_uri())
    images = page.locator(".jp-OutputArea-output figure img")
    cells = nbformat.read(served / name, as_version=4).cells
    outputs = [o for c in cells if c.cell_type == "code" for o in c.outputs]
    assert images.count() == sum(PLOTLY_MIME in o.get("data", {}) for o in outputs)
    for number in range(images.count()):
        image = images.nth(number)
        natural = image.evaluate("node => [node.naturalWidth, node.naturalHeight]")
        box = image.bounding_box()
        assert len(image.get_attribute("alt") or "") >= 20
        assert min(natural) > 50 and box and box["width"] > 200, (
            f"{name}: picture {number + 1}: {natural}, {box}"
        )
    tables = page.locator(".jp-OutputArea-output table")
    assert tables.count() == sum(o.get("data", {}).get("text/html", "").count("<table") for o in outputs)
    page.screenshot(path=screenshots / f"export-{name.removesuffix('.ipynb')}.png", full_page=True)


def grave_violations(page, include: list[str] | None = None) -> list[str]:
    """Serious and critical findings of axe-core, each with the first element that breaks it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context={"include": include} if include else None).response["violations"]
    return [
        f"{v['id']} ({v['impact']}): {v['nodes'][0]['html'][:120]}" for v in found if v["impact"] in GRAVE
    ]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_pass_the_accessibility_scan(served, open_page, tmp_path, caplog, name):
    """Catches unnamed pictures, tables without headers and unreadable colours in what we display."""
    page = open_page()
    page.goto(export(served / name, tmp_path, caplog).as_uri())
    assert grave_violations(page, OURS) == []


def test_the_scan_finds_a_planted_fault(open_page):
    """Catches a scanner that does not scan: a picture without a name and grey words on white."""
    page = open_page()
    faults = "<img src='data:,'><p style='color:#ccc'>pale words</p>"
    page.set_content(f"<html lang='en'><title>t</title><main><h1>x</h1>{faults}")
    rules = " ".join(grave_violations(page))
    assert "image-alt" in rules and "color-contrast" in rules


@pytest.fixture
def report(places):
    path = places.results("laptop") / "report.html"
    if not path.is_file():
        pytest.fail("results/laptop/report.html does not exist; `make notebooks` writes it", pytrace=False)
    return path


def test_report_passes_the_accessibility_scan(report, open_page, screenshots):
    """Catches serious and critical accessibility faults of the report, our own page throughout."""
    page = open_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(report.as_uri())
    page.screenshot(path=screenshots / "report.png", full_page=True)
    assert grave_violations(page) == [] and errors == []


TOO_WIDE = """() => {
    document.querySelectorAll('details').forEach(each => { each.open = true; });
    return [...document.querySelectorAll('.scroll')].filter(each => each.scrollWidth > each.clientWidth + 1)
        .map(each => each.getAttribute('aria-label'));
}"""


def test_report_fits_a_phone(report, open_page, screenshots):
    """Catches a table whose verdicts lie beyond the edge of a phone, where nobody looks for them."""
    page = open_page()
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(report.as_uri())
    page.screenshot(path=screenshots / "report-phone.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(TOO_WIDE) == []


def test_report_is_readable_without_javascript(report, open_page):
    """Catches a report that needs scripts to show its words, tables or pictures."""
    page = open_page(javascript=False)
    page.goto(report.as_uri())
    assert page.locator("h1").count() == 1 and page.locator("h1").is_visible()
    assert page.locator("table").count() > 0 and page.locator("table").first.is_visible()
    assert len(page.locator("body").inner_text()) > 2000
    images = page.locator("img")
    for number in range(images.count()):
        image = images.nth(number)
        assert (image.get_attribute("alt") or "").strip() or image.get_attribute("role") == "presentation"
        assert min(image.evaluate("node => [node.naturalWidth, node.naturalHeight]")) > 0
