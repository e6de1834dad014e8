"""`k2repro notebook why NAME`: the failing cell, its error, and nothing else."""

import re
from pathlib import Path

import nbformat

from k2repro.errors import K2ReproError
from k2repro.notebook.build import failed_path, read_record

ANSI = re.compile(r"\x1b\[[0-9;]*m")
TRACEBACK_LINES = 25


def explain(folder: Path, name: str) -> str:
    """Why the last run of a notebook failed, from the records of a build folder.

    The failing cell, or the one in which the kernel died, or the row, time or memory that was missed.
    Raises K2ReproError when the last run did not fail, or there was none.
    """
    record = read_record(folder, name)
    if record is None:
        raise K2ReproError(f"{name} was not run yet in build/{folder.name}/; `k2repro status` lists what was")
    if record.error is None:
        raise K2ReproError(f"{name}: its last run ({record.finished}) did not fail")
    head = f"{name}, run that ended {record.finished}: {record.error}"
    failed = failed_path(folder, name)
    if not failed.is_file():
        return f"{head}\nEvery cell ran; the notebook is build/{folder.name}/notebooks/{name}.ipynb"
    return f"{head}\n\n{explain_failure(failed)}"


def explain_failure(path: Path) -> str:
    """The first cell with an error output, with its source and the end of its traceback.

    Without one: the cell that was running when the kernel died. Raises K2ReproError without either.
    """
    notebook = nbformat.read(path, as_version=4)
    for position, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                lines = "\n".join(ANSI.sub("", line) for line in output.traceback).splitlines()
                return "\n".join(
                    [
                        f"{path.stem}: cell {position + 1} of {len(notebook.cells)} raised {output.ename}",
                        "",
                        *_numbered(cell),
                        "",
                        *lines[-TRACEBACK_LINES:],
                        "",
                        f"The whole run with its outputs: {path.name} in the failed/ folder of the build",
                    ]
                )
    # Without an error the kernel is gone; papermill notes when it began a cell, also the last one.
    reached = [n for n, cell in enumerate(notebook.cells) if _was_reached(cell)]
    if reached:
        place = f"{path.stem}: cell {reached[-1] + 1} of {len(notebook.cells)} was running"
        return "\n".join([place, "", *_numbered(notebook.cells[reached[-1]])])
    raise K2ReproError(f"{path.name} holds no failing cell. Usual cause: the kernel did not start")


def _was_reached(cell: nbformat.NotebookNode) -> bool:
    started = cell.metadata.get("papermill", {}).get("start_time") is not None
    return bool(cell.cell_type == "code" and cell.source.strip() and started)


def _numbered(cell: nbformat.NotebookNode) -> list[str]:
    return [f"{number:4d} | {line}" for number, line in enumerate(cell.source.splitlines(), 1)]
