"""Where, by which code and how wide something was made: said in a manifest, never part of a key."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from k2repro.results.fingerprint import fingerprint
from k2repro.results.places import Places

# Set by a queue of jobs for the processes that it starts.
WORKERS = "K2REPRO_WORKERS"


def provenance() -> dict[str, Any]:
    """What made an artifact in this process.

    commit        of the checkout; "+" at its end for changes that are not committed; "" without git
    code_hash     of every Python file of the package, byte for byte
    python, torch, cpu_capability, threads   see `Fingerprint`; threads are those of this process
    workers       processes that worked side by side
    """
    return {
        **fingerprint(_threads()).as_dict(),
        "commit": _commit(),
        "code_hash": _package_hash(),
        "workers": int(os.environ.get(WORKERS, "1")),
    }


def made_on(folders: Iterable[Path]) -> dict[str, str]:
    """The kind of machine that made some artifacts: python, torch and cpu_capability of their manifests.

    Where they differ the kinds are joined by "+", which equals no single machine. Artifacts that name none,
    made before manifests did, are left out.
    """
    kinds: dict[str, set[str]] = {}
    for folder in folders:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for name in ("python", "torch", "cpu_capability"):
            if name in manifest.get("provenance", {}):
                kinds.setdefault(name, set()).add(manifest["provenance"][name])
    return {name: "+".join(sorted(values)) for name, values in kinds.items()}


def _threads() -> int:
    """Threads of torch where it is loaded: this room does not import it."""
    torch = sys.modules.get("torch")
    return 1 if torch is None else int(torch.get_num_threads())


@cache
def _commit() -> str:
    root = Places.find().root
    command = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""


@cache
def _package_hash() -> str:
    """Of every file of the package: tables that decide a number stand in TOML and CSV beside the code."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for path in sorted(each for each in package.rglob("*") if each.is_file()):
        if "__pycache__" in path.parts:
            continue
        digest.update(f"{path.relative_to(package).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
