"""Tables and figures: marks on what is not published, dashes on what is missing, typed series."""

import pytest

from k2repro.errors import K2ReproError
from k2repro.paper import figure_series, load_facts, table, table_names
from k2repro.paper.figures import curve
from k2repro.paper.tables import Cell

ALL = [1, 2, 3, "safety", "figure1", "figure2", "figure3", "figure4"]


@pytest.mark.parametrize("name", ALL)
def test_every_table_shows_its_marks(name):
    """Catches a recalled, digitised or derived number shown as if it were published."""
    found = table(name)
    for row in found.rows:
        for column in found.columns:
            cell = found.cell(row, column)
            if cell.fact is None:
                assert cell.display == ""
            elif not cell.fact.printed:
                assert cell.display == "—"
            elif cell.fact.trust.needs_mark:
                assert cell.display != cell.fact.printed
            else:
                assert cell.display == cell.fact.printed


def test_the_names_are_the_issue_s():
    """Catches a table that the ledger cannot reach."""
    assert table_names() == [str(name) for name in ALL]


@pytest.mark.parametrize(
    ("name", "row", "column", "display"),
    [
        (1, "K2-Think (32B, Plan+Bo3)", "AIME 2024", "90.83"),
        (1, "GPT-OSS 120B", "AIME 2024", "89.58ᵐ"),
        (1, "GPT-OSS 120B", "HLE", "(18.58)ᵘ"),
        (1, "QwQ-32B", "HLE", "—"),
        (2, "+ Plan only", "AIME 2024", "85.21"),
        (2, "+ Plan only", "Math micro-average (derived)", "65.95ᵈ"),
        (3, "SFT+RL Checkpoint", "HMMT25", "(30136)ᵘ"),
        ("safety", "Jailbreak Resistance", "first model card", "0.705"),
        ("safety", "Cybersecurity & Data Protection: Cyberattack Assistance", "model card", "0.47ʳ"),
        ("safety", "High-Risk Content Refusal: HarmBench", "model card", "—"),
        ("figure1", "K2-Think", "Math Composite", "~68.5"),
        ("figure4", "Fig 4 RL from base, AIME", "peak", "~0.405"),
    ],
)
def test_cells_show_what_they_are(name, row, column, display):
    """Catches a mark lost or a value shifted by a row or a column."""
    assert table(name).cell(row, column).display == display


def test_a_gap_never_becomes_a_number():
    """Catches missing cells filled with zeros when a table turns into numbers."""
    found = table(1)
    gaps = [cell for cell in found.cells.values() if cell.display == "—"]
    assert len(gaps) == 80
    assert all(cell.value is None for cell in gaps)


def test_a_cell_that_no_table_has_is_empty():
    """Catches an absent cell dressed up as a missing one."""
    assert (Cell(None).display, Cell(None).value) == ("", None)


@pytest.mark.parametrize("name", [4, "table1", "figure5", ""])
def test_an_unknown_table_lists_those_that_exist(name):
    """Catches an error that leaves the reader without the names."""
    with pytest.raises(K2ReproError, match="figure4"):
        table(name)


def test_unknown_rows_and_columns_are_refused():
    """Catches a misspelt row answered with an empty cell."""
    with pytest.raises(K2ReproError, match="did you mean '\\+ Plan only'"):
        table(2).cell("+ Plan onyl", "AIME 2024")
    with pytest.raises(K2ReproError, match="AIME 2025"):
        table(2).cell("+ Plan only", "AIME 1")


def test_a_table_follows_its_book():
    """Catches a table cached with the values of another book."""
    book = load_facts().override({"table2_test_time_ablation/+ Plan only/AIME 2024": "12.34"})
    assert table(2, book).cell("+ Plan only", "AIME 2024").display == "12.34"


def test_figure_four_has_eight_curves_in_order():
    """Catches panels merged, or steps sorted as text (100 before 50)."""
    series = figure_series(4)
    assert len(series) == 8
    for one in series:
        assert one.xs == sorted(one.xs)
        assert all(0 <= y <= 1 for y in one.ys)
    assert sum(len(one.points) for one in series) == 286


def test_start_peak_and_last_are_points_of_the_curve():
    """Catches a peak that is an average or an end that is a maximum."""
    one = curve("TR: RL from SFT (K2-Think), LiveCodeBench", load_facts())
    assert (one.start.x, one.start.y) == (0, 0.5835)
    assert (one.peak.x, one.peak.y) == (250, 0.607)
    assert one.last.y == 0.571
    assert one.last.y < one.start.y


def test_the_quoted_points_of_figure_four_agree_with_the_curves():
    """Catches two transcriptions of one picture drifting apart (reading accuracy 0.005)."""
    series = {one.name: one for one in figure_series(4)}
    quoted = load_facts()
    pairs = [
        ("TL: RL from SFT (K2-Think), AIME", "Fig 4 RL from SFT, 32K, AIME"),
        ("TR: RL from SFT (K2-Think), LiveCodeBench", "Fig 4 RL from SFT, 32K, LiveCodeBench"),
    ]
    for curve_name, row in pairs:
        for place in ("start", "peak", "last"):
            level = quoted.number(f"fig2_3_4_scalars/{row}/{place}")
            point = {"start": series[curve_name].start, "peak": series[curve_name].peak}.get(
                place, series[curve_name].last
            )
            assert abs(point.y - level) <= 0.005


def test_figure_one_has_twelve_models_with_sizes():
    """Catches a dot without its size, or the two columns swapped."""
    [scatter] = figure_series(1)
    sizes = {point.label: point.x for point in scatter.points}
    assert len(sizes) == 12
    assert sizes["K2-Think"] == 31.5
    assert max(scatter.ys) < 100


def test_levels_without_a_step_have_no_x():
    """Catches an invented position for a number that no source places."""
    for n in (2, 3):
        [levels] = figure_series(n)
        assert levels.xs == [None] * len(levels.points)


def test_an_unknown_figure_or_curve_is_refused():
    """Catches a figure answered with another one's data."""
    with pytest.raises(K2ReproError, match="unknown figure"):
        figure_series(5)
    with pytest.raises(K2ReproError, match="unknown curve"):
        curve("TL: RL from SFT, AIME", load_facts())
