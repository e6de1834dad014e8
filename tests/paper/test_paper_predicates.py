"""Predicates: every branch of every rule, decided before any measurement exists."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paper_judging import book, judge, row

from k2repro.errors import K2ReproError
from k2repro.paper import VERDICTS, Fact, FactBook
from k2repro.paper.noise import noise_of
from k2repro.paper.predicates import PREDICATES
from k2repro.results import Row


@pytest.mark.parametrize(
    ("found", "published", "verdict"),
    [("67.988", "67.99", "recomputed"), ("67.984", "67.99", "contradicted"), ("7000", "7000", "recomputed")],
)
def test_rounding_follows_the_printed_decimals(found, published, verdict):
    """Catches a fixed tolerance in place of the precision that was published."""
    outcome = judge("rounds_to", book(a=found, b=published), recomputed="t/r/a", published="t/r/b")
    assert outcome.verdict == verdict


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    value=st.floats(-1000, 1000).map(lambda x: round(x, 4)),
    digits=st.integers(0, 3),
    shift=st.sampled_from([0, 1, -1, 3]),
)
def test_rounding_accepts_its_own_rounding_and_nothing_a_digit_away(value, digits, shift):
    """Catches an off-by-one in the last digit passing as agreement."""
    published = f"{round(value, digits) + shift * 10.0**-digits:.{digits}f}"
    outcome = judge("rounds_to", book(a=repr(value), b=published), recomputed="t/r/a", published="t/r/b")
    near = abs(abs(value - float(published)) - 0.5 * 10.0**-digits) < 1e-6
    assert near or (outcome.verdict == "recomputed") == (shift == 0)


@pytest.mark.parametrize(
    ("found", "is_gain", "verdict"),
    [
        ("4.7", True, "recomputed"),
        ("9", True, "direction only"),
        ("9", False, "contradicted"),
        ("-4.7", True, "contradicted"),
    ],
)
def test_a_gain_outside_its_tolerance_keeps_only_its_direction(found, is_gain, verdict):
    """Catches a wrong size called agreement, and a right sign called contradiction."""
    outcome = judge(
        "within", book(a=found, b="5"), recomputed="t/r/a", published="t/r/b", tolerance=1.5, is_gain=is_gain
    )
    assert outcome.verdict == verdict


def test_one_failing_pair_decides():
    """Catches an average of comparisons hiding the benchmark that goes the other way."""
    facts = book(a="71.16", b="71.87", c="59.47", d="58.97")
    outcome = judge("all_higher", facts, higher=["t/r/a", "t/r/c"], lower=["t/r/b", "t/r/d"])
    assert outcome.verdict == "contradicted"
    assert "1 of 2 fail" in outcome.reason
    equal = judge("all_higher", facts, higher=["t/r/a"], lower=["t/r/a"])
    assert equal.verdict == "contradicted"


def test_unpaired_operands_are_refused():
    """Catches a comparison that quietly drops the longer list's tail."""
    with pytest.raises(K2ReproError, match="pairs are needed"):
        judge("all_higher", book(a="1", b="2"), higher=["t/r/a", "t/r/b"], lower=["t/r/a"])


@pytest.mark.parametrize(("score", "verdict"), [("90.83", "recomputed"), ("90.77", "contradicted")])
def test_the_grid_of_sixteen_runs(score, verdict):
    """Catches a grid so fine (or a tolerance so wide) that every score fits."""
    facts = book(a=score, runs="16", problems="30")
    outcome = judge(
        "on_grid", facts, cells=["t/r/a"], runs="t/r/runs", problems="t/r/problems", tolerance=0.015
    )
    assert outcome.verdict == verdict
    soft = judge(
        "on_grid",
        facts,
        cells=["t/r/a"],
        runs="t/r/runs",
        problems="t/r/problems",
        tolerance=0.015,
        if_off="unresolved",
    )
    assert soft.verdict == ("recomputed" if verdict == "recomputed" else "unresolved")


