"""tell, show_table and the number format: prose and tables say what the rows say."""

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.notebook.text import expected, fill, format_number, html_table, plain_table, show_table, tell
from k2repro.results.fingerprint import Fingerprint
from k2repro.results.rows import Row


def row(row_id: str, value: float, unit: str = "ratio", interval=None, n: int | None = 450) -> Row:
    return Row(
        id=row_id,
        value=value,
        unit=unit,
        n=n,
        interval=interval,
        interval_method="wilson 95%" if interval else None,
        seeds=(0,),
        profile="smoke",
        params_hash="0" * 16,
        code_hash="1" * 16,
        data_hash="2" * 16,
        fingerprint=Fingerprint("3.11", "2.13.0", "AVX2", 2),
        scale="exact",
    )


ROWS = {
    each.id: each
    for each in (
        row("best_of_n.tier-2.n8", 0.4161, interval=(0.371, 0.4622)),
        row("architecture.k2-think.parameters.total", 32_763_876_352, "parameters", n=None),
        row("rlvr.gain", 0.069, "fraction", interval=(0.018, 0.12), n=3),
        row("paper.plan-gain", -1.05, "points"),
        row("paper.aime-2024", 86.26, "percent"),
    )
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{architecture.k2-think.parameters.total:,} weights", "32,763,876,352 weights"),
        ("{architecture.k2-think.parameters.total}", "32,763,876,352"),
        ("{best_of_n.tier-2.n8:.2f}", "0.42"),
        ("{best_of_n.tier-2.n8:pct}", "41.6%"),
        ("{paper.aime-2024:pct}", "86.3%"),
        ("{best_of_n.tier-2.n8:ci}", "0.416 [0.371, 0.462], n=450"),
        ("{best_of_n.tier-2.n8:ci .2f}", "0.42 [0.37, 0.46], n=450"),
        ("{best_of_n.tier-2.n8:ci pct}", "41.6% [37.1%, 46.2%], n=450"),
        ("{rlvr.gain:pts}", "+6.9 points"),
        ("{rlvr.gain:ci pts}", "+6.9 points [+1.8, +12.0], n=3"),
        ("{paper.plan-gain:pts}", "-1.1 points"),
        ("nothing to fill in", "nothing to fill in"),
    ],
)
def test_fields_take_their_numbers_from_rows(template, text):
    """Catches a number in prose that is not the row's number."""
    assert fill(ROWS, template) == text


def test_percent_units_are_not_multiplied_twice():
    """Catches 8626%: the wrong twin multiplies every value by a hundred."""
    assert fill(ROWS, "{paper.aime-2024:pct}") != f"{ROWS['paper.aime-2024'].value:.1%}"


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("{best_of_n.tier-2.n9}", "did you mean 'best_of_n.tier-2.n8'"),
        ("{paper.aime-2024:ci}", "no interval"),
        ("{paper.aime-2024:,zz}", "does not fit"),
        ("{Best.Upper}", "brace that is no field"),
        ("a single { brace", "brace that is no field"),
        ("{a.b!r}", "brace that is no field"),
    ],
)
def test_bad_fields_are_refused(template, complaint):
    """Catches a misspelt id being printed as it stands: readers would see a template."""
    with pytest.raises(K2ReproError, match=re.escape(complaint)):
        fill(ROWS, template)


def test_tell_displays_markdown_and_plain_text(capsys):
    """Catches an output that nbval cannot compare: an object's repr instead of the words."""
    tell(ROWS, "Solved {best_of_n.tier-2.n8:pct}.")
    assert capsys.readouterr().out.strip() == "Solved 41.6%."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (32_763_876_352, "32,763,876,352"),
        (np.int64(12_345), "12,345"),
        (np.float32(0.25), "0.25"),
        (0.1 + 0.2, "0.3"),
        (1234.5, "1,234.5"),
        (2_500_000.4, "2,500,000"),
        (1e-7, "1e-07"),
        (True, "yes"),
        (None, "—"),
        (math.nan, "—"),
        (-math.inf, "−∞"),
        ("0.80", "0.80"),
    ],
)
def test_numbers_have_one_spelling(value, text):
    """Catches float noise and lost digits in tables."""
    assert format_number(value) == text


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.floats(-1e12, 1e12))
def test_formatted_numbers_read_back(value):
    """Catches a format that changes the number by more than it rounds."""
    assert float(format_number(value).replace(",", "")) == pytest.approx(value, rel=6e-6, abs=1e-300)


