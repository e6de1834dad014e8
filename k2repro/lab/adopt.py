"""Artifacts under the keys of before: given their new keys, without making anything anew.

Until commit 14d77b7 a key was the hash of the text of the code, and one artifact held weights, curve and
records together. `old_keys.csv` says which old artifact holds what is now found under which key. Nothing is
changed in the files; a manifest says where they came from. What the code of today would make otherwise (a
numerics word was raised since, a parameter changed) is not adopted: it would be served as what it is not.
"""

import csv
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.lab import rlvr, sft
from k2repro.lab.made import Made
from k2repro.lab.rl_runs import all_runs, plan, run_named
from k2repro.lab.scale import Scale
from k2repro.results.artifacts import MANIFEST, damage_of, old_code_hash, write_manifest

TABLE = Path(__file__).with_name("old_keys.csv")
# Which files of an old artifact belong to a kind of today; weights are what no other kind takes.
FILES = {
    "history": ("history.json",),
    "curve": ("curve.jsonl",),
    "rl-records": ("records.jsonl",),
    "rl-curve": ("curve.jsonl",),
    "pool": ("pool.jsonl.gz",),
    "scores": ("pool.jsonl.gz",),
}
NO_WEIGHTS = (MANIFEST, "history.json", "curve.jsonl", "records.jsonl")
SWITCH = "switch"


@dataclass(frozen=True)
class Adopted:
    """What became of an old artifact. news: kind/key of each part; reason: why there is none."""

    old: str
    news: tuple[str, ...]
    reason: str = ""

    def __str__(self) -> str:
        became = f"adopted as {', '.join(self.news)}" if self.news else f"will be rebuilt: {self.reason}"
        return f"{self.old}: {became}"


def old_artifacts(root: Path) -> list[str]:
    """kind/key of every artifact in a store that stands under a key of before."""
    return sorted(
        path.parent.relative_to(root).as_posix()
        for path in root.glob(f"*/*/{MANIFEST}")
        if old_code_hash(path.parent) is not None
    )


def adopt(
    root: Path, things: Sequence[Made] | None = None, table: Mapping[str, Sequence[str]] | None = None
) -> list[Adopted]:
    """Give every old artifact of a store its new keys; what became of each.

    things: what may be adopted; None all that the laptop profile makes. An old artifact goes once all of its
    parts stand, so an interrupted adoption is resumed by the next. What cannot be adopted stays where it is,
    and nothing finds it any more.
    """
    known = {_address(made): made for made in (everything(Scale()) if things is None else things)}
    names = known_renames() if table is None else table
    return [_adopt(root, old, names.get(old, ()), known) for old in old_artifacts(root)]


def everything(scale: Scale) -> list[Made]:
    """All that was made under old keys, with what does not ship."""
    found = [*sft.everything(scale), *rlvr.everything(scale)]
    found += [sft.weights(name, seed, scale) for name in sft.MODELS for seed in range(scale.seeds)]
    for name, seed in all_runs(scale):
        found.append(rlvr.weights(name, seed, scale))
        if plan(run_named(name), scale).switch is not None:
            found.append(rlvr.weights_at_switch(name, seed, scale))
    return [*found, *(made.needs["pool"] for made in found if made.kind == "scores")]


def _adopt(root: Path, old: str, news: Sequence[str], known: Mapping[str, Made]) -> Adopted:
    damage = damage_of(root / old)
    if damage is not None:
        return Adopted(old, (), f"it is damaged, {damage}")
    if not news:
        return Adopted(old, (), "no artifact of today is known to hold the same")
    if any(new not in known for new in news):
        return Adopted(old, (), "a numerics word or a parameter has changed since")
    for new in news:
        if not (root / new).is_dir() or damage_of(root / new) is not None:
            _take_over(root, old, known[new])
    shutil.rmtree(root / old)
    return Adopted(old, tuple(news))


def _take_over(root: Path, old: str, made: Made) -> None:
    """Copy the part of an old artifact that a thing of today is, whole or not at all."""
    target = root / _address(made)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{made.key}.", suffix=".partial"))
    try:
        for source in _part(root / old, made):
            shutil.copyfile(source, work / source.name)
        write_manifest(work, made.recipe, {"adopted_from": old, "code_hash": old_code_hash(root / old)})
        work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _part(folder: Path, made: Made) -> list[Path]:
    """The files of an old artifact that belong to a thing. Raises K2ReproError where there is none."""
    if made.kind in FILES:
        files = [folder / name for name in FILES[made.kind]]
    elif made.name.endswith(rlvr.AT_SWITCH):
        files = sorted((folder / SWITCH).iterdir())
    else:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.name not in NO_WEIGHTS)
    missing = [path.name for path in files if not path.is_file()]
    if missing or not files:
        raise K2ReproError(f"{folder}: holds no {', '.join(missing) or 'weights'}, so it is no {made.title}")
    return files


def _address(made: Made) -> str:
    return f"{made.kind}/{made.key}"


def known_renames() -> dict[str, list[str]]:
    """Which kind/key of today hold what an old kind/key held."""
    found: dict[str, list[str]] = {}
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["old"], []).append(row["new"])
    return found
