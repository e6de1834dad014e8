"""CONTRIBUTING.md: what it tells people to write is accepted by the code that reads it."""

import ast
import re
import tomllib
from pathlib import Path

from k2repro.paper import load_facts
from k2repro.paper.claims import read_claims
from k2repro.results import load_profile, profile_names
from k2repro.results.fingerprint import fingerprint
from k2repro.results.rowbook import RowBook

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
TOML = re.findall(r"```toml\n(.*?)```", TEXT, re.S)


def test_the_claim_is_one_that_the_ledger_reads() -> None:
    """An example that the ledger refuses: keys, facts and predicate of the block exist."""
    [block] = [text for text in TOML if "[[claim]]" in text]
    [claim] = read_claims(block, load_facts())
    assert claim.predicate == "all_higher"


def test_the_profile_is_one_that_loads(tmp_path: Path) -> None:
    """An example with an unknown key: the block is saved under its name and loaded."""
    [block] = [text for text in TOML if "budget_seconds" in text]
    name = tomllib.loads(block)["name"]
    (tmp_path / f"{name}.toml").write_text(block)
    plan = load_profile(name, tmp_path).plan("01_architecture")
    assert plan.parameters == {"context_length": 2048}
    assert name not in profile_names()


def test_the_row_is_one_that_can_be_added(tmp_path: Path) -> None:
    """An example with a field that rows do not have: its arguments go into an open book."""
    [block] = re.findall(r"```python\n(.*?)```", TEXT, re.S)
    [call] = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    assert ast.unparse(call.func) == "rows.add"
    positional = [ast.literal_eval(argument) for argument in call.args]
    named = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    hashes = {"params_hash": "0" * 16, "code": "0" * 16, "data": "0" * 16}
    rows = RowBook("example", profile="smoke", where=fingerprint(threads=1), folder=tmp_path, **hashes)
    rows.add(*positional, **named)
    assert rows["evaluate.tier2.pass_rate"].n == 200


def test_every_path_and_target_exists() -> None:
    """A guide to files and targets that were renamed."""
    spans = re.findall(r"`([^`\n]+)`", TEXT.replace("`table/row/column`", "a fact key"))
    invented = ("NAME", "NN")
    paths = [s for s in spans if re.fullmatch(r"[\w.]+/[\w./]*", s)]
    paths = [path for path in paths if not any(word in path for word in invented)]
    assert {"k2repro/paper/claims.toml", "data_cards/"} <= set(paths)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    targets = {span.split()[1] for span in spans if span.startswith("make ")}
    defined = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert targets and targets <= defined


def test_it_is_one_page() -> None:
    """A guide that nobody reads: at most a hundred and twenty lines."""
    assert len(TEXT.splitlines()) <= 120
