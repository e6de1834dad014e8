"""`make lab`: JupyterLab on copies of the notebooks, so that Run All and autosave touch nothing committed.

The copies lie in workbench/ (in a read-only checkout: ~/k2repro/workbench). An untouched copy follows
the shipped notebook; one that somebody changed is kept until `make lab-reset NB=03`.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat

from k2repro.errors import K2ReproError
from k2repro.notebook.source import find_source
from k2repro.results.atomic import write_text
from k2repro.results.places import Places

COPIED = ".copied.json"
EXTENSIONS = Path(__file__).parent / "lab_extension"
# No news, no version check: a workshop has no network. Windowed notebooks lose outputs when one jumps.
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
}
KERNEL_CONFIG = """\
c = get_config()
c.IPKernelApp.log_level = 40
c.InteractiveShellApp.exec_lines = ["import k2repro.notebook.guide as _guide; _guide.install(); del _guide"]
"""


def lay_out(places: Places) -> list[str]:
    """Copy what is missing or untouched to the workbench; returns what a reader should know, in lines."""
    bench = _made(places)
    copied = _read(bench)
    lines = [f"your copies are in {_shown(places, bench)}; change what you like"]
    for path in shipped(places):
        name = path.relative_to(places.notebooks).as_posix()
        own, new = bench / name, _digest(path)
        if not own.is_file() or _digest(own) == copied.get(name) != new:
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, own)
            copied[name] = new
        elif _digest(own) != new:
            number = path.stem[:2]
            lines.append(
                f"{name}: your changes are kept; `make lab-reset NB={number}` brings back what ships"
            )
    write_text(bench / COPIED, json.dumps(copied, indent=1, sort_keys=True) + "\n")
    return lines


def shipped(places: Places) -> list[Path]:
    """The notebooks that are copied: all that are built, and the students' where there are some."""
    return sorted([*places.notebooks.glob("*.ipynb"), *places.notebooks.glob("student/*.ipynb")])


def reset(places: Places, name: str) -> str:
    """Replace a reader's copies of one notebook by what ships; the old ones stay beside them.

    Raises K2ReproError when nothing of that name is shipped.
    """
    stem = find_source(places, name).stem
    bench, said = _made(places), []
    copied = _read(bench)
    for path in shipped(places):
        if path.stem != stem:
            continue
        own = bench / path.relative_to(places.notebooks)
        own.parent.mkdir(parents=True, exist_ok=True)
        if own.is_file() and _digest(own) != _digest(path):
            kept = _free_name(own)
            own.rename(kept)
            said.append(f"{own.name} is as shipped again; yours is {kept.relative_to(bench)}")
        shutil.copyfile(path, own)
        copied[path.relative_to(places.notebooks).as_posix()] = _digest(path)
    if stem not in {path.stem for path in shipped(places)}:
        raise K2ReproError(f"notebooks/{stem}.ipynb does not exist; run `make notebooks NB={stem[:2]}`")
    write_text(bench / COPIED, json.dumps(copied, indent=1, sort_keys=True) + "\n")
    return "\n".join(said) or f"{stem}.ipynb was as shipped already; its outputs are those of the build again"


def start_lab(places: Places, options: Sequence[str]) -> int:
    """JupyterLab on the workbench until it is stopped; returns its exit code."""
    bench = _made(places)
    own = bench / ".lab"
    write_text(own / "settings" / "overrides.json", json.dumps(SETTINGS, indent=1) + "\n")
    write_text(own / "ipython" / "profile_default" / "ipython_kernel_config.py", KERNEL_CONFIG)
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={bench}",
        f"--LabApp.app_settings_dir={own / 'settings'}",
        f"--LabServerApp.extra_labextensions_path={EXTENSIONS}",
        "--LabApp.news_url=None",
        *options,
    ]
    return subprocess.run(command, env={**os.environ, "IPYTHONDIR": str(own / "ipython")}).returncode


def _made(places: Places) -> Path:
    try:
        places.workbench.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise K2ReproError(
            f"no folder for your copies at {places.workbench}: {error.strerror}. "
            "Usual cause: neither the checkout nor the home folder may be written"
        ) from None
    return places.workbench


def _read(bench: Path) -> dict[str, str]:
    """Hashes of the notebooks as they were copied; an unreadable list counts as empty, so nothing is lost."""
    try:
        content = json.loads((bench / COPIED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _digest(path: Path) -> str:
    """Hash of the cells' texts: running a notebook is no change, editing it is one."""
    try:
        cells = nbformat.read(path, as_version=4).cells
    except Exception as error:  # nbformat raises what its parser raises
        return f"unreadable: {type(error).__name__}"
    text = json.dumps([[cell.cell_type, cell.source] for cell in cells])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _free_name(path: Path) -> Path:
    number = 1
    while (kept := path.with_name(f"{path.stem}.mine-{number}.ipynb")).exists():
        number += 1
    return kept


def _shown(places: Places, bench: Path) -> str:
    return f"{bench.relative_to(places.root)}/" if bench.is_relative_to(places.root) else str(bench)
