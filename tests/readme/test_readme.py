"""README: its commands run, its paths exist, its rendered parts follow from rows."""

import re
import subprocess
import sys

import pytest

from k2repro.readme import CLAIMS_PICTURE, claims_picture, rendered_readme
from k2repro.results import Places, load_profile
from k2repro.results.blocks import fill_blocks
from k2repro.results.rows import load_rows

ROOT = Places.find().root
README = (ROOT / "README.md").read_text()
BASH = [
    line for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.splitlines() if line
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
# Run for real by .ci/run as its first commands; running them here would run the tests inside the tests.
RUN_BY_CI = ("make reproduce PROFILE=smoke", "make test")


@pytest.mark.parametrize("command", [c for c in BASH if c not in RUN_BY_CI])
def test_every_fenced_command_runs(command):
    """Catches a README that tells a stranger to type something that fails."""
    result = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()


@pytest.mark.parametrize("command", RUN_BY_CI)
def test_ci_runs_the_two_commands_first(command):
    """Catches the two promised commands drifting away from what CI proves."""
    assert command in BASH
    assert re.search(rf"^{command}$", (ROOT / ".ci" / "run").read_text(), re.M)


@pytest.mark.parametrize("code", PYTHON)
def test_every_python_block_runs(code):
    """Catches an example of a public interface that no longer exists."""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_every_link_leads_somewhere():
    """Catches a link to a renamed file."""
    links = re.findall(r"\]\(([^)#]+)\)", README)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert missing == []


def test_the_rendered_parts_are_up_to_date():
    """Catches a number typed over, or a table left from an earlier build."""
    assert rendered_readme(Places.find(), load_profile("laptop")) == README


def test_the_picture_is_drawn_from_the_committed_rows():
    """Catches a first picture that says 0 reproduced claims above a README that says 9."""
    results = Places.find().results("laptop")
    picture = results / "figures" / CLAIMS_PICTURE
    assert f"(results/laptop/figures/{CLAIMS_PICTURE})" in README
    assert picture.read_bytes() == claims_picture(load_rows(results / "rows"))


def test_a_block_that_nobody_renders_is_refused():
    """Catches a marker that keeps its old content for ever."""
    page = "<!-- begin rendered: a -->\nold\n<!-- end rendered: a -->"
    assert fill_blocks(page, {"a": "new"}) == page.replace("old", "new")
    with pytest.raises(ValueError, match="unknown rendered block 'a'"):
        fill_blocks(page, {})
    with pytest.raises(ValueError, match="no markers"):
        fill_blocks(page, {"a": "new", "b": "new"})
