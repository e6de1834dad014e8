"""Impossible rates: all known ones are flagged, no honest one is."""

import pytest
from wafer_tables import shipped_report, shipped_table, table_of

from k2repro.errors import K2ReproError
from k2repro.wafer import predict
from k2repro.wafer.calibration.flags import ceiling, flag_rates

FLAGGED = {flag.id: flag for flag in flag_rates(shipped_table().rates)}


def test_every_known_impossible_row_is_flagged():
    """A filter that lets them pass: Argonne's bad row, all M2 Max CPU rows, all drafts."""
    for row in shipped_table().rates:
        known_bad = (
            any(word in row.note for word in ("BAD ROW", "above the roofline"))
            or row.hardware == "Apple-M2Max-CPU"
            or row.speculative
            or row.id == "w163"  # GLM-4.7 on wafers: draft not stated, above the mesh by 8 %
        )
        assert (row.id in FLAGGED) == known_bad, row.id


def test_no_scored_row_is_flagged():
    """A filter without a margin: 648 honest rows stay, the Ryzen at 95 % of its bandwidth too."""
    assert shipped_report().flagged_scored_rows == 0
    assert max(row.tokens_per_second / ceiling(row) for row in shipped_table().scored()) < 1.0


def test_physics_alone_catches_the_drafts():
    """A filter that only reads the label: drafts of known shapes are above the ceiling by themselves."""
    drafts = [row for row in shipped_table().rates if row.speculative and row.shape_known]
    assert len(drafts) == 7
    for row in drafts:
        assert row.tokens_per_second > 1.02 * ceiling(row), row.id


def test_honest_wafer_rates_are_not_flagged():
    """The mesh as a hard ceiling: published rates of WSE-2 and WSE-3 that state no draft stay below it."""
    honest = [
        row
        for row in shipped_table().rates
        if row.device.device_class == "wafer" and not row.speculative and row.shape_known
    ]
    assert len(honest) == 19
    assert [row.id for row in honest if row.id in FLAGGED] == ["w163"]


def test_one_bad_row_does_not_refute_its_device():
    """Guilt by association: 96 other H100 rows of the same source stay unflagged."""
    assert [f.id for f in FLAGGED.values() if f.hardware == "H100-SXM"] == ["0677"]


def test_a_ceiling_without_weights_is_caught():
    """Web pages seen: 155 tok/s for Llama-2-70B fp16 and 1,700 for 70B fp8 on one H200."""
    rows = table_of(
        {
            "model": "Llama-2-70B",
            "precision": "fp16",
            "hardware": "H200",
            "tok_s_per_user": "155",
            "bandwidth_gbs_per_device": "4800",
        },
        {
            "model": "Llama-3.1-70B",
            "precision": "fp8",
            "hardware": "H200",
            "tok_s_per_user": "1700",
            "bandwidth_gbs_per_device": "4800",
        },
    ).rates
    assert [flag.line for flag in flag_rates(rows)] == [2, 3]


def test_a_rounded_rate_at_the_roofline_passes():
    """No margin for rounding: 1.002 of the stated bandwidth is possible, 1.05 is not."""
    limit = ceiling(table_of({}).rates[0])
    rows = table_of({"tok_s_per_user": f"{limit * 1.002}"}, {"tok_s_per_user": f"{limit * 1.05}"}).rates
    assert [flag.line for flag in flag_rates(rows)] == [3]


def test_a_claim_can_be_held_against_a_prediction():
    """200 tok/s for K2-Think: impossible on one H100 in 16 bit, possible on eight."""
    assert not predict("k2-think", "H100-SXM").is_possible(200)
    assert predict("k2-think", "H100-SXM", devices=8).is_possible(200)
    assert not predict("k2-think", "WSE-3", devices=4).is_possible(2000)
    with pytest.raises(K2ReproError, match="positive"):
        predict("k2-think", "H100-SXM").is_possible(-1)