def scores(**cells):
    """A book with cells of AIME 2024, thirty problems, as t/<name>/AIME 2024."""
    small = Fact(
        "eval_protocol",
        "K2-Think",
        "AIME 2024 / AIME 2025 / HMMT25 problems",
        "30 / 30 / 30",
        "",
        "s",
        "verbatim",
    )
    large = Fact("eval_protocol", "K2-Think", "Omni-MATH-HARD problems", "173", "", "s", "verbatim")
    named = [Fact("t", row, "AIME 2024", text, "%", "s", "verbatim") for row, text in cells.items()]
    return FactBook([small, large, *named])


@pytest.mark.parametrize(
    ("a", "b", "order", "match"),
    [
        ("91.9", "90.83", "consistent as printed", "consistent as printed"),
        ("85.21", "86.26", "unresolved", "consistent as printed"),
        ("30", "86.26", "contradicted", "contradicted"),
        ("86.26", "30", "recomputed", "contradicted"),
        ("86.26", "86.26", "unresolved", "consistent as printed"),
    ],
)
def test_near_and_far_share_one_bound(a, b, order, match):
    """Catches a gap of 1.07 that matches closely while a loss of 1.05 contradicts, on thirty problems."""
    facts = scores(a=a, b=b)
    higher, lower = ["t/a/AIME 2024"], ["t/b/AIME 2024"]
    assert judge("all_higher", facts, higher=higher, lower=lower).verdict == order
    assert judge("near", facts, a="t/a/AIME 2024", b="t/b/AIME 2024").verdict == match


def test_numbers_without_known_problems_have_no_noise():
    """Catches token counts or sizes treated as proportions of thirty problems."""
    assert noise_of(book(a="40", b="41"), "t/r/a", "t/r/b") is None
    with pytest.raises(K2ReproError, match="not scores of a benchmark"):
        judge("near", book(a="40", b="41"), a="t/r/a", b="t/r/b")


@pytest.mark.parametrize(
    ("peak", "last", "verdict"),
    [("4.7", "4.0", "recomputed"), ("4.7", "3.3", "unresolved"), ("9", "8", "contradicted")],
)
def test_every_reading_counts(peak, last, verdict):
    """Catches the peak used where it confirms and the last point where it refutes."""
    facts = book(a=peak, b=last, c="5")
    found = judge("all_within", facts, recomputed=["t/r/a", "t/r/b"], published="t/r/c", tolerance=1.5)
    assert found.verdict == verdict


def test_a_range_is_left_by_one_value():
    """Catches the mean of six changes standing in for all of them."""
    facts = book(a="-6.7", b="-2.1", low="6", high="11")
    inside = judge("all_between", facts, values=["t/r/a"], low="t/r/low", high="t/r/high")
    outside = judge("all_between", facts, values=["t/r/a", "t/r/b"], low="t/r/low", high="t/r/high")
    assert (inside.verdict, outside.verdict) == ("recomputed", "contradicted")


def test_a_second_print_measures_nothing():
    """Catches two sources that copy each other counted as a recomputation."""
    facts = book(a="671", b="671", c="21")
    assert judge("equals_source", facts, stated="t/r/a", source="t/r/b").verdict == "not testable here"
    assert judge("equals_source", facts, stated="t/r/a", source="t/r/c").verdict == "contradicted"
    with pytest.raises(K2ReproError, match="verdict for equal sources"):
        judge("equals_source", facts, stated="t/r/a", source="t/r/b", if_equal="contradicted")


def test_words_that_differ_contradict():
    """Catches a comparison of texts that ignores the text."""
    facts = book(a="proprietary", b="open-source", c="proprietary")
    assert judge("texts_differ", facts, stated="t/r/a", found="t/r/b").verdict == "contradicted"
    assert judge("texts_differ", facts, stated="t/r/a", found="t/r/c").verdict == "unresolved"


