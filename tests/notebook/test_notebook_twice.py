"""Every shipped notebook, executed twice in fresh kernels from nothing, gives equal bytes."""

from pathlib import Path

import pytest

from k2repro.notebook.build import build, is_fresh
from k2repro.notebook.parameters import resolve_parameters
from k2repro.notebook.source import find_source
from k2repro.notebook.stamp import make_stamp
from k2repro.reproduce import planned
from k2repro.results import Places, Profile, load_profile
from k2repro.results.fingerprint import fingerprint
from k2repro.results.rows import read_rows


@pytest.mark.slow
def test_two_runs_of_every_notebook_agree_to_the_byte(tmp_path):
    """Catches a notebook that depends on time, on a global generator, or on what ran before it.

    What `make reproduce PROFILE=smoke` left behind is the first run, if it is whole and would be made so now.
    """
    places, profile = Places.find(), load_profile("smoke")
    names, one, two = planned(profile, places), places.build("smoke"), tmp_path / "two"
    if not all(is_built(name, profile, places, one) for name in names):
        one = tmp_path / "one"
    for name in names:
        for folder in (one, two):
            build(name, profile, places, folder, progress=False)
        for file in (f"notebooks/{name}.ipynb", f"rows/{name}.jsonl"):
            assert (one / file).read_bytes() == (two / file).read_bytes(), file


def is_built(name: str, profile: Profile, places: Places, folder: Path) -> bool:
    """Whether a build folder holds a notebook, undamaged, of this code and this machine's fingerprint."""
    source = find_source(places, name)
    parameters = resolve_parameters(source, profile.name, profile.plan(name).parameters)
    if not is_fresh(folder, make_stamp(source, places, profile.name, parameters, folder / "rows")):
        return False
    made_on = {row.fingerprint for row in read_rows(folder / "rows" / f"{name}.jsonl").values()}
    return made_on == {fingerprint(profile.threads)}
