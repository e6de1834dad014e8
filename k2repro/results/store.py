"""Which artifacts the current run may use, and which of them ship.

A reader and `make notebooks` start from the artifacts in `artifacts/<profile>/`, so that a notebook opens in
seconds. `make reproduce` trusts none of them: it rebuilds everything in its own cache, from which a stopped
run resumes.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.processes import environment
from k2repro.results.artifacts import ArtifactStore, Recipe, damage_of
from k2repro.results.atomic import write_text
from k2repro.results.hashing import hash_file
from k2repro.results.places import Places, writable_folder
from k2repro.results.shipped import SUMS, shipped_files

REBUILD = "K2REPRO_REBUILD"
# The notebook that is being executed, so that its marks can be renewed with it.
NOTEBOOK = "K2REPRO_NOTEBOOK"
# Which notebook ships which artifact, beside the artifacts.
LISTING = "SHIPS"
# Everything that ships, in bytes; a clone is for thirty laptops.
SHIPPED_LIMIT = 12_000_000


def open_store(profile: str) -> ArtifactStore:
    """The store of the current run: shipped artifacts count unless everything is to be rebuilt."""
    places = Places.find()
    shipped = None if os.environ.get(REBUILD) else places.shipped_artifacts(profile)
    return ArtifactStore(places.cache / "artifacts", shipped=shipped)


def rebuilding() -> AbstractContextManager[None]:
    """Inside, shipped artifacts are not looked at; kernels that are started inherit it."""
    return environment({REBUILD: "1"})


def ship(recipe: Recipe) -> None:
    """Mark an artifact as one that readers need; `make notebooks` copies it into the repository."""
    folder = marks_folder(writable_folder(), os.environ.get(NOTEBOOK, "interactive"))
    write_text(folder / f"{recipe.kind}--{recipe.key}", "")


def marks_folder(run_folder: Path, notebook: str) -> Path:
    """Where the marks of one notebook stand; emptied before each run, so that no older recipe ships."""
    return run_folder / "ships" / notebook


def marks_of(run_folder: Path) -> dict[str, set[str]]:
    """Artifacts (kind/key) that were marked, by notebook of a run; a notebook may have marked none."""
    return {
        folder.name: {mark.name.replace("--", "/") for mark in folder.iterdir()}
        for folder in sorted((run_folder / "ships").glob("*"))
    }


def listed(target: Path) -> dict[str, set[str]]:
    """What ships already, by notebook."""
    found: dict[str, set[str]] = {}
    listing = target / LISTING
    for line in listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else ():
        notebook, _, artifact = line.partition("  ")
        found.setdefault(notebook, set()).add(artifact)
    return found


def publish_artifacts(run_folder: Path, store: ArtifactStore, target: Path) -> int:
    """Copy what was marked to `target`, remove what is no longer wanted, list all hashes; bytes shipped.

    Of notebooks that the run did not execute, what shipped before stays.
    Raises K2ReproError when a marked artifact is nowhere, or when all together exceed SHIPPED_LIMIT.
    """
    by_notebook = listed(target) | marks_of(run_folder)
    wanted = set().union(*by_notebook.values())
    for artifact in sorted(wanted):
        place, own = target / artifact, store.root / artifact
        if place.is_dir() and damage_of(place) is None:
            continue
        if not own.is_dir():
            raise K2ReproError(f"artifact {artifact} was marked to ship but is not in {store.root}")
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(own, place)
    for folder in [path for path in target.glob("*/*") if path.is_dir()]:
        if folder.relative_to(target).as_posix() not in wanted:
            shutil.rmtree(folder)
    _write_lists(target, by_notebook)
    size = sum(path.stat().st_size for path in shipped_files(target))
    if size > SHIPPED_LIMIT:
        raise K2ReproError(f"{target} would hold {size:,} bytes: must not exceed {SHIPPED_LIMIT:,}")
    return size


def list_shipped(target: Path, renamed: Mapping[str, Sequence[str]]) -> None:
    """Write the lists of what ships anew, after artifacts got other names (see `k2repro.lab.adopt`).

    renamed: the new kind/key of each old one; what still stands under its old name stays.
    """
    by_notebook = {
        name: {
            new
            for each in ships
            for new in (renamed.get(each, (each,)) if not (target / each).is_dir() else (each,))
        }
        for name, ships in listed(target).items()
    }
    _write_lists(target, by_notebook)


def _write_lists(target: Path, by_notebook: Mapping[str, set[str]]) -> None:
    """Which notebook ships what, and the hash of every file."""
    listing = [f"{name}  {each}\n" for name, ships in sorted(by_notebook.items()) for each in sorted(ships)]
    write_text(target / LISTING, "".join(listing))
    files = shipped_files(target)
    if files:
        lines = [f"{hash_file(path)}  {path.relative_to(target).as_posix()}\n" for path in files]
        write_text(target / SUMS, "".join(lines))
