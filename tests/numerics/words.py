"""The numerics words that the code declares, and the digests that were recorded for them.

`digests.json`: for each word its value when it was recorded and, by kind of machine, the digest of every part
of its probe. Text and verdicts are the same everywhere; sums of floats are compared within one kind of
machine only (`python words.py` names this one's).
"""

import importlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from k2repro.results.fingerprint import fingerprint

HERE = Path(__file__).parent
DIGESTS = HERE / "digests.json"
# Probe -> room and constant. The probes of the last three involve no floating-point sums.
OWNERS = {
    "training": ("k2repro.training", "NUMERICS"),
    "engine": ("k2repro.engine", "NUMERICS"),
    "rlvr": ("k2repro.rlvr", "NUMERICS"),
    "texts": ("k2repro.mini", "TEXTS"),
    "grader": ("k2repro.mini", "GRADER"),
    "pools": ("k2repro.evaluate", "POOLS"),
}
# Digest by part, by probe.
Digests = dict[str, dict[str, str]]
# The name of a part, by probe.
Parts = dict[str, str | None]
EVERYWHERE = ("texts", "grader", "pools")


def declared(probe: str) -> str:
    """The word that the code declares now, as "train-1"."""
    room, constant = OWNERS[probe]
    return str(getattr(importlib.import_module(room), constant))


def machine(probe: str) -> str:
    """The kind of machine that the digests of a probe hold for."""
    if probe in EVERYWHERE:
        return "every machine"
    here = fingerprint(threads=1)
    return f"torch {here.torch}, {here.cpu_capability}, {_vendor()}"


def _vendor() -> str:
    """Who made the processor: matrix libraries choose their kernels by it, not by its vectors alone."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")]
    return named[0] if named else platform.machine()


def recorded() -> dict[str, Any]:
    """What `digests.json` holds."""
    found: dict[str, Any] = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    return found


def run(*probes: str, tree: Path | None = None) -> Digests:
    """Digests by probe and part, made in a new process on one thread; tree: where k2repro is taken from."""
    return _in_a_process(probes, tree=tree)


def first_moved(*probes: str, known: Digests, tree: Path | None = None, plant: str | None = None) -> Parts:
    """For each probe the first part whose bits are not the known ones, or None after all of them ran."""
    options = ["--until-moved", *(["--plant", plant] if plant else [])]
    found = _in_a_process([*options, *probes], tree=tree, given=json.dumps(known))
    return {
        probe: next((name for name, bits in found[probe].items() if bits != known[probe].get(name)), None)
        for probe in probes
    }


def _in_a_process(arguments: Sequence[str], tree: Path | None = None, given: str = "") -> Digests:
    command = [sys.executable, str(HERE / "probes.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(tree or HERE.parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"probes {arguments} failed:\n{done.stderr[-2000:]}")
    found: Digests = json.loads(done.stdout)
    return found


def moved(probe: str, now: dict[str, str], known: dict[str, str]) -> list[str]:
    """Names of the parts whose bits are not those recorded, new and lost parts included."""
    return sorted(name for name in now.keys() | known.keys() if now.get(name) != known.get(name))
