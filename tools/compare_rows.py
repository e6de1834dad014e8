"""Compare rows, results that ship, and verdicts with those of a commit: what a rebuild must not move.

    python tools/compare_rows.py 4d28ee7 [--rows FOLDER]

Rows are compared field by field, but for `code_hash`, which changes with the code on purpose; weights, curves
and scores by their SHA-256 in SHA256SUMS; verdicts as the ledger draws them from both sets of rows. Says what
differs, and ends with 1 if anything does.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from k2repro.paper.ledger import evaluate_claims
from k2repro.results.rows import load_rows

ROOT = Path(__file__).resolve().parents[1]
ROWS = "results/laptop/rows"
SUMS = "artifacts/laptop/SHA256SUMS"
IGNORED = ("code_hash",)
# Files whose bytes are results; manifests say who made them, and change with the keys.
RESULTS = (
    "model.safetensors",
    "curve.jsonl",
    "curve.jsonl.gz",
    "records.jsonl",
    "history.json",
    "pool.jsonl.gz",
)


def shown(commit: str, path: str) -> str:
    """A file as it was at a commit."""
    command = ["git", "-C", str(ROOT), "show", f"{commit}:{path}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def row_files(commit: str) -> list[str]:
    """The row files that stood at a commit."""
    command = ["git", "-C", str(ROOT), "ls-tree", "--name-only", commit, f"{ROWS}/"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def rows_of(text: str) -> dict[str, dict[str, object]]:
    """Rows by id, without what may change."""
    rows = (json.loads(line) for line in text.splitlines())
    return {row["id"]: {name: value for name, value in row.items() if name not in IGNORED} for row in rows}


def row_differences(commit: str, folder: Path) -> list[str]:
    """Every row that is missing, new or different, by notebook."""
    found = []
    for path in row_files(commit):
        name = Path(path).name
        if not (folder / name).is_file():
            found.append(f"{name}: was not built here")
            continue
        before, here = rows_of(shown(commit, path)), rows_of((folder / name).read_text())
        for row in sorted(before.keys() | here.keys()):
            old, new = before.get(row), here.get(row)
            if old != new:
                fields = [
                    key for key in old or {} if new is not None and old is not None and old[key] != new[key]
                ]
                found.append(
                    f"{name}: {row}: {'missing' if new is None else 'new' if old is None else fields}"
                )
    return found


def results_of(sums: str) -> list[str]:
    """Hashes of the results that ship, with the names of their files."""
    lines = (line.split("  ") for line in sums.splitlines())
    return sorted(f"{digest} {Path(path).name}" for digest, path in lines if Path(path).name in RESULTS)


def weight_differences(commit: str) -> list[str]:
    """Results that shipped and ship no more, or the other way round; a file may have become several."""
    before = set(results_of(shown(commit, SUMS)))
    here = set(results_of((ROOT / SUMS).read_text()))
    return [f"shipped no more: {each}" for each in sorted(before - here)] + [
        f"ships anew: {each}" for each in sorted(here - before)
    ]


def verdict_differences(commit: str, folder: Path) -> list[str]:
    """Claims whose verdict moved."""
    with tempfile.TemporaryDirectory() as old:
        for path in row_files(commit):
            (Path(old) / Path(path).name).write_text(shown(commit, path))
        before = {each.claim.id: each.verdict for each in evaluate_claims(load_rows(Path(old)))}
    here = {each.claim.id: each.verdict for each in evaluate_claims(load_rows(folder))}
    return [
        f"verdict of {name}: {before.get(name)} -> {here.get(name)}"
        for name in before | here
        if before.get(name) != here.get(name)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit", help="what to compare with")
    parser.add_argument(
        "--rows", type=Path, default=ROOT / ROWS, help="folder of rows, default the committed one"
    )
    options = parser.parse_args()
    parts = {
        "rows": row_differences(options.commit, options.rows),
        "weights, curves and scores": weight_differences(options.commit),
        "verdicts": verdict_differences(options.commit, options.rows),
    }
    for name, found in parts.items():
        print(f"{name}: {'all as before' if not found else f'{len(found)} differ'}")
        for line in found:
            print(f"  {line}")
    return int(any(parts.values()))


if __name__ == "__main__":
    sys.exit(main())
