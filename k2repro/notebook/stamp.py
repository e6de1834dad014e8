"""Stamps: what a built notebook was made of, so that a stale one is noticed.

A stamp covers the source, every k2repro module that it imports (with their data), the notebook
machine's own normaliser, the parameters, and the rows of other notebooks that it reads.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import nbformat

from k2repro.errors import K2ReproError
from k2repro.results.hashing import code_hash, hash_file, hash_value
from k2repro.results.places import Places
from k2repro.results.profiles import load_profile
from k2repro.results.rowbook import reads_rows

KEY = "k2repro"
MACHINE = tuple(
    f"notebook/{name}.py" for name in ("normalise", "execute", "source", "parameters", "folding", "student")
)


@dataclass(frozen=True)
class Stamp:
    """Hashes of everything that shapes a built notebook."""

    notebook: str
    profile: str
    source_hash: str
    code_hash: str
    machine_hash: str
    params_hash: str
    rows_hash: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def make_stamp(
    source: Path, places: Places, profile: str, parameters: Mapping[str, Any], rows_folder: Path
) -> Stamp:
    """The stamp that `source` has now, with the rows that lie in `rows_folder`."""
    rows = {}
    if reads_rows(source):
        rows = {
            path.stem: hash_file(path)
            for path in sorted(rows_folder.glob("*.jsonl"))
            if (places.sources / f"{path.stem}.py").is_file()
            and not reads_rows(places.sources / f"{path.stem}.py")
        }
    return Stamp(
        notebook=source.stem,
        profile=profile,
        source_hash=hash_file(source)[:16],
        code_hash=code_hash(source, places.package),
        machine_hash=hash_value([hash_file(places.package / name) for name in MACHINE]),
        params_hash=hash_value({**parameters, **_scale(source, places, profile)}),
        rows_hash=hash_value(rows),
    )


def read_built(path: Path) -> nbformat.NotebookNode:
    """A built notebook; raises K2ReproError for one that was cut short or is no notebook."""
    try:
        return nbformat.read(path, as_version=4)
    except (ValueError, LookupError, TypeError, RecursionError, nbformat.ValidationError) as error:
        why = " ".join(str(error).split())[:80]
        raise K2ReproError(
            f"{path.name} is no notebook ({why}). Usual cause: a clone or an editor that was cut short"
        ) from None


def _scale(source: Path, places: Places, profile: str) -> dict[str, Any]:
    """How large the experiments of a profile are, for notebooks that run or read any."""
    if "k2repro.lab" not in source.read_text(encoding="utf-8"):
        return {}
    return {"lab": dict(load_profile(profile, places.profiles).lab)}


def read_stamp(path: Path) -> Stamp:
    """The stamp in a built notebook; raises K2ReproError when it has none."""
    content = read_built(path).metadata.get(KEY)
    if not isinstance(content, dict) or set(content) != {each.name for each in fields(Stamp)}:
        raise K2ReproError(f"{path.name} carries no stamp. Usual cause: saved by hand; run `make notebooks`")
    return Stamp(**content)


def differences(built: Stamp, now: Stamp) -> list[str]:
    """In words, what changed since the notebook was built; empty when it is fresh."""
    words = {
        "source_hash": "its source",
        "code_hash": "code or data that it imports",
        "machine_hash": "the notebook machine",
        "params_hash": "its parameters",
        "rows_hash": "rows that it reads",
        "profile": "the profile",
        "notebook": "its name",
    }
    old, new = built.as_dict(), now.as_dict()
    changed = [words[key] for key in words if old[key] != new[key]]
    # The code hash includes the source, so a changed source alone is named once.
    if old["source_hash"] != new["source_hash"] and "code or data that it imports" in changed:
        changed.remove("code or data that it imports")
    return changed
