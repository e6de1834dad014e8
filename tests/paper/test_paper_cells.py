"""Cells beside the published ones: recomputed from facts, marked when recalled, waiting by name."""

import pytest

from k2repro.paper.cells import standings
from k2repro.paper.loading import load_facts
from k2repro.paper.shape import ablation_shape
from k2repro.results import Fingerprint, Row

TABLE_2 = "table2_test_time_ablation"
MICRO = "Math micro-average (derived)"


def stand(name, row, column, rows=None, book=None):
    [found] = [s for s in standings(name, rows, book) if (s.row, s.column) == (row, column)]
    return found


def measured(row_id, value, interval, scale="mini", unit="%"):
    return Row(
        id=row_id,
        value=value,
        unit=unit,
        n=500,
        interval=interval,
        interval_method="Wilson 95 %",
        seeds=(0,),
        profile="laptop",
        params_hash="0" * 16,
        code_hash="0" * 16,
        data_hash="0" * 16,
        fingerprint=Fingerprint("3.11", "2.13.0", "AVX2", 2),
        scale=scale,
    )


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("SFT+RL Checkpoint", 63.61),
        ("+ Plan only", 65.95),
        ("+ Bo3 only", 66.85),
        ("+ Plan + Bo3 (K2-Think)", 67.99),
    ],
)
def test_the_ablation_rows_recompute(row, expected):
    """Catches other weights than 30/30/30/173 in the micro-average."""
    found = stand(2, row, MICRO)
    assert found.recomputed is not None
    assert round(found.recomputed, 2) == expected
    assert found.verdict == "derived"


@pytest.mark.parametrize("benchmark", ["AIME 2024", "AIME 2025", "HMMT25", "Omni-MATH-HARD"])
def test_a_changed_input_fact_changes_the_verdict(benchmark):
    """Catches a recomputed cell that is a constant."""
    row = "+ Bo3 only"
    book = load_facts().override({f"{TABLE_2}/{row}/{benchmark}": 50.0})
    assert stand(2, row, MICRO, book=book).verdict == "contradicted"


@pytest.mark.parametrize(
    ("printed", "verdict"), [("67.99", "recomputed"), ("67.98", "contradicted"), ("68.00", "contradicted")]
)
def test_a_cell_agrees_by_rounding_and_not_by_nearness(printed, verdict):
    """Catches a print that is off by one in its last digit and passes for close: 67.988 is no 67.98."""
    row, column = "K2-Think (32B, Plan+Bo3)", "Math micro-average"
    book = load_facts().override({f"table1_main_results/{row}/{column}": printed})
    assert stand(1, row, column, book=book).verdict == verdict


def test_a_recalled_number_decides_nothing():
    """Catches a memory-only value turning into a verdict."""
    found = stand(1, "DeepSeek V3.1 (671B)", "Math micro-average")
    assert found.published.display == "(64.43)ᵘ"
    assert found.verdict == "unresolved"


def test_a_missing_cell_stays_missing():
    """Catches a gap filled in silently."""
    found = stand(1, "QwQ-32B", "HLE")
    assert found.published.display == "—"
    assert (found.recomputed, found.verdict) == (None, "unresolved")


def test_a_cell_that_is_not_measured_names_its_rows():
    """Catches "unresolved" without saying what it waits for."""
    found = stand(2, "+ Plan only", "HMMT25")
    assert found.waits_for == ("planning.score.plan.ops-13-14", "real.table2.plan.tier-3")
    assert "planning.score.plan.ops-13-14" in found.note


def test_a_mini_score_is_shown_and_never_judges_the_published_one():
    """Catches a mini-K2 score reported as K2-Think's."""
    row = measured("planning.score.plan.ops-13-14", 71.9, (70.0, 73.0))
    found = stand(2, "+ Plan only", "HMMT25", rows={row.id: row})
    assert found.mini == row
    assert found.verdict == "unresolved"


@pytest.mark.parametrize(
    ("interval", "verdict"), [((70.0, 73.0), "recomputed"), ((72.0, 73.0), "contradicted")]
)
def test_a_row_on_real_weights_decides(interval, verdict):
    """Catches a real measurement that cannot come out against the paper."""
    row = measured("real.table2.plan.tier-3", 72.5, interval, scale="real")
    assert stand(2, "+ Plan only", "HMMT25", rows={row.id: row}).verdict == verdict


def test_a_measured_fraction_stands_beside_a_percentage_in_per_cent():
    """Catches 71.87 beside "0.725 fraction", and a fraction that contradicts every percentage."""
    row = measured("real.table2.plan.tier-3", 0.725, (0.70, 0.73), scale="real", unit="fraction")
    found = stand(2, "+ Plan only", "HMMT25", rows={row.id: row})
    assert found.verdict == "recomputed"
    assert found.record()["real"] == "72.5 [70, 73] %"


def test_a_reading_of_a_picture_decides_only_within_its_accuracy():
    """Catches a rounding of our own digitisation reported as the paper's error."""
    verdicts = {s.verdict for s in standings("figure4") if s.recomputed is not None}
    assert verdicts == {"recomputed", "unresolved"}


@pytest.mark.parametrize(
    ("interval", "agreement"),
    [
        ((75.0, 80.0), "same sign"),
        ((55.0, 60.0), "opposite sign"),
        ((66.0, 80.0), "not decided"),
        ((55.0, 64.0), "not decided"),
    ],
)
def test_a_change_has_a_sign_where_intervals_part(interval, agreement):
    """Catches a loss beside a published gain that passes as undecided, and an overlap from above alone."""
    start = measured("best_of_n.score.single.ops-13-14", 65.0, (63.0, 67.0))
    plan = measured("planning.score.plan.ops-13-14", sum(interval) / 2, interval)
    cells = ablation_shape({row.id: row for row in (start, plan)}).cells
    assert cells["+ Plan only", "HMMT25"].agreement == agreement
    assert cells["+ Plan only", "AIME 2024"].agreement == "not measured yet"
    assert cells["SFT+RL Checkpoint", "HMMT25"].agreement == "the start"
