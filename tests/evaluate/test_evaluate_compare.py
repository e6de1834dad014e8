"""The comparison decides "came out again"; a lax one would call every run a reproduction."""

import dataclasses

import numpy as np
import pytest

from k2repro.evaluate.compare import allowed_difference, compare_rows, failures, summarise
from k2repro.evaluate.seeds import two_level_interval
from k2repro.results import Fingerprint, Row

HERE = Fingerprint(python="3.11", torch="2.13.0", cpu_capability="AVX2", threads=2)
THERE = dataclasses.replace(HERE, cpu_capability="AVX512")


def row(value, *, where=HERE, scale="mini", interval=(0.3, 0.5)):
    return Row(
        id="room.value",
        value=value,
        unit="fraction",
        n=100,
        interval=interval,
        interval_method="Wilson 95 %" if interval else None,
        seeds=(),
        profile="laptop",
        params_hash="0" * 16,
        code_hash="1" * 16,
        data_hash="2" * 16,
        fingerprint=where,
        scale=scale,
    )


def outcome(old, new):
    [comparison] = compare_rows({"room.value": old}, {"room.value": new})
    return comparison.outcome


def test_inside_one_fingerprint_only_identical_counts():
    """Catches a lost bit of determinism hidden behind a wide interval."""
    assert outcome(row(0.4), row(0.4)) == "identical"
    assert outcome(row(0.4), row(0.4000001)) == "outside"


def test_across_fingerprints_the_interval_of_an_untrained_number_decides():
    """Catches an honest difference between CPUs reported as a failure, and a real one as fine."""
    assert outcome(row(0.4), row(0.45, where=THERE)) == "within interval"
    assert outcome(row(0.4), row(0.51, where=THERE)) == "outside"


def test_exact_quantities_are_equal_on_every_machine():
    """Catches a changed fact excused by another CPU."""
    old = row(32_763_876_352, scale="exact", interval=None)
    assert outcome(old, row(32_763_876_352, where=THERE, scale="exact", interval=None)) == "identical"
    assert outcome(old, row(32_763_876_353, where=THERE, scale="exact", interval=None)) == "outside"
    last_digit = row(67.98809885931559, scale="exact", interval=None)
    assert (
        outcome(last_digit, row(67.9880988593156, where=THERE, scale="exact", interval=None)) == "identical"
    )


def test_a_row_that_vanished_is_reported():
    """Catches a notebook that silently stopped measuring something."""
    comparisons = compare_rows({"room.value": row(0.4)}, {})
    assert [c.outcome for c in comparisons] == ["missing"]
    assert summarise(comparisons) == "0 of 1 rows came out again (1 missing)"


# ---- numbers of trained models ------------------------------------------------------------------------

# pass@1 by seed of runs that were made. The same recipe, seeds and hashes, with attention rounded
# differently, is what another processor family is; the direct models and the broken reward are what a
# training that went wrong looks like.
SFT, SFT_ROUNDED, DIRECT = (0.896, 0.904, 0.580), (0.971, 0.758, 0.924), (0.007, 0.006, 0.008)
FROM_BASE, FROM_BASE_ROUNDED, NOTHING = (0.208, 0.546, 0.115), (0.627, 0.365, 0.501), (0.004, -0.003, 0.002)
# The earlier build had fewer steps and other kernels.
FROM_SFT, EARLIER_FROM_SFT, BROKEN = (0.046, 0.085, 0.076), (0.019, 0.026, 0.053), (-0.017, -0.012, -0.077)


def trained(by_seed, where=HERE, n=2_000):
    """A row as notebooks write it: seeds differ as given, problems around them."""
    draws = np.random.default_rng(0).normal(0.0, 0.15, n)
    table = np.array(by_seed)[:, None] + (draws - draws.mean())
    found = two_level_interval(table, generator=np.random.default_rng(1), resamples=2_000)
    return dataclasses.replace(
        row(float(np.mean(by_seed)), where=where, interval=(found.low, found.high)),
        interval_method=f"{found.method}, 95%",
        seeds=tuple(range(len(by_seed))),
        by_seed=tuple(by_seed),
        n=n,
    )


