"""Catches: seeds counted as separate problems, a gain over the wrong model, shares of no gain."""

from dataclasses import replace
from math import isfinite, isnan

import pytest

from k2repro.errors import K2ReproError
from k2repro.evaluate.effects import right_among, table_of
from k2repro.evaluate.pool import Attempts, Score, Scores
from k2repro.lab.sft import CurvePoint, SftResults
from k2repro.lab.sft_rows import (
    add_rows,
    curve_rows,
    length_rows,
    mistake_rows,
    most_common,
    pass_at_k_rows,
    pass_rows,
    sample_counts,
)
from k2repro.lessons.wording import words
from k2repro.mini import mistakes
from k2repro.mini.benchmarks import BENCHMARKS, MATHS

PROBLEMS = 20
SAMPLES = 4
WRONG = next(kind for kind in mistakes.KINDS if kind != mistakes.RIGHT)


def pool_of(right: float, samples: int = SAMPLES) -> Scores:
    """A pool in which the first `right` of each benchmark's problems are always right, the others never."""
    return Scores(
        tuple(
            Attempts(
                f"{tier}-{at}",
                tier,
                tuple(
                    Score(
                        mistakes.RIGHT if at < right * PROBLEMS else WRONG,
                        10 + at,
                        "stop",
                        at < right * PROBLEMS,
                    )
                    for _ in range(samples)
                ),
            )
            for tier in BENCHMARKS
            for at in range(PROBLEMS)
        ),
        {},
    )


def curve_of(values: dict[float, float]) -> list[CurvePoint]:
    """A curve with a share of the probe right after each share of the training."""
    return [
        CurvePoint(
            round(100 * share),
            share,
            {tier: "".join(str(int(at < value * PROBLEMS)) for at in range(PROBLEMS)) for tier in BENCHMARKS},
        )
        for share, value in values.items()
    ]


def evidence_of(base: float = 0.1, sft: float = 0.8, direct: float = 0.1, **curve: float) -> SftResults:
    values = {"start": 0.1, "quarter": 0.6, "half": 0.7, "late": 0.75, "end": 0.8} | curve
    points = curve_of(dict(zip((0.0, 0.25, 0.5, 0.75, 1.0), values.values(), strict=True)))
    rates_by_name = {"base": base, "sft": sft, "direct": direct}
    return SftResults(
        {name: {0: pool_of(rate), 1: pool_of(rate)} for name, rate in rates_by_name.items()},
        {},
        {"sft": {0: points, 1: points}, "direct": {0: points, 1: points}},
        {},
    )


def test_a_gain_is_sft_minus_base_on_the_same_problems():
    """Catches a difference the wrong way round, or against the direct model."""
    found = pass_rows(evidence_of(base=0.1, sft=0.8, direct=0.3))
    assert found["sft.pass_at_1.gain"].value == pytest.approx(0.7)
    assert found["sft.cot_minus_direct.tier-3"].value == pytest.approx(0.5)
    assert found["sft.pass_at_1.final.mean"].value == pytest.approx(0.8)


def test_a_second_seed_adds_no_problems():
    """Catches intervals that shrink because the same problem is counted once for each seed."""
    both = evidence_of()
    assert pass_rows(both)["sft.pass_at_1.final.tier-1"].n == PROBLEMS
    assert pass_rows(both)["sft.pass_at_1.final.mean"].n == PROBLEMS * len(MATHS)


def test_rates_average_over_seeds():
    """Catches that only the last seed counts."""
    table = table_of({0: pool_of(1.0), 1: pool_of(0.0)}, right_among(1), tiers=("tier-1",))
    assert set(table.mean) == {0.5}


def test_other_problems_for_another_seed_are_refused():
    """Catches pairs of unequal problems."""
    other = Scores(pool_of(0.5).attempts[1:], {})
    with pytest.raises(K2ReproError, match="different problems"):
        table_of({0: pool_of(0.5), 1: other}, tiers=("tier-1",))


