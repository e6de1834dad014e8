"""`k2repro notebook why NAME`: the failing cell, its error, and nothing else."""

import re
from pathlib import Path

import nbformat

from k2repro.errors import K2ReproError

ANSI = re.compile(r"\x1b\[[0-9;]*m")
TRACEBACK_LINES = 25


def explain_failure(path: Path) -> str:
    """The first cell with an error output, with its source and the end of its traceback.

    Raises K2ReproError when the notebook holds no error.
    """
    notebook = nbformat.read(path, as_version=4)
    for position, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                lines = "\n".join(ANSI.sub("", line) for line in output.traceback).splitlines()
                numbered = [f"{n:4d} | {line}" for n, line in enumerate(cell.source.splitlines(), 1)]
                return "\n".join(
                    [
                        f"{path.stem}: cell {position + 1} of {len(notebook.cells)} raised {output.ename}",
                        "",
                        *numbered,
                        "",
                        *lines[-TRACEBACK_LINES:],
                        "",
                        f"The whole run with its outputs: {path.name} in the failed/ folder of the build",
                    ]
                )
    raise K2ReproError(f"{path.name} holds no failing cell")
