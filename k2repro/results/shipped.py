"""What ships in artifacts/<profile>/, held against its lists: a damaged file costs a training."""

from collections.abc import Iterator
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.reading import read_text
from k2repro.results.artifacts import damage_of
from k2repro.results.hashing import hash_file

SUMS = "SHA256SUMS"
Complaint = tuple[str, str]


def damages_of_shipped(folder: Path) -> Iterator[Complaint]:
    """(path, what is wrong), for every damaged, lost or unlisted file of one `artifacts/<profile>/`."""
    try:
        listed = read_sums(folder / SUMS)
    except K2ReproError as error:
        yield SUMS, str(error)
        return
    present = {path.relative_to(folder).as_posix() for path in shipped_files(folder)}
    for name in sorted(present - set(listed)):
        yield name, f"is in no line of {SUMS}"
    for name, wanted in sorted(listed.items()):
        if name not in present:
            yield name, "is missing"
        elif hash_file(folder / name) != wanted:
            yield name, f"does not have the hash that {SUMS} lists"
    for artifact in sorted(path for path in folder.glob("*/*") if path.is_dir()):
        damage = damage_of(artifact)
        if damage is not None:
            yield artifact.relative_to(folder).as_posix(), damage


def shipped_files(folder: Path) -> list[Path]:
    """Every file of the artifacts in one `artifacts/<profile>/`, without the lists beside them."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.parent != folder)


def read_sums(path: Path) -> dict[str, str]:
    """Hash of each file by its name, from lines as `sha256sum` writes them. Raises K2ReproError."""
    sums = {}
    for number, line in enumerate(read_text(path, "Usual cause: a clone that was cut short").splitlines(), 1):
        wanted, _, name = line.partition("  ")
        if not name or len(wanted) != 64:
            raise K2ReproError(f"{path.name} line {number}: {line[:40]!r} is not `hash  name`")
        sums[name] = wanted
    return sums
