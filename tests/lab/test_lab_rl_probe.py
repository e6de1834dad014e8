"""Catches: points of a curve that change on their way through a file, and half a curve read as a whole."""

import gzip

import pytest

from k2repro.errors import K2ReproError
from k2repro.lab.rl_probe import CURVE, PLAIN_CURVE, ProbePoint, read_points, write_points

POINTS = [
    ProbePoint(
        step, {"tier-1": "101"}, {"tier-1": (9, 12, 40)}, {"tier-1": (0.5, 0.25, step / 8)}, {"p/0": " m=4"}
    )
    for step in (0, 4, 8)
]


def test_points_come_back(tmp_path):
    """Catches a field that is lost, or bytes that hang on the clock: a store compares files by their hash."""
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        write_points(folder, POINTS)
        assert read_points(folder) == POINTS
    assert (tmp_path / "a" / CURVE).read_bytes() == (tmp_path / "b" / CURVE).read_bytes()
    assert (tmp_path / "a" / CURVE).read_bytes()[4:8] == bytes(4), "the time of writing stands in the file"


def test_a_curve_of_an_adopted_store_is_read(tmp_path):
    """Catches runs that train again because their curve stands there as plain text."""
    (tmp_path / PLAIN_CURVE).write_text("".join(point.line() for point in POINTS), encoding="utf-8")
    assert read_points(tmp_path) == POINTS


def test_half_a_curve_is_refused(tmp_path):
    """Catches a file that was cut short and looks like a shorter run, and a folder without any."""
    with pytest.raises(K2ReproError, match="no curve of a run"):
        read_points(tmp_path)
    write_points(tmp_path, POINTS)
    whole = (tmp_path / CURVE).read_bytes()
    (tmp_path / CURVE).write_bytes(whole[:-9])
    with pytest.raises(K2ReproError, match="no curve of a run"):
        read_points(tmp_path)
    (tmp_path / CURVE).write_bytes(whole[:12] + b"\xff" * 8 + whole[20:])
    with pytest.raises(K2ReproError, match="no curve of a run"):
        read_points(tmp_path)
    (tmp_path / CURVE).write_bytes(gzip.compress(b"[]"))
    with pytest.raises(K2ReproError, match="no curve of a run"):
        read_points(tmp_path)
