"""Rate files: what is refused, by line and with its cause, and what is predicted all the same."""

import json

import pytest
from wafer_tables import csv_lines, shipped_table, table_of

from k2repro.errors import K2ReproError
from k2repro.wafer import load_rates, read_rates
from k2repro.wafer.calibration.rates import REQUIRED, parse_rates
from k2repro.wafer.calibration.render import render_json, render_text, score_rates_file
from k2repro.wafer.calibration.score import score_table
from k2repro.wafer.calibration.units import refuse_wrong_units
from k2repro.wafer.model.device_names import split_count

GOOD = {"id": "good"}


def quick_score(*rows):
    return score_table(table_of(*rows), "small.csv", held_out=False)


def test_the_shipped_table_is_complete():
    """A row lost while reading: 922 + 104 rows, 549 + 99 scored, none refused."""
    table = shipped_table()
    assert (len(table.rates), len(table.scored()), table.refused) == (1026, 648, ())
    assert len(load_rates("decode_rates_2026.csv").rates) == 104
    assert refuse_wrong_units(table).refused == ()
    assert all(row.device_known and row.engine.known and row.shape_known for row in table.scored())


@pytest.mark.parametrize("column", REQUIRED)
def test_a_missing_column_is_named(column):
    """A file without a needed column read as empty cells."""
    with pytest.raises(K2ReproError, match=f"missing column.*{column}"):
        parse_rates(csv_lines(GOOD, drop=(column,)), "small.csv")


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("tok_s_per_user", "fast"),
        ("tok_s_per_user", "-3"),
        ("tok_s_per_user", "nan"),
        ("tok_s_per_user", ""),
        ("batch", "0"),
        ("bandwidth_gbs_per_device", "2,039 GB/s"),
        ("bandwidth_gbs_per_device", "inf"),
        ("n_devices", "two"),
        ("precision", "float13"),
        ("context_in", "-1"),
        ("use_for_scoring", "yes"),
    ],
)
def test_an_unreadable_row_is_refused_by_line_and_the_rest_is_kept(column, text):
    """One bad cell that stops the file, or slips through: only its line is refused, by number."""
    bad = {column: f'"{text}"' if "," in text else text}
    table = table_of(GOOD, bad, {**GOOD, "id": "also"})
    assert [rate.id for rate in table.rates] == ["good", "also"]
    assert len(table.refused) == 1
    assert table.refused[0].startswith("line 3: ")
    assert column in table.refused[0]


def test_a_file_without_a_readable_row_is_an_error():
    """An empty score: when every row is refused the error says why."""
    with pytest.raises(K2ReproError, match="not one row can be read .line 2"):
        table_of({"tok_s_per_user": "fast"})
    with pytest.raises(K2ReproError, match="no rows"):
        parse_rates(csv_lines(), "small.csv")


def test_nothing_left_to_score_is_an_error():
    """A report of zero rows: filter rows only."""
    with pytest.raises(K2ReproError, match="no scored row"):
        quick_score({"use_for_scoring": "0"})


@pytest.mark.parametrize("path", ["absent.csv", "."])
def test_a_file_that_cannot_be_opened_is_an_error(path, tmp_path):
    """A traceback for a mistyped path."""
    with pytest.raises(K2ReproError, match="cannot be read"):
        read_rates(tmp_path / path)


def test_a_file_that_is_not_text_is_an_error(tmp_path):
    """A spreadsheet passed as CSV."""
    (tmp_path / "rates.csv").write_bytes(b"PK\x03\x04\xff\xfe\xfa")
    with pytest.raises(K2ReproError, match="UTF-8"):
        read_rates(tmp_path / "rates.csv")


@pytest.mark.parametrize(
    ("column", "factor"),
    [
        ("bandwidth_gbs_per_device", 1e3),
        ("bandwidth_gbs_per_device", 1e-3),
        ("tok_s_per_user", 1e3),
        ("weight_read_gb", 1e3),
        ("weight_read_gb", 1e-3),
    ],
)
@pytest.mark.parametrize("hardware", ["A100-80GB-SXM", "SomeGPU-X"])
def test_units_off_by_a_thousand_are_refused(column, factor, hardware):
    """TB/s for GB/s, MB for GB, requests for tokens: refused by line, never scored."""
    right = {"bandwidth_gbs_per_device": 2039, "tok_s_per_user": 85, "weight_read_gb": 15.009}
    bad = {"hardware": hardware, "weight_read_gb": "15.009", column: repr(right[column] * factor)}
    report = quick_score({**GOOD, "weight_read_gb": "15.009"}, bad)
    assert report.overall[0].rows == 1
    assert report.refused[0].startswith("line 3: ")
    assert column in report.refused[0]


