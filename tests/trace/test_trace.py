"""From a number to its origin in two steps: every committed row names its code, and its artifacts."""

import re

import pytest

from k2repro.errors import K2ReproError
from k2repro.results import Places
from k2repro.results.hashing import code_files
from k2repro.results.rows import read_rows
from k2repro.trace import code_places, told_code, trace

PLACES = Places.find()
ROWS = {
    row: path.stem
    for path in sorted(PLACES.results("laptop").glob("rows/*.jsonl"))
    for row in read_rows(path)
}


def test_every_row_names_a_line_of_code_that_exists():
    """Catches a number in the report whose code nobody can find, of all the rows that are committed."""
    files = {name: code_files(PLACES.sources / f"{name}.py", PLACES.package) for name in set(ROWS.values())}
    lost = [row for row, notebook in ROWS.items() if not told_code(row, files[notebook], PLACES.root)]
    assert len(ROWS) > 500 and not lost
    text = trace(next(iter(ROWS)), PLACES, "laptop")
    file, line = re.search(r"^code      (\S+):(\d+)", text, re.M).groups()
    assert int(line) <= len((PLACES.root / file).read_text(encoding="utf-8").splitlines())


def test_a_trained_number_names_its_artifacts():
    """Catches a trace that stops before the weights: folders that exist, of that model."""
    row = "sft.pass_at_k.sft.tier-2.k8"
    text = trace(row, PLACES, "laptop")
    folders = re.findall(r"artifacts/laptop/\S+", text)
    assert folders and all((PLACES.root / folder / "manifest.json").is_file() for folder in folders)
    assert "  sft  " in text and "  direct  " not in text


def test_a_claim_that_a_row_decides_is_named():
    """Catches a row that looks as if nothing hung on it."""
    from k2repro.paper.claims import load_claims

    row = next(need for claim in load_claims() for need in claim.needs if need in ROWS)
    assert re.search(r"^decides   \S+", trace(row, PLACES, "laptop"), re.M)


def test_an_unknown_row_is_refused_with_near_ones():
    """Catches an empty answer for a misspelt id."""
    with pytest.raises(K2ReproError, match=r"did you mean.*sft\.pass_at_k\.sft\.tier-2\.k8"):
        trace("sft.pass_at_k.sft.tier-2.k9", PLACES, "laptop")


def test_a_string_of_filled_parts_alone_spells_nothing(tmp_path):
    """Catches every f-string of the package named as the origin; the twins spell the id."""
    file = tmp_path / "x.py"
    file.write_text(
        'def f(a, b):\n    any_id = f"{a}.{b}"\n    whole = "sft.a.b"\n    part = f"sft.{a}.b"\n'
        '    other = f"rlvr.{a}.b"\n    return f"{a}"\n',
        encoding="utf-8",
    )
    found = {(place.line, place.function, place.literal) for place in code_places("sft.a.b", file)}
    assert {line for line, _, _ in found} == {3, 4}
    assert all(function == "f" for _, function, _ in found)
