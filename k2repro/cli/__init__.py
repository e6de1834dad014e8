"""`k2repro ...`: a thin layer over the rooms, one file per command group.

A new group is one file here with a tuple `COMMANDS`; `entry.py` finds it. Every command imports its
room when it runs, so that `k2repro --help` loads nothing but argparse.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console script. Ctrl-C is one line from here on: imports take a moment, too."""
    try:
        from k2repro.cli import entry
    except KeyboardInterrupt:
        sys.stderr.write("k2repro: stopped before it began\n")
        sys.exit(130)
    entry.main(argv)


def parser() -> "argparse.ArgumentParser":
    """The whole command line."""
    from k2repro.cli import entry

    return entry.parser()