def test_the_smallest_gain_over_k_finds_a_k_at_which_base_wins():
    """Catches a claim 'above at every k' that looks at one k only; the twin has base above at large k."""
    good = pass_at_k_rows(evidence_of())
    assert good["sft.pass_at_k.min_gain"].value == pytest.approx(0.7)
    # Base: each problem right in one sample of four. SFT: half of the problems always right.
    lucky = Scores(
        tuple(
            Attempts(
                a.id,
                a.tier,
                tuple(
                    Score(mistakes.RIGHT if at == 0 else WRONG, 10, "stop", at == 0) for at in range(SAMPLES)
                ),
            )
            for a in pool_of(0.0).attempts
        ),
        {},
    )
    evidence = evidence_of(sft=0.5)
    twin = replace(evidence, scores={**evidence.scores, "base": {0: lucky, 1: lucky}})
    found = pass_at_k_rows(twin)
    assert found["sft.pass_at_k.base.tier-1.k1"].value == pytest.approx(0.25)
    assert found["sft.pass_at_k.min_gain"].value == pytest.approx(-0.5)
    assert sample_counts(evidence) == [1, 2, 4]


def test_shares_of_the_gain_sum_to_what_the_curve_shows():
    """Catches a quarter measured from zero instead of from the start of fine-tuning."""
    found = curve_rows(evidence_of())
    assert found["sft.gain_share_at_quarter"].value == pytest.approx(0.5 / 0.7)
    assert found["sft.gain_share_of_last_quarter"].value == pytest.approx(0.05 / 0.7)


def test_no_gain_has_no_shares():
    """Catches a share of noise that is reported as if it were an effect."""
    flat = dict.fromkeys(("start", "quarter", "half", "late", "end"), 0.1)
    found = curve_rows(evidence_of(**flat))
    assert "sft.gain_share_at_quarter" not in found
    assert words(found, "{sft.gain_share_at_quarter}", "none") == "none"
    assert words(found, "{sft.curve.end}", "none") == "{sft.curve.end}"


def test_lengths_and_mistakes_are_shares_of_all_responses():
    """Catches shares of the wrong responses only."""
    evidence = evidence_of(sft=0.8)
    assert length_rows(evidence)["sft.tokens.final.tier-1"].value == pytest.approx(10 + (PROBLEMS - 1) / 2)
    found = mistake_rows(evidence)
    assert found[f"sft.mistakes.tier-2.{WRONG.replace(' ', '-')}"].value == pytest.approx(0.2)
    assert most_common(found, "tier-2") == WRONG


def test_a_seed_without_a_gain_has_no_share():
    """Catches a share of one seed's noise, which would stand as a dot beside the others."""
    results = evidence_of()
    flat = curve_of(dict.fromkeys((0.0, 0.25, 0.5, 0.75, 1.0), 0.1))
    found = curve_rows(replace(results, curves={**results.curves, "sft": {**results.curves["sft"], 1: flat}}))
    values = [value for value, _ in found["sft.gain_share_at_quarter"].by_seed.values()]
    assert isfinite(values[0]) and isnan(values[1])


class Book:
    """Keeps what is added."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, object]] = {}

    def add(self, row_id, value, **about):
        self.rows[row_id] = {"value": value, **about}


def test_rows_are_written_with_scale_and_seeds():
    """Catches mini numbers that pass for the real model's."""
    book = Book()
    add_rows(book, pass_rows(evidence_of()))
    row = book.rows["sft.pass_at_1.gain"]
    assert (row["scale"], row["seeds"], row["n"]) == ("mini", (0, 1), PROBLEMS * len(MATHS))
    assert row["interval"][0] < row["value"] < row["interval"][1]
    assert "seed" in row["interval_method"] and len(row["by_seed"]) == 2


def test_a_row_leaves_out_seeds_that_have_no_value():
    """Catches a file of rows that holds NaN, or a dot for a seed that has none."""
    nan = {0: (0.5, None), 1: (float("nan"), None)}
    effect = replace(pass_rows(evidence_of())["sft.pass_at_1.gain"], by_seed=nan)
    book = Book()
    add_rows(book, {"sft.pass_at_1.gain": effect})
    assert book.rows["sft.pass_at_1.gain"]["by_seed"] == ()
