"""Where a number comes from: `k2repro trace ROW_ID` names notebook, code, artifacts and claims of a row.

Two steps from any number in the report: its row id, then this.
"""

import ast
import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.paper.claims import load_claims
from k2repro.results.artifacts import read_manifest
from k2repro.results.hashing import code_files
from k2repro.results.places import Places
from k2repro.results.rows import Row, read_rows
from k2repro.results.store import listed
from k2repro.tables import Table, format_number

MOST_ARTIFACTS = 24
ROW_ID = re.compile(r"[\w.:-]+")


@dataclass(frozen=True)
class CodePlace:
    """A line that names a row: in a notebook's source, or in a function that it calls."""

    file: Path
    line: int
    function: str
    literal: int  # how many letters of the id stand there literally; the rest is filled in


def trace(row_id: str, places: Places, profile: str) -> str:
    """The origin of one row as text. Raises K2ReproError, with near names, for a row that does not exist."""
    notebook, row = _find_row(row_id, places.results(profile) / "rows")
    parts = [
        _about(row),
        f"row       results/{profile}/rows/{notebook}.jsonl",
        f"notebook  notebooks/{notebook}.ipynb, built from notebooks/src/{notebook}.py",
    ]
    files = code_files(places.sources / f"{notebook}.py", places.package)
    parts += [f"code      {place}" for place in told_code(row_id, files, places.root)]
    claims = [claim.id for claim in load_claims() if row_id in claim.needs]
    if claims:
        parts.append(f"decides   {', '.join(claims)}  (k2repro claims ID)")
    parts.append(f"report    results/{profile}/report.html, section Rows")
    return "\n".join([*parts, "", *_artifacts(row, places, profile, notebook)])


def _find_row(row_id: str, folder: Path) -> tuple[str, Row]:
    found = {path.stem: read_rows(path) for path in sorted(folder.glob("*.jsonl"))}
    for notebook, rows in found.items():
        if row_id in rows:
            return notebook, rows[row_id]
    known = [each for rows in found.values() for each in rows]
    near = difflib.get_close_matches(row_id, known, n=5, cutoff=0.4)
    hint = f" did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise K2ReproError(f"unknown row {row_id!r};{hint} {len(known)} rows stand in {folder.parent.name}/rows")


def _about(row: Row) -> str:
    spread = ""
    if row.interval is not None:
        low, high = map(format_number, row.interval)
        spread = f" [{low}, {high}] ({row.interval_method})"
    counted = "" if row.n is None else f", n = {format_number(row.n)}"
    seeds = f", seeds {', '.join(map(str, row.seeds))}" if row.seeds else ""
    return f"{row.id} = {format_number(row.value)} {row.unit}{spread}{counted}{seeds}; scale {row.scale}\n"


def told_code(row_id: str, files: Iterable[Path], root: Path) -> list[str]:
    """Lines of these files that name the row, those that spell most of it literally; empty if none does."""
    found = [place for file in files for place in code_places(row_id, file)]
    most = max((place.literal for place in found), default=0)
    best = sorted(
        {(p.file.relative_to(root).as_posix(), p.line, p.function) for p in found if p.literal == most}
    )
    return [f"{file}:{line}" + (f", {function}()" if function else "") for file, line, function in best]


def code_places(row_id: str, file: Path) -> Iterator[CodePlace]:
    """Strings of a Python file that spell a row id, whole or with parts that are filled in.

    `f"sft.pass_at_1.{tier}"` spells "sft.pass_at_1.tier-1"; a string of filled parts alone spells nothing.
    """
    if file.suffix != ".py":
        return
    for line, function, literal, pattern in _strings(file, file.stat().st_mtime_ns):
        if pattern.fullmatch(row_id):
            yield CodePlace(file, line, function, literal)


@cache
def _strings(file: Path, modified_ns: int) -> list[tuple[int, str, int, re.Pattern[str]]]:
    """Line, function, literal letters and what it spells, of each string of a file as it was at that time."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and (parts := _parts(node)):
            around = [f for f in functions if f.lineno <= node.lineno <= (f.end_lineno or f.lineno)]
            name = max(around, key=lambda f: f.lineno).name if around else ""
            pattern = re.compile("".join(".+" if part is None else re.escape(part) for part in parts))
            found.append((node.lineno, name, sum(len(part) for part in parts if part), pattern))
    return found


def _parts(node: ast.Constant | ast.JoinedStr) -> list[str | None]:
    """Literal parts of a string, None for what is filled in; empty where it could not name a row."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) and ROW_ID.fullmatch(node.value) else []
    parts = [str(v.value) if isinstance(v, ast.Constant) else None for v in node.values]
    # Dots alone, as in f"{room}.{name}", would spell every id.
    says = any(letter.isalnum() for part in parts if part for letter in part)
    return parts if says else []


def _artifacts(row: Row, places: Places, profile: str, notebook: str) -> list[str]:
    """What the notebook of a row read, narrowed to the models and seeds that the row speaks of."""
    folder = places.shipped_artifacts(profile)
    shipped = sorted(listed(folder).get(notebook, ()))
    if not shipped:
        return ["artifacts  none: computed from published facts and formulas, or measured when it runs"]
    records = []
    for artifact in shipped:
        manifest = read_manifest(folder / artifact)
        recipe, made = manifest["recipe"], manifest.get("provenance", {})
        records.append(
            {
                "kind": recipe["kind"],
                "of": recipe["params"].get("name", ""),
                "seed": recipe["params"].get("seed"),
                "artifact": f"artifacts/{profile}/{artifact}",
                "numerics": " ".join(recipe.get("numerics", ())),
                "made by": made.get("commit") or made.get("adopted_from") or "",
            }
        )
    named = [record for record in records if record["of"] and record["of"] in row.id.split(".")]
    kept = [record for record in named or records if not row.seeds or record["seed"] in row.seeds]
    head = "what its lab items left" + (", of the models in its name" if named else "")
    rest = f"\n... and {len(kept) - MOST_ARTIFACTS} more in SHIPS" if len(kept) > MOST_ARTIFACTS else ""
    return [Table.of_records(kept[:MOST_ARTIFACTS], caption=head).as_text() + rest]
