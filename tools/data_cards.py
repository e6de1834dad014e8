"""Keep the counted parts of data_cards/*.md true: rows, hashes, and how often each value occurs.

A card of problems that are generated names a function of the package instead of files; what that function
counts is its counted part.

    python tools/data_cards.py --check     exit 1 and say which card does not fit its files
    python tools/data_cards.py --write     rewrite the counted parts; the words are left alone

A card declares its files, or its function, in its first ```toml block; what stands between the two markers is
counted. Standard library only, so that a card of files can be checked before anything is installed.
"""

import argparse
import csv
import hashlib
import importlib
import json
import re
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- begin counted -->", "<!-- end counted -->"
# What follows these says more of one row; a count is of the words before them.
DETAILS = re.compile(r": |; | \(")
DECLARATION = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Every file that matches one of these ships with the package as data, and needs a card.
SHIPPED = ("k2repro/*/data/*", "k2repro/*/presets/*")
NOT_DATA = (".md", ".py", ".pyc")


class CardError(ValueError):
    """A card that cannot be read; the message names the card and what is missing."""


def declaration(text: str, name: str) -> dict[str, Any]:
    """What the card's first toml block declares: `files` (globs) and `count` (columns), or `code`."""
    block = DECLARATION.search(text.split(BEGIN)[0])
    if block is None:
        raise CardError(f'{name}: no ```toml block before {BEGIN} that declares files = ["..."]')
    try:
        declared = tomllib.loads(block[1])
    except tomllib.TOMLDecodeError as error:
        raise CardError(f"{name}: its first toml block cannot be read: {error}") from error
    unknown = sorted(set(declared) - {"files", "count", "code"})
    if unknown:
        raise CardError(f"{name}: its toml block holds {unknown}; known are files and count, or code")
    if "code" in declared and len(declared) > 1:
        raise CardError(f"{name}: its toml block holds code beside files or count; a card has one of them")
    if not declared.get("files") and "code" not in declared:
        raise CardError(f'{name}: its toml block must hold files = ["..."], or code = "module:function"')
    return {"files": [], "count": [], **declared}


def covered_files(declared: dict[str, Any], root: Path, name: str) -> list[Path]:
    """The files that a card speaks of, sorted; every glob must match something."""
    found: set[Path] = set()
    for pattern in declared["files"]:
        matches = {path for path in root.glob(pattern) if path.is_file()}
        if not matches:
            raise CardError(f"{name}: no file matches {pattern!r}; usual cause: it was renamed")
        found |= matches
    return sorted(found)


def read_records(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV, lines of a JSONL, or one record for each key of a JSON object."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as lines:
            return list(csv.DictReader(lines))
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line]
    if path.suffix in (".json", ".toml"):
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return [{"key": str(key)} for key in content]
    raise CardError(f"{path.name}: rows are counted in csv, jsonl, json and toml files only")


def occurrences(records: list[dict[str, str]], column: str) -> str:
    """How often each value of a column occurs, the frequent first; '' where it has no such column."""
    if not records or column not in records[0]:
        return ""
    counts = Counter(DETAILS.split(record[column])[0] or "(empty)" for record in records)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return " · ".join(f"{value} {count}" for value, count in ranked).replace("|", "\\|")


def counted_part(paths: list[Path], columns: list[str], root: Path, name: str) -> str:
    """The generated text: a toml block for machines and a table for readers."""
    entries, lines = [], []
    unseen = set(columns)
    for path in paths:
        records = read_records(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        place = path.relative_to(root).as_posix()
        entries.append(f'[[file]]\npath = "{place}"\nrows = {len(records)}\nsha256 = "{digest}"\n')
        cells = [occurrences(records, column) for column in columns]
        unseen -= {column for column, cell in zip(columns, cells, strict=True) if cell}
        lines.append(" | ".join([f"| `{path.name}`", str(len(records)), *cells]) + " |")
    if unseen:
        raise CardError(f"{name}: no file has a column {sorted(unseen)}, which `count` names")
    head = " | ".join(["| file", "rows", *columns]) + " |"
    rule = "|---" * (2 + len(columns)) + "|"
    table = "\n".join([head, rule, *lines])
    return "```toml\n" + "\n".join(entries) + "```\n\n" + table


def generated_part(code: str, root: Path, name: str) -> str:
    """The text that a function of the package counts: toml entries for machines, then what it wrote."""
    module, _, function = code.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        entries, text = getattr(importlib.import_module(module), function)()
    except ImportError as error:
        raise CardError(f"{name}: cannot import {code}: {error}; usual cause: no `make setup` yet") from error
    except AttributeError as error:
        raise CardError(f"{name}: {code}: {error}") from error
    lines = [
        "[[generated]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
        for entry in entries
    ]
    return "```toml\n" + "\n".join(lines) + "```\n\n" + text


def filled(text: str, root: Path, name: str) -> str:
    """The card with its counted part brought up to date; the words around it are kept as they are."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise CardError(f"{name}: needs {BEGIN} and, below it, {END}, once each")
    declared = declaration(text, name)
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    if "code" in declared:
        part = generated_part(declared["code"], root, name)
    else:
        part = counted_part(covered_files(declared, root, name), declared["count"], root, name)
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def uncarded(cards: dict[Path, str], root: Path) -> list[str]:
    """Shipped data files that no card speaks of."""
    covered: set[Path] = set()
    for card, text in cards.items():
        covered.update(covered_files(declaration(text, card.name), root, card.name))
    shipped = {path for pattern in SHIPPED for path in root.glob(pattern) if path.is_file()}
    missing = sorted(path for path in shipped - covered if path.suffix not in NOT_DATA)
    return [f"{path.relative_to(root)}: no card in data_cards/ declares it" for path in missing]


def run(root: Path, write: bool) -> list[str]:
    """Check or rewrite every card under root/data_cards; returns what is wrong."""
    cards = {path: path.read_text(encoding="utf-8") for path in sorted((root / "data_cards").glob("*.md"))}
    problems = []
    try:
        for path, text in cards.items():
            fresh = filled(text, root, path.name)
            if fresh != text and write:
                path.write_text(fresh, encoding="utf-8")
            elif fresh != text:
                problems.append(f"{path.name}: its counted part is stale; run with --write")
        problems += uncarded(cards, root)
    except CardError as error:
        problems.append(str(error))
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="report what does not fit; exit 1")
    mode.add_argument("--write", action="store_true", help="rewrite the counted parts")
    arguments = parser.parse_args()
    problems = run(ROOT, write=arguments.write)
    if problems:
        sys.exit("data cards: " + "\ndata cards: ".join(problems))


if __name__ == "__main__":
    main()
