"""The report: one page that needs nothing else, in which every number leads somewhere."""

import re

import pytest

from k2repro.evaluate.compare import compare_rows
from k2repro.paper.ledger import claims_by_source, evaluate_claims
from k2repro.paper.outcome import VERDICTS
from k2repro.report import render_report
from k2repro.report.page import LOOKS, SOURCES, anchor, by_consequence
from k2repro.results import Fingerprint, Row, load_profile
from k2repro.results.status import NotebookStatus

ROW = Row(
    id="planning.score.plan.ops-13-14",
    value=71.9,
    unit="%",
    n=500,
    interval=(70.0, 73.0),
    interval_method="Wilson 95 %",
    seeds=(0,),
    profile="laptop",
    params_hash="0" * 16,
    code_hash="1" * 16,
    data_hash="2" * 16,
    fingerprint=Fingerprint("3.11", "2.13.0", "AVX2", 2),
    scale="mini",
)
STATUS = NotebookStatus("01_architecture", "laptop", "fresh", 12.0, 60, 700.0, 1, "today", "bad <tag>")
FIGURE = '<figure><img alt="a curve that rises" src="data:image/svg+xml;base64,AA=="></figure>'


@pytest.fixture(scope="module")
def page():
    rows = {ROW.id: ROW}
    return render_report(load_profile("laptop"), [STATUS], rows, compare_rows(rows, rows), [FIGURE])


def test_it_needs_nothing_from_elsewhere(page):
    """Catches a report that is empty offline or with JavaScript off."""
    assert "<script" not in page
    assert not re.search(r"src=\"(https?:)?//|<link", page)
    outside = re.findall(r"<a [^>]*href=\"https?://[^\"]+\"[^>]*>", page)
    assert outside and all('rel="noopener"' in tag for tag in outside)
    assert "@import" not in page


def test_every_link_inside_the_page_has_its_target(page):
    """Catches a number whose row or source is not on the page."""
    targets = set(re.findall(r'id="([^"]+)"', page))
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links - targets == set()
    assert "row-planning-score-plan-ops-13-14" in links


def test_no_anchor_stands_twice(page):
    """Catches a link that leads to the wrong row."""
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_every_claim_stands_with_its_verdict(page):
    """Catches a ledger cut short."""
    for entry in evaluate_claims({ROW.id: ROW}):
        assert f"<code>{entry.claim.id}</code>" in page
        assert f'id="{anchor("claim", entry.claim.id)}"' in page
    assert "1 of 1 rows came out again" in page


def test_text_from_outside_is_escaped(page):
    """Catches an error message that breaks the page."""
    assert "bad &lt;tag&gt;" in page


def test_smoke_says_that_it_is_no_evidence(page):
    """Catches smoke numbers read as results."""
    smoke = render_report(load_profile("smoke"), [STATUS], {ROW.id: ROW}, [], [])
    assert "no evidence for or against" in smoke
    assert "no evidence for or against" not in page


def test_the_first_screen_says_who_said_what(page):
    """Catches "22 contradicted" read as an indictment of the authors; most are the article's."""
    first = page[: page.index('id="table-2"')]
    assert "K2Think.in: a web article by others, not by the authors" in first
    matrix = claims_by_source(evaluate_claims({ROW.id: ROW}))
    for source, counts in matrix.items():
        row = re.search(rf'<tr><th scope="row">[^<]*{source[:-1]}.*?</tr>', first, re.S)[0]
        numbers = [int(n) for n in re.findall(r">(\d+)<", row)]
        assert numbers == [*counts.values(), sum(counts.values())], source


def test_no_verdict_is_told_by_colour_alone(page):
    """Catches a bar of bare colours: each verdict has its own pattern, and its word in the legend."""
    assert set(LOOKS) == set(VERDICTS)
    assert len({pattern for _, pattern in LOOKS.values()}) == len(LOOKS)
    legend = re.search(r'<ul class="legend">.*?</ul>', page, re.S)[0]
    assert all(f" {verdict}</b>" in legend for verdict in VERDICTS)


def test_contradictions_of_the_makers_come_first_and_slips_last():
    """Catches a wrong age limit of a school contest listed above what the model card says."""
    found = by_consequence(evaluate_claims({}))
    order = [source["word"] for source in SOURCES]
    places = [(entry.claim.minor, order.index(entry.claim.source)) for entry in found]
    assert places == sorted(places) and {minor for minor, _ in places} == {True, False}


def test_table_2_stands_in_its_printed_shape(page):
    """Catches a list of cells in place of the table that everybody looks for."""
    table = re.search(r'id="table-2".*?</table>', page, re.S)[0]
    assert [re.sub("<[^>]+>", "", c) for c in re.findall(r"<th scope=.row.>.*?</th>", table)] == [
        "SFT+RL Checkpoint",
        "+ Plan only",
        "+ Bo3 only",
        "+ Plan + Bo3 (K2-Think)",
    ]
    assert "<b>71.87</b> (+5.4)" in table and "mini 71.9" in table


def test_long_tables_are_folded_and_stack_on_a_phone(page):
    """Catches a page of 168 phone screens whose verdicts lie outside the screen."""
    for table in re.findall(r"<table class=\"stack\">.*?</table>", page, re.S):
        cells = re.findall(r"<td([^>]*)>(.*?)</td>", table, re.S)
        assert all("data-label" in attributes for attributes, text in cells if text.strip())
    outside = re.sub(r"<details.*?</details>", "", page, flags=re.S)
    assert outside.count("<tr") < 60


def test_shipped_rows_do_not_claim_to_have_been_reproduced(page):
    """Catches a report on the shipped rows that speaks of a reproduction it never made."""
    shipped = render_report(load_profile("laptop"), [STATUS], {ROW.id: ROW}, [], [])
    assert "make reproduce" in shipped and "came out again" in page
