"""What a laptop lacks for the notebooks: the general part of `k2repro doctor`."""

import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass

from k2repro.results.places import Places
from k2repro.tables import Table

LEAST_PYTHON = (3, 11)
LEAST_MEMORY_GB = 4.0
LEAST_DISK_GB = 3.0  # the environment takes 2.6
PACKAGES = {"torch": "train and run models", "jupyterlab": "make lab", "papermill": "run notebooks"}
GIGABYTE = 1e9


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `advice` is empty when it is as it should be."""

    what: str
    found: str
    advice: str = ""


def look_around(places: Places | None = None) -> list[Finding]:
    """Everything that a notebook or `make` needs, in the order in which a missing one is met."""
    places = places or Places.find()
    return [_python(), *_tools(), _memory(), _disk(places), _cores(), _writable(places), *_packages()]


def laptop_table(findings: list[Finding]) -> Table:
    """The findings as a table; a line that needs nothing says so."""
    rows = [[f.what, f.found, f.advice or "fine"] for f in findings]
    return Table(["what", "found", "what to do"], rows, caption="This machine and the notebooks")


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, LEAST_PYTHON))
    return Finding("Python", found, "" if sys.version_info >= LEAST_PYTHON else f"install Python {wanted}")


def _tools() -> list[Finding]:
    found = []
    for name in ("make", "bash", "git"):
        path = shutil.which(name)
        advice = f"install {name}; on Windows work inside WSL (wsl --install)"
        found.append(Finding(name, path or "missing", "" if path else advice))
    return found


def _memory() -> Finding:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIGABYTE
    except (ValueError, OSError, AttributeError):
        return Finding("memory", "unknown", f"{LEAST_MEMORY_GB:g} GB are enough for every notebook")
    little = total < LEAST_MEMORY_GB
    advice = "close other programs; run one notebook at a time" if little else ""
    return Finding("memory", f"{total:.1f} GB", advice)


def _disk(places: Places) -> Finding:
    free = shutil.disk_usage(places.root).free / GIGABYTE
    has_environment = (places.root / ".venv").exists()
    little = free < (0.5 if has_environment else LEAST_DISK_GB)
    return Finding("free disk", f"{free:.1f} GB", f"make room: {LEAST_DISK_GB:g} GB" if little else "")


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    advice = "the notebooks run; `make reproduce` takes about twice as long" if cores < 2 else ""
    return Finding("processor cores", str(cores), advice)


def _writable(places: Places) -> Finding:
    if os.access(places.root, os.W_OK):
        return Finding("checkout", "may be written")
    return Finding("checkout", "read-only", f"copies and rows go to {places.writable}")


def _packages() -> list[Finding]:
    found = []
    for name, use in PACKAGES.items():
        there = importlib.util.find_spec(name) is not None
        found.append(Finding(name, "there" if there else "missing", "" if there else f"make setup ({use})"))
    return found
