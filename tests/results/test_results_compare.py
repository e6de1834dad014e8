"""The comparison decides "came out again"; a lax one would call every run a reproduction."""

import dataclasses

from k2repro.results import Fingerprint, Row
from k2repro.results.compare import compare_rows, summarise

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
        seeds=(0,),
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


def test_across_fingerprints_the_interval_decides():
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
