"""Every shipped notebook, executed twice in fresh kernels from nothing, gives equal bytes."""

import pytest

from k2repro.notebook.build import build
from k2repro.reproduce import planned
from k2repro.results import Places, load_profile


@pytest.mark.slow
def test_two_runs_of_every_notebook_agree_to_the_byte(tmp_path):
    """Catches a notebook that depends on time, on a global generator, or on what ran before it."""
    places, profile = Places.find(), load_profile("smoke")
    for name in planned(profile, places):
        for folder in ("one", "two"):
            build(name, profile, places, tmp_path / folder, progress=False)
        for file in (f"notebooks/{name}.ipynb", f"rows/{name}.jsonl"):
            assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
