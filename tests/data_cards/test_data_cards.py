"""Data cards: what a card counts is what files hold or code makes, and every shipped data file has a card."""

import ast
import csv
import hashlib
import importlib.util
import itertools
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "data_cards.py"
CARDS = sorted((ROOT / "data_cards").glob("*.md"))
SECTIONS = ("What it is", "What it is for", "Known gaps and traps", "Licence", "Counts")


def load_tool():
    spec = importlib.util.spec_from_file_location("data_cards_tool", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load_tool()
# Cards of problems that are generated; the others are about files.
GENERATED = [ROOT / "data_cards" / name for name in ("programs.md", "variables.md")]


def counted(card: Path, kind: str = "file") -> list[dict]:
    """The machine-readable entries between the markers, read without the tool."""
    part = card.read_text().split("<!-- begin counted -->")[1]
    block = re.search(r"```toml\n(.*?)```", part, re.S)
    assert block is not None
    return tomllib.loads(block[1])[kind]


def rows_of(path: Path) -> int:
    """Rows of a data file, counted without the tool."""
    if path.suffix == ".json":
        return len(json.loads(path.read_text()))
    if path.suffix == ".toml":
        return len(tomllib.loads(path.read_text()))
    with path.open(newline="") as lines:
        return sum(1 for _ in csv.reader(lines)) - 1


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small tree with one data file and its card, freshly written."""
    data = tmp_path / "k2repro" / "paper" / "data"
    data.mkdir(parents=True)
    (data / "facts.csv").write_text('row,confidence\n"a,\nb",verbatim\nc,missing\nd,verbatim\n')
    (tmp_path / "data_cards").mkdir()
    text = '# Card\n\n```toml\nfiles = ["k2repro/paper/data/*.csv"]\ncount = ["confidence"]\n```\n'
    card = f"{text}\nWords stay.\n\n{tool.BEGIN}\n{tool.END}\n\nAlso these.\n"
    (tmp_path / "data_cards" / "facts.md").write_text(card)
    assert tool.run(tmp_path, write=True) == []
    return tmp_path


def test_cards_exist_for_facts_presets_rates_and_devices() -> None:
    """An empty loop: the tests below see at least the four cards of the data that ships today."""
    names = {card.stem for card in CARDS}
    assert names >= {"paper_tables", "model_presets", "decode_rates", "hardware", "variables", "programs"}


@pytest.mark.parametrize("card", sorted(set(CARDS) - set(GENERATED)), ids=lambda card: card.stem)
def test_hashes_and_rows_are_those_of_the_files(card: Path) -> None:
    """A data file edited without its card: hash and row count are compared here, not by the tool."""
    for entry in counted(card):
        path = ROOT / entry["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"], (
            f"{entry['path']} changed: run .venv/bin/python tools/data_cards.py --write"
        )
        assert rows_of(path) == entry["rows"]


def test_confidence_counts_of_a_file_are_right() -> None:
    """Wrong tallies in the table: one file is counted here by hand."""
    path = ROOT / "k2repro" / "paper" / "data" / "table1_main_results.csv"
    with path.open(newline="") as lines:
        counts = Counter(row["confidence"] for row in csv.DictReader(lines))
    [line] = [
        line
        for line in (ROOT / "data_cards" / "paper_tables.md").read_text().splitlines()
        if line.startswith(f"| `{path.name}` |")
    ]
    printed = dict(item.rsplit(" ", 1) for item in line.split(" | ")[2].rstrip(" |").split(" · "))
    assert printed == {word: str(count) for word, count in counts.items()}


@pytest.mark.slow  # it makes and compares several thousand problems
def test_the_command_finds_nothing_to_say() -> None:
    """Stale or missing cards: `--check` passes on this checkout, every shipped data file is carded."""
    result = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.stem)
def test_every_card_says_the_same_five_things(card: Path) -> None:
    """A card that counts but does not warn: purpose, gaps and licence are part of each."""
    text = card.read_text()
    missing = [section for section in SECTIONS if section not in text]
    assert missing == []


def test_lengths_and_duplicates_of_a_tier_are_right() -> None:
    """Wrong statistics: the easiest tier is counted again, its near-duplicates by a slow way of its own."""
    from k2repro.mini import tokenizer, variables
    from k2repro.mini.data import reference_rows

    [entry] = [
        entry
        for entry in counted(ROOT / "data_cards" / "variables.md", "generated")
        if entry["tier"] == "tier-1"
    ]
    test = variables.problems("tier-1", "test", entry["test"])
    train = variables.problems("tier-1", "train", entry["train"])
    for style in ("searching", "direct"):
        lengths = sorted(len(tokenizer.encode(row["completion"])) for row in reference_rows(test, style))
        assert (entry[f"{style}_median"], entry[f"{style}_longest"]) == (lengths[249], lengths[-1])
    assert entry["exact"] == 0
    seen = {shape for problem in train for shape in shapes(variables.system_of(problem))}
    assert entry["near"] == sum(not seen.isdisjoint(shapes(variables.system_of(problem))) for problem in test)


def shapes(system) -> set[str]:
    """What is asked as formulas over numbered given values, in every numbering of the used ones."""

    def formula(name: str, number: dict[str, int]) -> str:
        if name in number:
            return str(number[name])
        sign, *operands = system.definitions[name]
        parts = [formula(operand, number) for operand in operands]
        return f"({sign.join(sorted(parts) if sign in '+*' else parts)})"

    used = sorted({o for name in system.needed for o in system.definitions[name][1:] if o in system.values})
    return {
        " ".join(sorted(formula(name, dict(zip(used, numbers, strict=True))) for name in system.asked))
        for numbers in itertools.permutations(range(len(used)))
    }


def test_all_tasks_of_programs_are_counted() -> None:
    """A total that is not the sum of its splits: at most 210 choices of inputs for 130 functions."""
    [entry] = counted(ROOT / "data_cards" / "programs.md", "generated")
    tasks = [entry[f"all_{split}_tasks"] for split in ("train", "validation", "test")]
    assert 25_000 < sum(tasks) <= 130 * 210
    assert tasks[0] / sum(tasks) == pytest.approx(0.8, abs=0.02)
    assert entry["exact"] == 0
    assert entry["near"] <= entry["same_function"] <= entry["test"]


def generated_card(root: Path, code: str) -> Path:
    card = root / "data_cards" / "made.md"
    card.write_text(f'# Card\n\n```toml\ncode = "{code}"\n```\n\n{tool.BEGIN}\n{tool.END}\n')
    return card


def test_a_card_of_generated_problems_holds_what_its_function_counts(checkout: Path, monkeypatch) -> None:
    """A card that is never computed again: its function is called, and a changed entry makes it stale."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "made_for_a_test", raising=False)
    module = checkout / "made_for_a_test.py"
    module.write_text('def count():\n    return [{"tier": "t", "near": 3}], "| a table |"\n')
    card = generated_card(checkout, "made_for_a_test:count")
    assert tool.run(checkout, write=True) == []
    assert counted(card, "generated") == [{"tier": "t", "near": 3}]
    assert "| a table |" in card.read_text()
    card.write_text(card.read_text().replace("near = 3", "near = 2"))
    assert tool.run(checkout, write=False) == ["made.md: its counted part is stale; run with --write"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("no_such_module_here:count", "cannot import no_such_module_here:count: .*usual cause: no"),
        ("json:count", "json:count: module 'json' has no attribute 'count'"),
        ('json:dumps"\nfiles = "x', "holds code beside files or count"),
    ],
)
def test_a_card_without_its_function_is_named(checkout: Path, monkeypatch, code: str, message: str) -> None:
    """A traceback instead of a card's name: missing modules and functions are said with the card."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    generated_card(checkout, code)
    [problem] = tool.run(checkout, write=True)
    assert problem.startswith("made.md: ") and re.search(message, problem)


def test_writing_twice_changes_nothing_and_words_stay(checkout: Path) -> None:
    """A generator that drifts: the second write is the identity, and text around it is untouched."""
    card = checkout / "data_cards" / "facts.md"
    once = card.read_text()
    assert tool.run(checkout, write=True) == []
    assert card.read_text() == once
    assert "Words stay." in once and once.endswith("Also these.\n")
    assert "verbatim 2 · missing 1" in once
    assert counted(card)[0]["rows"] == 3


def test_a_changed_value_makes_the_card_stale(checkout: Path) -> None:
    """Equal counts, other content: one changed letter is noticed through the hash."""
    data = checkout / "k2repro" / "paper" / "data" / "facts.csv"
    data.write_text(data.read_text().replace("c,missing", "x,missing"))
    assert tool.run(checkout, write=False) == ["facts.md: its counted part is stale; run with --write"]


def test_a_data_file_without_a_card_is_named(checkout: Path) -> None:
    """Data that slips in unexplained: a new file outside every glob is reported; notes are not."""
    data = checkout / "k2repro" / "paper" / "data"
    (data / "extra.json").write_text("{}")
    (data / "README.md").write_text("words")
    assert tool.run(checkout, write=False) == [
        "k2repro/paper/data/extra.json: no card in data_cards/ declares it"
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("facts.csv", "gone.csv", "no file matches 'k2repro/paper/data/gone.csv'"),
        ('["confidence"]', '["trust"]', r"no file has a column \['trust'\]"),
        ("count =", "counts =", r"holds \['counts'\]; known are files and count, or code"),
        ("files =", "# files =", "must hold files"),
        ("```toml", "```", "no ```toml block"),
        ('"]\n', "\n", "its first toml block cannot be read"),
        ("<!-- end counted -->", "", "once each"),
    ],
)
def test_a_broken_card_is_named(checkout: Path, old: str, new: str, message: str) -> None:
    """A card that checks nothing: wrong glob, column, key, block or marker is an error."""
    card = checkout / "data_cards" / "facts.md"
    text = card.read_text().replace("data/*.csv", "data/facts.csv").replace(old, new, 1)
    card.write_text(text)
    [problem] = tool.run(checkout, write=True)
    assert re.search(message, problem)
    assert problem.startswith("facts.md: ")
    assert card.read_text() == text


def test_the_tool_needs_the_standard_library_only() -> None:
    """A card that cannot be checked before the set-up: every import is of the standard library."""
    nodes = list(ast.walk(ast.parse(TOOL.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
