"""Artifacts: weights and pools, addressed by what was declared to decide their bits.

    store = ArtifactStore(places.cache / "artifacts", shipped=places.shipped_artifacts("laptop"))
    folder = store.build(Recipe("weights", params, numerics, data_hash, parents), make)

A key names parameters, seeds, data, parents and *numerics words*: the versions that rooms give to those of
their code that decide bits (`training.NUMERICS`, `mini.TEXTS`, ...). The text of the code is not in it: code
that keeps the bits may be moved, renamed and reformatted; a test per word notices code that does not.

`make(folder)` fills an empty folder. What it wrote is listed with SHA-256 in `manifest.json`, where and by
what it was made (`provenance`) beside it, and the folder is renamed into its place only when complete: a kill
leaves nothing that looks finished.
"""

import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.results.atomic import canonical_json, write_text
from k2repro.results.hashing import hash_file, hash_value
from k2repro.results.provenance import provenance

MANIFEST = "manifest.json"
# A folder that nothing was added to for so long belongs to a process that was killed.
ABANDONED_S = 24 * 3600


@dataclass(frozen=True)
class Recipe:
    """Everything that made an artifact. Two recipes are equal exactly when their keys are.

    kind       what it is: "weights", "pool", ...; names the folder
    params     JSON-like parameters, seeds and profile sizes included
    numerics   words of the rooms whose code decides its bits, beyond those of its parents
    data_hash  of inputs that are neither parameters nor artifacts; "" without any
    parents    keys of the artifacts that it was built from, by role
    """

    kind: str
    params: Mapping[str, Any]
    numerics: tuple[str, ...] = ()
    data_hash: str = ""
    parents: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.kind.replace("-", "").replace("_", "").isalnum():
            raise K2ReproError(
                f"artifact kind {self.kind!r}: letters, digits, - and _ only; it names a folder"
            )

    @property
    def key(self) -> str:
        return hash_value(asdict(self))


class ArtifactStore:
    """A folder of artifacts. `shipped` is a second, read-only folder that is looked up when trusted."""

    def __init__(self, root: Path, shipped: Path | None = None) -> None:
        self.root = root
        self.shipped = shipped

    def path(self, recipe: Recipe) -> Path:
        return self.root / recipe.kind / recipe.key

    def find(self, recipe: Recipe) -> Path | None:
        """The artifact's folder if it is here and whole; a damaged one is moved aside first."""
        own = self.path(recipe)
        if own.is_dir():
            damage = damage_of(own)
            if damage is None:
                return own
            self._move_aside(own)
        if self.shipped is not None:
            shipped = self.shipped / recipe.kind / recipe.key
            if shipped.is_dir():
                damage = damage_of(shipped)
                if damage is None:
                    return shipped
                warnings.warn(_told_damage(shipped, damage), stacklevel=2)
        return None

    def build(self, recipe: Recipe, make: Callable[[Path], None]) -> Path:
        """The artifact of `recipe`, made by `make(folder)` unless a whole one exists.

        Raises K2ReproError when `make` writes nothing; whatever `make` raises passes through and
        leaves no trace. Two processes may build at once: the first to finish wins, both get the same. Where
        they share a work folder, they take turns (`lock`).
        """
        found = self.find(recipe)
        if found is not None:
            return found
        target = self.path(recipe)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._sweep(target.parent)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{recipe.key}.", suffix=".partial"))
        try:
            make(work)
            write_manifest(work, recipe, provenance())
            return self._take_place(work, target)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def work_folder(self, recipe: Recipe) -> Path:
        """A folder that outlives a kill, for checkpoints from which a long build resumes.

        It is keyed by the same recipe, so a changed parameter never resumes from old work.
        """
        folder = self.root / "_unfinished" / f"{recipe.kind}-{recipe.key}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def lock(self, recipe: Recipe) -> Path:
        """The lock file under which one process at a time makes an artifact (see `results.locking`)."""
        return self.root / "_unfinished" / f"{recipe.kind}-{recipe.key}.lock"

    def forget_work(self, recipe: Recipe) -> None:
        """Remove the work folder once the artifact stands."""
        shutil.rmtree(self.root / "_unfinished" / f"{recipe.kind}-{recipe.key}", ignore_errors=True)

    def _sweep(self, folder: Path) -> None:
        """Remove half-made artifacts that a kill left here, once no build can still be at work on them."""
        for left in folder.glob(".*.partial"):
            try:
                age = time.time() - left.stat().st_mtime
            except OSError:
                continue  # another process has just finished or removed it
            if age > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)

    def _take_place(self, work: Path, target: Path) -> Path:
        try:
            os.rename(work, target)
        except OSError:
            if target.is_dir() and damage_of(target) is None:
                return target
            raise
        return target

    def _move_aside(self, folder: Path) -> None:
        """Keep what is damaged, for a look; never build on it, never delete it."""
        aside = self.root / "_damaged"
        aside.mkdir(parents=True, exist_ok=True)
        number = sum(1 for _ in aside.glob(f"{folder.name}-*"))
        os.rename(folder, aside / f"{folder.name}-{number}")


def write_manifest(folder: Path, recipe: Recipe, made: Mapping[str, Any]) -> None:
    """List what lies in `folder`, and what made it. Raises K2ReproError where there is nothing.

    made: provenance, JSON-like (see `k2repro.results.provenance`); it is no part of the key.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise K2ReproError(f"artifact {recipe.kind}: its builder wrote no file")
    manifest = {
        "recipe": json.loads(canonical_json(asdict(recipe))),
        "key": recipe.key,
        "files": {path.relative_to(folder).as_posix(): hash_file(path) for path in files},
        "provenance": dict(made),
    }
    write_text(folder / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def _told_damage(folder: Path, damage: str) -> str:
    return (
        f"the shipped {folder.parent.name} {folder.name} is damaged ({damage}) and is made anew, which may "
        "take long. Usual causes: a clone that was cut short, or one that turned line ends around; "
        "`git status` and `k2repro check` say more"
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an artifact. Raises K2ReproError where there is none that can be read."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise K2ReproError(f"{folder}: {MANIFEST} is missing or unreadable: {error}") from error
    return manifest


def old_code_hash(folder: Path) -> str | None:
    """The hash of the code in a manifest that was written before keys named numerics words, else None."""
    try:
        recipe = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["recipe"]
        return None if "numerics" in recipe else str(recipe["code_hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def damage_of(folder: Path) -> str | None:
    """What is wrong with an artifact's folder, in words; None when every hash agrees."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected: dict[str, str] = manifest["files"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        return f"{MANIFEST} is missing or unreadable: {error}"
    if not isinstance(expected, dict) or not expected:
        return f"{MANIFEST} lists no files"
    for name, wanted in expected.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if hash_file(path) != wanted:
            return f"{name} does not have the hash that the manifest lists"
    return None