def test_names_never_seen_are_predicted_all_the_same():
    """A new device, engine, model and source dropped: the row's own numbers carry the prediction."""
    report = quick_score(
        {
            "hardware": "Accelerator-9000",
            "framework": "MyEngine 1.0",
            "model": "Other-13B",
            "source": "new",
            "params_b": "13",
            "weight_read_gb": "25.7",
            "kv_bytes_per_token": "819200",
            "tok_s_per_user": "50",
        }
    )
    assert report.refused == ()
    assert report.overall[0].rows == 1
    assert report.overall[0].median_error < 0.5


@pytest.mark.parametrize(
    ("name", "bits"),
    [("4.25bpw EXL2", 4.75), ("nf4", 4.5), ("q4f16_1", 4.5), ("IQ4_XS", 4.5), ("8-bit", 8.5)],
)
def test_formats_never_seen_are_read_from_their_name(name, bits):
    """A new quantisation refused or taken for sixteen bits."""
    found = table_of({"precision": name}).rates[0].precision
    assert found.bits == bits
    assert found.storage_only


def test_a_format_without_a_clue_is_read_from_its_bytes():
    """Bytes in the row ignored: 4 GB for 7.5 billion weights are a bit over four bits."""
    found = table_of({"precision": "mystery", "weight_read_gb": "4.0"}).rates[0].precision
    assert found.bits == pytest.approx(4.26, abs=0.02)


def test_what_is_not_known_widens_the_interval():
    """The same certainty about a stranger: unknown device and engine give wider intervals."""
    known, engine, device = (
        quick_score({"source": "new", **change}).points[0][3]
        for change in ({}, {"framework": "MyEngine 1.0"}, {"hardware": "Accelerator-9000"})
    )
    assert engine > known
    assert device > known


def test_a_size_is_enough_for_an_unknown_model():
    """No shape, no bytes: parameters and format give them; nothing at all is refused by line."""
    assert table_of({"model": "Other-13B", "params_b": "13"}).rates[0].weight_read_gb == pytest.approx(
        26, rel=0.1
    )
    with pytest.raises(K2ReproError, match="line 2.*no size"):
        table_of({"model": "Other"})


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("4x H100-SXM5-80GB", "H100-SXM"),
        ("A100-80GB", "A100-80GB-SXM"),
        ("Tesla V100-SXM2-32GB", "V100"),
        ("L40", "L40"),
        ("RTX 4090 Laptop GPU", "RTX4090-Laptop"),
        ("RTX 4090 D", "RTX4090D"),
        ("H100 NVL", "H100-NVL"),
        ("RTX 3080 Laptop GPU", "RTX3080-Laptop"),
        ("RTX 3080 Ti Laptop GPU", None),
        ("MacBook Pro M4 Max", "Apple-M4Max"),
        ("Apple M4 Max", "Apple-M4Max"),
        ("Core Ultra 9 185H CPU", None),
        ("RTX3060 via Pi CM5 PCIe x1", "RTX3060"),
        ("Apple-M2Max-CPU", None),
        ("Ryzen-9-5950X", None),
    ],
)
def test_device_names_of_tables_are_understood(name, meaning):
    """L40 read as L4, or the CPU of a chip as its GPU."""
    count = str(split_count(name)[0])
    row = {"hardware": name, "n_devices": count, "bandwidth_gbs_per_device": "100"}
    device = table_of(row).rates[0].device
    assert (device.name == meaning) if meaning else (device.source == "")


def test_core_counts_and_halves_of_packages_are_honoured():
    """A 30-core chip predicted with 38 cores, a GCD with a whole MI250X."""
    rows = table_of({"hardware": "Apple-M2Max-30c"}, {"hardware": "MI250X-GCD"}).rates
    assert rows[0].device.execution_units == 30
    assert rows[1].device.execution_units == 110
    assert rows[1].device.capacity_gb == 64


def test_the_report_is_text_and_json(tmp_path):
    """A report that hides refusals, or JSON with nan: both forms carry every number."""
    path = tmp_path / "rates.csv"
    path.write_text("\n".join(csv_lines(GOOD, {"batch": "none"})) + "\n", "utf-8")
    text = score_rates_file(path)
    assert "line 3: batch = 'none'" in text
    assert "LLM-Viewer formulas" in text
    data = json.loads(score_rates_file(path, as_json=True))
    assert data["overall"][0]["rows"] == 1
    assert data["refused"][0].startswith("line 3")


def test_rendering_does_not_change_numbers():
    """Numbers typed twice: text and JSON of one report agree."""
    report = quick_score(GOOD, {"tok_s_per_user": "60"})
    error = json.loads(render_json(report))["overall"][0]["median_error"]
    assert f"{100 * error:.1f} %" in render_text(report)
