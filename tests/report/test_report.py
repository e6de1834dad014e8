"""The report: one page that needs nothing else, in which every number leads somewhere."""

import re

import pytest

from k2repro.paper.ledger import evaluate_claims
from k2repro.report import render_report
from k2repro.results import Fingerprint, Row, load_profile
from k2repro.results.compare import compare_rows
from k2repro.results.status import NotebookStatus

ROW = Row(
    id="planning.score.plan.tier-3",
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
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert "@import" not in page


def test_every_link_inside_the_page_has_its_target(page):
    """Catches a number whose row or source is not on the page."""
    targets = set(re.findall(r'id="([^"]+)"', page))
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links - targets == set()
    assert "row-planning-score-plan-tier-3" in links


def test_no_anchor_stands_twice(page):
    """Catches a link that leads to the wrong row."""
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_every_claim_stands_with_its_verdict(page):
    """Catches a ledger cut short."""
    for entry in evaluate_claims({ROW.id: ROW}):
        assert f"<code>{entry.claim.id}</code>" in page
    assert "1 of 1 rows came out again" in page


def test_text_from_outside_is_escaped(page):
    """Catches an error message that breaks the page."""
    assert "bad &lt;tag&gt;" in page


def test_smoke_says_that_it_is_no_evidence(page):
    """Catches smoke numbers read as results."""
    smoke = render_report(load_profile("smoke"), [STATUS], {ROW.id: ROW}, [], [])
    assert "no evidence for or against" in smoke
    assert "no evidence for or against" not in page
