"""Rows: the schema refuses what would make a number untraceable, and a file has one spelling."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.errors import K2ReproError
from k2repro.results import Fingerprint, Row, load_rows, read_rows, write_rows

WHERE = Fingerprint(python="3.11", torch="2.13.0", cpu_capability="AVX2", threads=2)
GOOD = Row(
    id="room.thing.value",
    value=0.416,
    unit="fraction",
    n=450,
    interval=(0.371, 0.462),
    interval_method="Wilson 95 %",
    seeds=(0, 1, 2),
    profile="laptop",
    params_hash="0" * 16,
    code_hash="1" * 16,
    data_hash="2" * 16,
    fingerprint=WHERE,
    scale="mini",
    paper_ref="Table 2",
)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"id": "Room.Thing"}, "dotted lower-case"),
        ({"id": "room..thing"}, "dotted lower-case"),
        ({"value": float("nan")}, "finite"),
        ({"value": float("inf")}, "finite"),
        ({"value": True}, "finite"),
        ({"value": "0.4"}, "finite"),
        ({"unit": ""}, "unit"),
        ({"n": 0}, "positive integer"),
        ({"n": None}, "needs n"),
        ({"interval": (0.5, 0.4)}, "interval"),
        ({"interval": None}, "go together"),
        ({"interval_method": None}, "go together"),
        ({"seeds": (0.5,)}, "seeds"),
        ({"scale": "toy"}, "scale"),
        ({"params_hash": "abc"}, "16 hexadecimal"),
    ],
)
def test_a_row_that_breaks_a_rule_is_never_made(change, named):
    """Catches a number without n, interval or hash slipping into a table."""
    with pytest.raises(K2ReproError, match=named):
        dataclasses.replace(GOOD, **change)


@settings(deadline=None, derandomize=True)
@given(
    values=st.dictionaries(
        st.from_regex(r"[a-z0-9]{1,6}(\.[a-z0-9]{1,6}){0,2}", fullmatch=True),
        st.one_of(st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False)),
        max_size=6,
    )
)
def test_rows_come_back_as_they_were_written(tmp_path_factory, values):
    """Catches a value that loses digits, or changes type, on its way through the file."""
    folder = tmp_path_factory.mktemp("rows")
    rows = [dataclasses.replace(GOOD, id=key, value=value) for key, value in values.items()]
    path = write_rows(folder / "a.jsonl", rows)
    assert read_rows(path) == {row.id: row for row in rows}
    again = write_rows(folder / "b.jsonl", list(read_rows(path).values())[::-1])
    assert again.read_bytes() == path.read_bytes()


def test_one_id_names_one_number(tmp_path):
    """Catches two cells that write different numbers under one id."""
    with pytest.raises(K2ReproError, match="stands twice"):
        write_rows(tmp_path / "a.jsonl", [GOOD, dataclasses.replace(GOOD, value=0.5)])
    assert not (tmp_path / "a.jsonl").exists()


@pytest.mark.parametrize("broken", ["{", '{"id": "a"}', "[]", "null"])
def test_a_broken_line_is_named_and_nothing_is_overwritten(tmp_path, broken):
    """Catches a half-written line being skipped, so that a table silently loses a row."""
    path = write_rows(tmp_path / "a.jsonl", [GOOD])
    path.write_text(path.read_text() + broken + "\n")
    before = path.read_bytes()
    with pytest.raises(K2ReproError, match="a.jsonl line 2"):
        load_rows(tmp_path)
    assert path.read_bytes() == before


def test_an_unknown_field_is_refused(tmp_path):
    """Catches a schema that drifted: a newer field silently dropped by an older reader."""
    record = json.loads(GOOD.as_line()) | {"comment": "x"}
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n")
    with pytest.raises(K2ReproError, match="unknown fields .'comment'"):
        load_rows(tmp_path)


def test_two_notebooks_may_not_write_one_id(tmp_path):
    """Catches a row that depends on which notebook ran last."""
    write_rows(tmp_path / "a.jsonl", [GOOD])
    write_rows(tmp_path / "b.jsonl", [GOOD])
    with pytest.raises(K2ReproError, match="already written by another notebook"):
        load_rows(tmp_path)