@pytest.mark.parametrize(
    ("a", "b", "verdict"), [("1", "2", "recomputed"), ("-1", "-2", "contradicted"), ("1", "-2", "unresolved")]
)
def test_conflicting_evidence_stays_open(a, b, verdict):
    """Catches the comparison that comes first deciding for both."""
    outcome = judge("signs_agree", book(a=a, b=b), gains=["t/r/a", "t/r/b"])
    assert outcome.verdict == verdict


@pytest.mark.parametrize(
    ("measured", "arguments", "verdict"),
    [
        (None, {}, "unresolved"),
        (row(3.0, (1.0, 5.0)), {}, "reproduced at mini scale"),
        (row(3.0, (1.0, 5.0), scale="real"), {}, "recomputed"),
        (row(3.0, (-1.0, 5.0)), {}, "unresolved"),
        (row(3.0, (0.0, 5.0)), {}, "unresolved"),
        (row(-3.0, (-5.0, 0.0)), {}, "unresolved"),
        (row(-3.0, (-5.0, -1.0)), {}, "contradicted"),
        (row(-3.0, (-5.0, -1.0)), {"sign": -1}, "reproduced at mini scale"),
        (row(3.0, (1.0, 5.0)), {"sign": -1}, "contradicted"),
        (row(3.0, (1.0, 5.0)), {"published": "t/r/five"}, "reproduced at mini scale"),
        (row(3.0, (1.0, 4.0)), {"published": "t/r/five"}, "direction only"),
        (row(0.03, (0.01, 0.06), unit="fraction"), {"published": "t/r/five"}, "reproduced at mini scale"),
        (row(0.6, (0.4, 0.8)), {"beyond": 0.5}, "unresolved"),
        (row(0.6, (0.55, 0.8)), {"beyond": 0.5}, "reproduced at mini scale"),
        (row(0.3, (0.2, 0.4)), {"beyond": 0.5}, "contradicted"),
        (row(0.3, (0.2, 0.4)), {"sign": -1, "beyond": 1}, "reproduced at mini scale"),
    ],
)
def test_the_rule_for_effects(measured, arguments, verdict):
    """Catches a verdict from the point estimate alone, and a measured effect that cannot fail."""
    outcome = judge("effect", book(five="5"), measured, **arguments)
    assert outcome.verdict == verdict


@settings(deadline=None, derandomize=True, max_examples=80)
@given(
    value=st.floats(-10, 10),
    below=st.floats(0.001, 5),
    above=st.floats(0.001, 5),
    sign=st.sampled_from([1, -1]),
)
def test_an_effect_and_its_mirror_image_get_mirrored_verdicts(value, below, above, sign):
    """Catches a rule that is kinder to gains than to losses."""
    right = judge("effect", book(a="1"), row(value, (value - below, value + above)), sign=sign)
    mirrored = judge("effect", book(a="1"), row(-value, (-value - above, -value + below)), sign=-sign)
    assert right.verdict == mirrored.verdict


def of_seeds(*by_seed: float, method: str = "bootstrap by seed and problem, percentile") -> Row:
    """A trained effect of 3 points whose own interval lies above zero."""
    plain = row(3.0, (1.0, 5.0))
    return replace(plain, seeds=tuple(range(len(by_seed))), by_seed=by_seed, interval_method=method)


