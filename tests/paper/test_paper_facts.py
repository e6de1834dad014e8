"""Facts: nothing dropped, nothing filled in, nothing recalled shown as published."""

import csv
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.paper import CONFIDENCE, Fact, FactBook, legend, load_facts
from k2repro.paper.loading import FIGURE_4, INVENTORY, fact_files, read_records

PLAN_AIME = "table2_test_time_ablation/+ Plan only/AIME 2024"
BASE_AIME = "table2_test_time_ablation/SFT+RL Checkpoint/AIME 2024"


def fact(key="t/r/c", printed="1.50", word="verbatim"):
    table, row, column = key.split("/", 2)
    return Fact(table, row, column, printed, "%", "a source", word)


def data_files():
    folder = resources.files("k2repro.paper") / "data"
    return {entry.name: entry for entry in folder.iterdir() if entry.name.endswith(".csv")}


def test_every_line_of_every_file_is_a_fact():
    """Catches a loader that silently drops rows, for example the second of two equal keys."""
    lines = 0
    for name, entry in data_files().items():
        if name != INVENTORY:
            lines += len(list(csv.DictReader(entry.read_text(encoding="utf-8").splitlines())))
    assert len(load_facts()) == lines


def test_the_fourteen_published_files_are_there():
    """Catches a data file forgotten in packaging."""
    published = [name for name in fact_files() if name not in ("article.csv", "context_facts.csv")]
    published.remove("hardware_facts.csv")
    assert len([*published, FIGURE_4]) == 14


def test_a_duplicate_key_is_refused():
    """Catches two cells under one name, of which the second would win."""
    with pytest.raises(K2ReproError, match="stands twice"):
        FactBook([fact(printed="1"), fact(printed="2")])


def test_a_missing_cell_has_no_value():
    """Catches a gap read as zero or as text."""
    missing = load_facts().fact("table1_main_results/QwQ-32B/HLE")
    assert (missing.value, missing.confidence) == (None, "missing")
    with pytest.raises(K2ReproError, match="is missing"):
        load_facts().number(missing.key)


def test_text_is_not_a_number():
    """Catches arithmetic on a cell that holds words."""
    with pytest.raises(K2ReproError, match="holds the text"):
        load_facts().number("sft_config/SFT/scheduler")


@pytest.mark.parametrize(
    ("printed", "value", "decimals"),
    [("90.83", 90.83, 2), ("~2000", 2000.0, 0), ("0.003", 0.003, 3), ("", None, 0), ("full", "full", 0)],
)
def test_printed_cells_keep_their_precision(printed, value, decimals):
    """Catches decimals lost on the way, so that 67.20 would be compared at one decimal."""
    cell = fact(printed=printed)
    assert (cell.value, cell.decimals) == (value, decimals)


def test_an_unknown_key_names_its_neighbours():
    """Catches a bare KeyError for a typing slip."""
    with pytest.raises(K2ReproError, match="AIME 2024") as caught:
        load_facts().fact("table2_test_time_ablation/+ Plan only/AIME 204")
    assert "did you mean" in str(caught.value)


def test_an_unknown_confidence_word_is_refused():
    """Catches a word that no legend explains and no rule covers."""
    with pytest.raises(K2ReproError, match="confidence word"):
        FactBook([fact(word="memory-only")])


def test_tracing_records_exactly_what_was_read():
    """Catches verdicts whose provenance is incomplete."""
    book = load_facts()
    with book.tracing() as used:
        book.number(PLAN_AIME)
        with book.tracing() as inner:
            book.number(BASE_AIME)
    book.number("table2_test_time_ablation/+ Bo3 only/AIME 2024")
    assert used == {PLAN_AIME, BASE_AIME}
    assert inner == {BASE_AIME}


def test_override_leaves_the_original_alone():
    """Catches a mutation test that poisons every test after it."""
    book = load_facts()
    changed = book.override({PLAN_AIME: 50.0})
    assert (changed.number(PLAN_AIME), book.number(PLAN_AIME)) == (50.0, 85.21)
    assert book.override({PLAN_AIME: None}).value(PLAN_AIME) is None
    with pytest.raises(K2ReproError, match="unknown fact"):
        book.override({"table2_test_time_ablation/+ Plan only/AIME 1066": 1.0})


@settings(deadline=None, derandomize=True, max_examples=25)
@given(value=st.floats(0, 100).map(lambda x: round(x, 3)))
def test_the_hash_follows_the_value_and_ignores_order(value):
    """Catches provenance that stays the same when a fact changes."""
    book = load_facts()
    before = book.hash_of([PLAN_AIME, BASE_AIME])
    assert before == book.hash_of([BASE_AIME, PLAN_AIME])
    after = book.override({PLAN_AIME: value}).hash_of([PLAN_AIME, BASE_AIME])
    assert (after == before) == (repr(value) == "85.21")


def test_every_word_in_the_data_is_explained():
    """Catches a confidence word without meaning, mark or line in the README."""
    readme = (resources.files("k2repro.paper") / "data" / "README.md").read_text(encoding="utf-8")
    for word in {cell.confidence for cell in load_facts().values()} | set(CONFIDENCE):
        assert f"`{word}`" in readme
    assert {entry["word"] for entry in legend()} == {w for w, c in CONFIDENCE.items() if c.needs_mark}


def test_every_published_cell_names_its_source():
    """Catches a number without provenance; only what was computed here may say so instead."""
    nameless = [f for f in load_facts().values() if f.printed and not f.source]
    assert {f.confidence for f in nameless} <= {"derived"}


def test_a_file_with_other_columns_is_refused():
    """Catches a reordered or renamed column read under the wrong name."""
    with pytest.raises(K2ReproError, match="columns"):
        read_records("article.csv", ["table", "row"])


def test_figure_four_stands_as_points():
    """Catches the curves' own columns being mistaken for table cells."""
    point = load_facts().fact("fig4_rl_curves/TL: RL from SFT (K2-Think), AIME/150")
    assert (point.value, point.confidence) == (0.8041, "figure-digitised")
    assert "0.005" in point.note
