"""The one way to print a table: text, Markdown and HTML of the same cells."""

import math
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.tables import Table, format_number


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
    parser.feed(Table.of_records(RECORDS, ["model", "n", "p"], "Accuracy <by> model").as_html())
    assert parser.open == []
    tags = [tag for tag, _ in parser.seen]
    scopes = [attributes["scope"] for tag, attributes in parser.seen if tag == "th"]
    assert tags.count("caption") == 1 and scopes == ["col"] * 3 + ["row"] * 2
    assert "base" not in tags and "by" not in tags


def test_numbers_stand_right_and_words_left():
    """Catches misaligned digits: a column of numbers must compare by eye."""
    html = Table.of_records(RECORDS, ["model", "n"], "x").as_html()
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
    html = Table(["m", "score"], [["x", value] for value in values], "x").as_html()
    assert f'<td style="text-align:{side}">{values[0]}</td>' in html


def test_plain_table_is_aligned_without_trailing_spaces():
    """Catches ragged columns in terminals, and white space that editors strip from committed outputs."""
    text = Table(["m", "n"], [["a", 1000], ["bbb", 5]], "Caption").as_text()
    assert text == "Caption\nm        n\n---  -----\na    1,000\nbbb      5"


def test_markdown_cells_cannot_break_the_table():
    """Catches a bar or a line end in a cell that shifts every column after it."""
    text = Table(["name", "n"], [["a|b", 1], ["two\nlines", None]]).as_markdown()
    assert text == "| name | n |\n| --- | ---: |\n| a\\|b | 1 |\n| two lines | — |"


def test_ready_html_is_kept_and_everything_else_escaped():
    """Catches links printed as text, and text that becomes a tag."""

    class Link:
        def __html__(self):
            return '<a href="#x">x</a>'

    html = Table(["id", "why"], [[Link(), "<script>"]]).as_html()
    assert '<a href="#x">x</a>' in html
    assert "&lt;script&gt;" in html and "<script>" not in html


@pytest.mark.parametrize(
    ("columns", "rows", "numeric", "named"),
    [
        (["a", "b"], [[1]], None, "row 0 has 1 cells for 2 columns"),
        (["a", "a"], [], None, "'a' stands twice"),
        (["a"], [[1]], frozenset({"b"}), "unknown column 'b'"),
    ],
)
def test_a_table_that_is_none_is_refused(columns, rows, numeric, named):
    """Catches cells that silently slide under another header."""
    with pytest.raises(K2ReproError, match=named):
        Table(columns, rows, "x", numeric)


def test_a_table_without_rows_still_has_its_headers():
    """Catches a crash on `max` of nothing when there is nothing to show."""
    empty = Table(["model", "n"], [])
    assert empty.as_text(rule=False) == "model  n"
    assert empty.as_markdown().count("\n") == 1


def test_records_with_other_keys_share_one_table():
    """Catches a column lost because the first record lacks it."""
    text = Table.of_records([{"a": 1}, {"a": 2, "b": "x"}]).as_text(rule=False)
    assert [line.split() for line in text.splitlines()] == [["a", "b"], ["1", "—"], ["2", "x"]]
