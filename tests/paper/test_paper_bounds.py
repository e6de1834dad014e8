"""Catches: bounds of a claim that are rounded too coarsely, and noise of one score taken for that of two."""

import pytest
from paper_judging import book, judge

from k2repro.paper.loading import load_facts
from k2repro.paper.noise import noise_of

TABLE_2 = "table2_test_time_ablation"


@pytest.mark.parametrize(
    ("value", "verdict"),
    [("11.4", "contradicted"), ("11.004", "recomputed"), ("6.24", "contradicted"), ("6.246", "recomputed")],
)
def test_a_range_is_as_sharp_as_its_sharper_bound(value, verdict):
    """Catches values rounded to the coarser bound's digits: 11.4 would lie within 6.25 to 11."""
    facts = book(a=value, low="6.25", high="11")
    found = judge("all_between", facts, values=["t/r/a"], low="t/r/low", high="t/r/high")
    assert found.verdict == verdict


def test_the_noise_of_a_difference_by_hand():
    """Catches the noise of the noisier score alone, and the problems of one set under the other's score."""
    small, large = f"{TABLE_2}/+ Plan only/AIME 2024", f"{TABLE_2}/+ Plan only/Omni-MATH-HARD"
    facts = load_facts().override({small: "50", large: "90"})
    expected = 200 * (0.5 * 0.5 / 30 + 0.9 * 0.1 / 173) ** 0.5
    assert noise_of(facts, small, large) == pytest.approx(expected)
    assert noise_of(facts, large, small) == pytest.approx(expected)
