"""Times of reading are made fresh before programs run, so that none of them can leave a message there."""

import os
import types

import pytest

from k2repro.verify import atimes
from k2repro.verify.level import LevelMissing

RELATIME, NOATIME = 4096, 1024


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small library whose files were read and changed long ago, on a file system with relatime."""
    monkeypatch.setattr(os, "statvfs", lambda path: types.SimpleNamespace(f_flag=RELATIME))
    (tmp_path / "below").mkdir()
    for name in ("one", "below/two", "hidden"):
        (tmp_path / name).write_text("text")
        os.utime(tmp_path / name, (1, 2))
    return tmp_path


def test_every_readable_file_is_read_first(folder):
    """Catches a file that is left out: a program could read it, and the next one would see that."""
    atimes.settle([str(folder)], [str(folder / "hidden")])
    fresh = {name: (folder / name).stat().st_atime > 1 for name in ("one", "below/two", "hidden")}
    if not fresh["one"]:
        pytest.skip("this file system records no times of reading")
    assert fresh == {"one": True, "below/two": True, "hidden": False}
    before = (folder / "one").stat().st_atime_ns
    (folder / "one").read_text()
    assert (folder / "one").stat().st_atime_ns == before


def test_a_file_system_that_records_each_reading_has_no_such_level(folder, monkeypatch):
    """Catches a level that starts although whatever is read there leaves a trace."""
    monkeypatch.setattr(os, "statvfs", lambda path: types.SimpleNamespace(f_flag=0))
    with pytest.raises(LevelMissing, match="records each reading.*noatime"):
        atimes.settle([str(folder)], [])


def test_a_file_system_that_records_none_is_left_alone(folder, monkeypatch):
    """Catches minutes spent on reading a library whose times never change."""
    monkeypatch.setattr(os, "statvfs", lambda path: types.SimpleNamespace(f_flag=NOATIME))
    atimes.settle([str(folder)], [])
    assert (folder / "one").stat().st_atime == 1