@pytest.mark.parametrize(
    ("measured", "verdict", "words"),
    [
        (of_seeds(2.5, 3.0, 3.5), "reproduced at mini scale", "Student's t over 3 seeds"),
        (of_seeds(0.5, 3.0, 5.5), "unresolved", "reaches 0"),  # t over seeds does, the interval does not
        # t of 2 degrees times 1 / sqrt(3) is 2.484: 2.4 - 2.484 < 0 < 2.6 - 2.484.
        (of_seeds(1.4, 2.4, 3.4), "unresolved", "reaches 0"),
        (of_seeds(1.6, 2.6, 3.6), "reproduced at mini scale", "[0.1159, 5.084]"),
        (of_seeds(2.9, 3.1), "unresolved", "2 seeds of 3"),
        (of_seeds(3.0), "unresolved", "1 seed of 3"),
        (of_seeds(2.5, 3.0, 3.5, method="bootstrap by problem"), "unresolved", "holds the seeds fixed"),
    ],
)
def test_a_claim_about_training_needs_seeds(measured, verdict, words):
    """Catches one lucky model, or an interval over problems, that decides what training does."""
    outcome = judge("effect", book(a="1"), measured)
    assert (outcome.verdict, words in outcome.reason) == (verdict, True)


def test_a_measured_effect_without_an_interval_is_refused():
    """Catches a bare point estimate that decides a claim."""
    with pytest.raises(K2ReproError, match="no interval"):
        judge("effect", book(a="1"), row(3.0))


def test_an_unknown_unit_is_not_compared_with_per_cent():
    """Catches tokens compared with a published percentage."""
    with pytest.raises(K2ReproError, match="unit 'tokens'"):
        judge("effect", book(five="5"), row(3.0, (1.0, 9.0), unit="tokens"), published="t/r/five")


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (None, "unresolved"),
        (row(0.0, scale="exact"), "recomputed"),
        (row(1e-3, scale="exact"), "contradicted"),
        (row(1e-14, (0.0, 1e-13)), "reproduced at mini scale"),
    ],
)
def test_a_deviation_within_its_limit(measured, verdict):
    """Catches a lossy method passing as lossless."""
    assert judge("no_more_than", book(a="1"), measured, limit=1e-12).verdict == verdict


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (None, "unresolved"),
        (row(90.0, (85.0, 94.0), unit="%"), "unresolved"),
        (row(90.0, (85.0, 94.0), scale="real", unit="%"), "recomputed"),
        (row(0.9, (0.85, 0.94), scale="real", unit="fraction"), "recomputed"),
        (row(80.0, (75.0, 84.0), scale="real", unit="%"), "contradicted"),
    ],
)
def test_only_real_weights_decide_a_score(measured, verdict):
    """Catches a mini-K2 score presented as K2-Think's."""
    outcome = judge("measured_value", book(a="90.83"), measured, published="t/r/a")
    assert outcome.verdict == verdict


def test_two_prints_that_disagree_contradict_before_any_run():
    """Catches an article's misprint excused because nothing was measured yet."""
    facts = book(a="90.83", b="90.38")
    outcome = judge("measured_value", facts, published="t/r/a", also="t/r/b")
    assert outcome.verdict == "contradicted"


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (None, "unresolved"),
        (row(645.0, (500.0, 900.0), scale="exact", unit="tokens/s"), "unresolved"),
        (row(1900.0, (1500.0, 2300.0), scale="exact", unit="tokens/s"), "recomputed"),
    ],
)
def test_a_predicted_rate_supports_or_leaves_open(measured, verdict):
    """Catches an emulator without a draft used to call a drafted rate wrong."""
    assert judge("predicted_rate", book(a="2000"), measured, published="t/r/a").verdict == verdict


def test_waiting_without_a_row_is_refused():
    """Catches a claim that waits for nothing, for ever."""
    with pytest.raises(K2ReproError, match="name its row"):
        judge("effect", book(a="1"), needs=())


def test_every_predicate_is_documented_and_named():
    """Catches a rule whose meaning a reader cannot look up."""
    for name, predicate in PREDICATES.items():
        assert predicate.__doc__
        assert predicate.__name__ == name
    assert set(VERDICTS) == {
        "recomputed",
        "consistent as printed",
        "derived",
        "reproduced at mini scale",
        "direction only",
        "contradicted",
        "unresolved",
        "not testable here",
    }