@pytest.mark.parametrize(
    ("shipped", "honest", "broken"),
    [(SFT, SFT_ROUNDED, DIRECT), (SFT_ROUNDED, SFT, DIRECT), (FROM_SFT, EARLIER_FROM_SFT, BROKEN)],
)
def test_an_honest_run_elsewhere_passes_and_a_broken_one_does_not(shipped, honest, broken):
    """Catches an interval over problems, which fails every honest run, and one so wide that all pass."""
    assert outcome(trained(shipped), trained(honest, THERE)) == "within interval"
    assert outcome(trained(shipped), trained(broken, THERE)) == "outside"


def test_the_old_rule_would_have_failed_the_honest_run():
    """The wrong twin: an interval that resamples problems, held against another set of trainings."""
    by_problem = dataclasses.replace(trained(SFT), interval=(0.785, 0.801))
    assert not by_problem.interval[0] <= np.mean(SFT_ROUNDED) <= by_problem.interval[1]


def test_an_effect_that_turned_round_is_outside_however_wide_its_intervals():
    """Catches a gain that became a loss and passes because three seeds say little."""
    gains, losses = trained((0.02, 0.06, 0.12)), trained((-0.02, -0.06, -0.12), THERE)
    assert abs(losses.value - gains.value) < allowed_difference(gains, losses)
    assert outcome(gains, losses) == "outside"


def test_more_seeds_allow_less():
    """Catches a tolerance that forgets how many seeds stand behind it: five see what three cannot."""
    three = allowed_difference(trained(FROM_BASE), trained(FROM_BASE_ROUNDED))
    five = allowed_difference(trained((*FROM_BASE, 0.3, 0.28)), trained((*FROM_BASE_ROUNDED, 0.5, 0.49)))
    assert five < 0.6 * three
    gains, none = (*FROM_SFT, 0.06, 0.07), (*NOTHING, 0.001, -0.002)
    assert outcome(trained(gains), trained(none, THERE)) == "outside"


def test_one_seed_and_an_interval_over_problems_are_reported_only():
    """Catches one training held against another as if it were a sample of problems."""
    alone = dataclasses.replace(trained(SFT), seeds=(0,), by_seed=(0.896,))
    assert outcome(alone, dataclasses.replace(alone, value=0.5, fingerprint=THERE)) == "not comparable"
    fixed = dataclasses.replace(trained(SFT), interval_method="bootstrap by problem, percentile")
    assert outcome(fixed, trained(DIRECT, THERE)) == "not comparable"


def test_predicted_rows_decide_about_trainings_and_every_row_about_the_rest():
    """Catches a run that fails for one row of hundreds by chance, and a broken effect that passes."""
    elsewhere = compare_rows({"a.b": trained(SFT)}, {"a.b": trained(DIRECT, THERE)})
    assert [each.outcome for each in elsewhere] == ["outside"]
    assert failures(elsewhere, {"a.b"}) == elsewhere and failures(elsewhere, ()) == []
    exact = compare_rows(
        {"a.c": row(1, scale="exact", interval=None)},
        {"a.c": row(2, scale="exact", interval=None, where=THERE)},
    )
    same_machine = compare_rows({"a.b": trained(SFT)}, {"a.b": trained(DIRECT)})
    missing = compare_rows({"a.b": trained(SFT)}, {})
    for found in (exact, same_machine, missing):
        assert failures(found, ()) == found


def test_the_allowed_difference_by_hand():
    """Catches one side left out, the wrong half of an interval, and seeds that are resampled uncorrected."""
    normal = 1.959964
    old = dataclasses.replace(trained(SFT), value=0.5, interval=(0.1, 0.5 + 0.05 * normal))
    five = dataclasses.replace(trained(SFT), seeds=(0, 1, 2, 3, 4), by_seed=())
    new = dataclasses.replace(five, value=0.7, interval=(0.7 - 0.025 * normal, 1.0))
    t_of_six = 3.707428  # 99 %, two-sided; (3 - 1) + (5 - 1) degrees of freedom
    expected = t_of_six * (0.05**2 * 3 / 2 + 0.025**2 * 5 / 4) ** 0.5
    assert allowed_difference(old, new) == pytest.approx(expected, rel=1e-5)
    assert allowed_difference(new, old) == pytest.approx(expected, rel=1e-5)
