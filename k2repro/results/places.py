"""Where things lie in a checkout, and where the current run may write.

A run started by `k2repro` names its folder in K2REPRO_RUN. Without it (a reader in JupyterLab) rows
go to `results/interactive/`, so that playing with a parameter never touches committed results.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from k2repro.errors import K2ReproError

RUN_FOLDER = "K2REPRO_RUN"
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Places:
    """The folders of one checkout."""

    root: Path

    @staticmethod
    def in_checkout() -> bool:
        """Whether the package stands in a checkout; an installed wheel has no notebooks and no results."""
        return (PACKAGE_ROOT / "notebooks" / "src").is_dir()

    @classmethod
    def find(cls) -> "Places":
        """The checkout that this package was installed from (editable install).

        Raises K2ReproError when the package does not stand in a checkout.
        """
        root = PACKAGE_ROOT
        if not cls.in_checkout():
            raise K2ReproError(
                f"{root.name}/ holds no notebooks/src. Usual cause: k2repro was installed as a wheel; "
                "clone the repository and run `make setup` there"
            )
        return cls(root)

    @property
    def package(self) -> Path:
        return self.root / "k2repro"

    @property
    def sources(self) -> Path:
        return self.root / "notebooks" / "src"

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def profiles(self) -> Path:
        return self.root / "profiles"

    @property
    def cache(self) -> Path:
        return self.writable / ".k2repro"

    @property
    def writable(self) -> Path:
        """The checkout where it may be written, otherwise a folder of the user's own."""
        return self.root if os.access(self.root, os.W_OK) else Path.home() / "k2repro"

    @property
    def workbench(self) -> Path:
        """The reader's own copies of the notebooks, in which everything may be changed."""
        return self.writable / "workbench"

    def shipped_artifacts(self, profile: str) -> Path:
        return self.root / "artifacts" / profile

    def results(self, profile: str) -> Path:
        return self.root / "results" / profile

    def build(self, profile: str) -> Path:
        return self.root / "build" / profile


def run_folder(profile: str) -> Path:
    """The folder of the current run: set by the executor, otherwise the shipped results of `profile`."""
    chosen = os.environ.get(RUN_FOLDER)
    return Path(chosen) if chosen else Places.find().results(profile)


def rows_directory(profile: str) -> Path:
    """Where the rows of earlier notebooks of this run are read from."""
    return run_folder(profile) / "rows"


def writable_folder() -> Path:
    """Where the current run may write: its own folder, or the interactive one."""
    chosen = os.environ.get(RUN_FOLDER)
    return Path(chosen) if chosen else Places.find().writable / "results" / "interactive"
