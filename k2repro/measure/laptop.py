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
class LaptopFinding:
    """One thing that was looked at: `advice` is empty when it is as it should be."""

    what: str
    found: str
    advice: str = ""


def look_around(places: Places | None = None) -> list[LaptopFinding]:
    """Everything that a notebook or `make` needs, in the order in which a missing one is met."""
    places = places or Places.find()
    return [_python(), *_tools(), _memory(), _disk(places), _cores(), _writable(places), *_packages()]


def laptop_table(findings: list[LaptopFinding]) -> Table:
    """The findings as a table; a line that needs nothing says so."""
    rows = [[f.what, f.found, f.advice or "fine"] for f in findings]
    return Table(["what", "found", "what to do"], rows, caption="This machine and the notebooks")


def _python() -> LaptopFinding:
    found = ".".join(map(str, sys.version_info[:3]))
    wanted = ".".join(map(str, LEAST_PYTHON))
    return LaptopFinding(
        "Python", found, "" if sys.version_info >= LEAST_PYTHON else f"install Python {wanted}"
    )


def _tools() -> list[LaptopFinding]:
    found = []
    for name in ("make", "bash", "git"):
        path = shutil.which(name)
        advice = f"install {name}; on Windows work inside WSL (wsl --install)"
        found.append(LaptopFinding(name, path or "missing", "" if path else advice))
    return found


def _memory() -> LaptopFinding:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIGABYTE
    except (ValueError, OSError, AttributeError):
        return LaptopFinding("memory", "unknown", f"{LEAST_MEMORY_GB:g} GB are enough for every notebook")
    little = total < LEAST_MEMORY_GB
    advice = "close other programs; run one notebook at a time" if little else ""
    return LaptopFinding("memory", f"{total:.1f} GB", advice)


def _disk(places: Places) -> LaptopFinding:
    free = shutil.disk_usage(places.root).free / GIGABYTE
    has_environment = (places.root / ".venv").exists()
    little = free < (0.5 if has_environment else LEAST_DISK_GB)
    return LaptopFinding("free disk", f"{free:.1f} GB", f"make room: {LEAST_DISK_GB:g} GB" if little else "")


def _cores() -> LaptopFinding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    advice = "the notebooks run; `make reproduce` takes about twice as long" if cores < 2 else ""
    return LaptopFinding("processor cores", str(cores), advice)


def _writable(places: Places) -> LaptopFinding:
    if os.access(places.root, os.W_OK):
        return LaptopFinding("checkout", "may be written")
    return LaptopFinding("checkout", "read-only", f"copies and rows go to {places.writable}")


def _packages() -> list[LaptopFinding]:
    found = []
    for name, use in PACKAGES.items():
        there = importlib.util.find_spec(name) is not None
        found.append(
            LaptopFinding(name, "there" if there else "missing", "" if there else f"make setup ({use})")
        )
    return found
