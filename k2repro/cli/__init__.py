"""`k2repro ...`: a thin layer over the rooms, one file per command group.

A new group is one file here with a tuple `COMMANDS`; `entry.py` finds it. Every command imports its
room when it runs, so that `k2repro --help` loads nothing but argparse.
"""

from k2repro.cli.entry import main, parser

__all__ = ["main", "parser"]
