"""Profiles hold parameters only; anything unknown is an error, never ignored."""

import pytest

from k2repro.errors import K2ReproError
from k2repro.results import Places, load_profile, profile_names

GOOD = """
name = "p"
description = "d"
threads = 2
[notebooks.01_a]
budget_seconds = 10
budget_memory_mb = 100
parameters = { size = 3 }
"""


@pytest.fixture
def profiles(tmp_path):
    (tmp_path / "p.toml").write_text(GOOD)
    return tmp_path


def test_a_profile_reads_back(profiles):
    """Catches a parameter lost between the file and the run."""
    profile = load_profile("p", profiles)
    assert profile.plan("01_a").parameters == {"size": 3}
    assert profile.threads == 2


def test_an_unknown_profile_lists_those_that_exist(profiles):
    """Catches a typo that runs the default instead."""
    with pytest.raises(K2ReproError, match=r"unknown profile 'q'.*Known: p"):
        load_profile("q", profiles)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("threads = 2", "threads = 2\nthread = 3", "unknown key in p.toml 'thread'"),
        ("budget_seconds = 10", "budget_seconds = 10\nskip = true", "unknown key.*'skip'"),
        ("budget_seconds = 10\n", "", "lacks the key 'budget_seconds'"),
        ("threads = 2", 'threads = "2"', "not of type int"),
        ("threads = 2", "threads = 0", "at least 1"),
        ('name = "p"', 'name = "x"', "file name must agree"),
        ("threads = 2", "threads = ", "is not TOML"),
    ],
)
def test_a_bad_profile_is_refused_with_the_place(profiles, old, new, named):
    """Catches a misspelt key that silently keeps its default."""
    (profiles / "p.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(K2ReproError, match=named):
        load_profile("p", profiles)


def test_a_notebook_that_is_not_planned_is_named(profiles):
    """Catches a notebook left out of a profile without anyone noticing."""
    with pytest.raises(K2ReproError, match="'02_b'"):
        load_profile("p", profiles).plan("02_b")


def test_the_shipped_profiles_plan_every_notebook():
    """Catches a new notebook that CI never runs."""
    places = Places.find()
    sources = {path.stem for path in places.sources.glob("[0-9][0-9]_*.py")}
    for name in profile_names(places.profiles):
        assert set(load_profile(name, places.profiles).notebooks) == sources
