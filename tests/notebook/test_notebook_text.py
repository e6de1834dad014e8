"""tell, show_table and the number format: prose and tables say what the rows say."""

import math
import re

import pytest

from k2repro.errors import K2ReproError
from k2repro.notebook.text import expected, fill, show_table, tell
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


RECORDS = [{"model": "<base> & co", "n": 1200, "p": 0.5}, {"model": "sft", "n": None, "p": math.nan}]


def test_show_table_chooses_columns_and_names_unknown_ones(capsys):
    """Catches a misspelt column silently giving an empty one."""
    show_table(RECORDS, caption="Chosen columns", columns=["p", "model"])
    assert capsys.readouterr().out.splitlines()[1].split() == ["p", "model"]
    with pytest.raises(K2ReproError, match="unknown column 'modle'"):
        show_table(RECORDS, caption="x", columns=["modle"])


def test_a_folded_table_keeps_its_rows_behind_its_caption(monkeypatch):
    """Catches a fold without a name to click on, or one that lost the table."""
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle: shown.append(bundle.data["text/html"]))
    show_table(RECORDS, caption="All < some", folded=True)
    assert shown[0].startswith(f"<details><summary>All &lt; some ({len(RECORDS)})</summary>")
    assert shown[0].count("<tr>") == len(RECORDS) + 1


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
    assert "does **not** hold" in capsys.readouterr().out
    expected("The hardest tier gains most.", holds=2 > 1)
    assert "It holds." in capsys.readouterr().out
    with pytest.raises(K2ReproError, match="decided by 3"):
        expected("The hardest tier gains most.", holds=3)  # type: ignore[arg-type]