class Tags(HTMLParser):
    """Counts tags and checks that they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


RECORDS = [{"model": "<base> & co", "n": 1200, "p": 0.5}, {"model": "sft", "n": None, "p": math.nan}]


def test_html_table_is_accessible_and_escaped():
    """Catches a table without caption or header scopes, and raw HTML from data."""
    parser = Tags()
    parser.feed(html_table(RECORDS, ["model", "n", "p"], "Accuracy <by> model"))
    assert parser.open == []
    tags = [tag for tag, _ in parser.seen]
    scopes = [attributes["scope"] for tag, attributes in parser.seen if tag == "th"]
    assert tags.count("caption") == 1 and scopes == ["col"] * 3 + ["row"] * 2
    assert "base" not in tags and "by" not in tags


def test_numbers_stand_right_and_words_left():
    """Catches misaligned digits: a column of numbers must compare by eye."""
    html = html_table(RECORDS, ["model", "n"], "x")
    assert '<td style="text-align:right">1,200</td>' in html and "text-align:left;font-weight" in html


@pytest.mark.parametrize(
    ("values", "side"),
    [
        (["63.61ᵈ", "—"], "right"),
        (["(18.58)ᵘ", "+2.1%"], "right"),
        (["GPT-4", "1.0"], "left"),
        (["—", ""], "left"),
    ],
)
def test_marked_numbers_are_still_numbers(values, side):
    """Catches a column of published scores that flips to the left because one cell carries a mark."""
    html = html_table([{"m": "x", "score": value} for value in values], ["m", "score"], "x")
    assert f'<td style="text-align:{side}">{values[0]}</td>' in html


def test_plain_table_is_aligned_without_trailing_spaces():
    """Catches ragged columns in terminals, and white space that editors strip from committed outputs."""
    text = plain_table([{"m": "a", "n": 1000}, {"m": "bbb", "n": 5}], ["m", "n"], "Caption")
    assert text == "Caption\nm        n\n---  -----\na    1,000\nbbb      5"


def test_show_table_chooses_columns_and_names_unknown_ones(capsys):
    """Catches a misspelt column silently giving an empty one."""
    show_table(RECORDS, caption="Chosen columns", columns=["p", "model"])
    assert capsys.readouterr().out.splitlines()[1].split() == ["p", "model"]
    with pytest.raises(K2ReproError, match="unknown column 'modle'"):
        show_table(RECORDS, caption="x", columns=["modle"])


@pytest.mark.parametrize(
    ("records", "caption"), [([], "x"), (RECORDS, "  "), ([{"a": 1}, {}], "x"), ("text", "x")]
)
def test_bad_tables_are_refused(records, caption):
    """Catches an empty table being shown as if nothing were wrong."""
    with pytest.raises(K2ReproError, match="show_table"):
        show_table(records, caption=caption)


def test_an_expectation_is_decided_by_code(capsys):
    """Catches "expect more" above a number that is less, and a number taken for a truth value."""
    expected("The hardest tier gains most.", holds=1 > 2)
    assert "otherwise" in capsys.readouterr().out
    expected("The hardest tier gains most.", holds=2 > 1)
    assert "It came out so." in capsys.readouterr().out
    with pytest.raises(K2ReproError, match="decided by 3"):
        expected("The hardest tier gains most.", holds=3)  # type: ignore[arg-type]
