"""Execute one notebook with papermill in a fresh kernel, and measure what it took."""

import resource
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from k2repro.errors import K2ReproError
from k2repro.notebook.parameters import fold
from k2repro.notebook.source import PARAMETERS_TAG
from k2repro.processes import environment, thread_variables
from k2repro.results.places import RUN_FOLDER
from k2repro.results.store import NOTEBOOK, marks_folder

SAMPLE_EVERY_S = 0.1
LONGEST_CAUSE = 200


@dataclass(frozen=True)
class RunCost:
    """What a run took: wall time, the kernel's largest resident memory in MB, and processor time.

    Processor time is that of the kernel and all its workers, in seconds; other programs do not add to it.
    """

    seconds: float
    peak_memory_mb: float
    processor_seconds: float


class NotebookFailed(K2ReproError):
    """A cell raised, or the kernel ended; `executed` is the notebook as far as it came."""

    def __init__(self, name: str, summary: str, executed: nbformat.NotebookNode, cost: RunCost) -> None:
        self.executed = executed
        self.cost = cost
        self.summary = summary
        super().__init__(f"{name} failed: {summary}\n`k2repro notebook why {name}` shows the cell")


def execute(
    notebook: nbformat.NotebookNode,
    name: str,
    *,
    parameters: Mapping[str, Any],
    run_folder: Path,
    threads: int,
    progress: bool = True,
) -> tuple[nbformat.NotebookNode, RunCost]:
    """Run every cell in a fresh kernel; returns the executed notebook and its cost.

    parameters   written into the parameters cell (already checked against it); nothing is injected
    run_folder   where the kernel writes rows
    threads      for OpenMP and torch; part of the fingerprint
    Raises NotebookFailed, which carries the notebook as far as it came.
    """
    import papermill  # two seconds to load
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    work = run_folder / "work"
    work.mkdir(parents=True, exist_ok=True)
    source, output = work / f"{name}.source.ipynb", work / f"{name}.executed.ipynb"
    nbformat.write(_with_values(notebook, parameters), source)
    _write_kernel_config(work)
    shutil.rmtree(marks_folder(run_folder, name), ignore_errors=True)
    marks_folder(run_folder, name).mkdir(parents=True)
    output.unlink(missing_ok=True)
    started, used = time.monotonic(), _processor_seconds()
    with environment(_variables(run_folder, name, threads)), _PeakMemory() as memory:
        try:
            papermill.execute_notebook(
                source,
                output,
                kernel_name="python3",
                cwd=work,
                progress_bar={"desc": name, "leave": False} if progress else False,
                store_widget_state=False,
                log_output=False,
            )
        except (PapermillExecutionError, DeadKernelError, RuntimeError) as error:
            cost = RunCost(time.monotonic() - started, memory.peak_mb, _processor_seconds() - used)
            reached = nbformat.read(output if output.is_file() else source, as_version=4)
            raise NotebookFailed(name, _cause(error, cost), reached, cost) from None
    cost = RunCost(time.monotonic() - started, memory.peak_mb, _processor_seconds() - used)
    return nbformat.read(output, as_version=4), cost


def _with_values(notebook: nbformat.NotebookNode, parameters: Mapping[str, Any]) -> nbformat.NotebookNode:
    for cell in notebook.cells:
        if PARAMETERS_TAG in cell.metadata.get("tags", []):
            cell.source = fold(cell.source, parameters)
    return notebook


def _cause(error: Exception, cost: RunCost) -> str:
    """One line: what a cell raised, or why the kernel is gone."""
    kind = getattr(error, "ename", None)
    if kind is not None:
        return f"{kind}: {' '.join(getattr(error, 'evalue', '').split())}"[:LONGEST_CAUSE]
    if "Kernel died" in str(error):
        return (
            f"the kernel died while it held {cost.peak_memory_mb:.0f} MB. Usual cause: the system ended it "
            "for want of memory; close other programs, or run a smaller profile"
        )
    if "respond" in str(error):
        return (
            f"the kernel did not answer ({error}). Usual causes: a machine too busy to start it, or no "
            "loopback network, over which notebook and kernel talk"
        )
    raise error


def _processor_seconds() -> float:
    """Processor time of all children of this process that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write_kernel_config(work: Path) -> None:
    """An IPython folder of our own: nobody's start-up files run, and the kernel warns of nothing we chose.

    Without it every kernel prints that it speaks over loopback TCP without encryption.
    """
    profile = work / "ipython" / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("c = get_config()\nc.IPKernelApp.log_level = 40\n")


def _variables(run_folder: Path, name: str, threads: int) -> dict[str, str]:
    """What the kernel inherits: where rows go, thread counts, no network, no display."""
    return {
        **thread_variables(threads),
        RUN_FOLDER: str(run_folder.resolve()),
        NOTEBOOK: name,
        "IPYTHONDIR": str((run_folder / "work" / "ipython").resolve()),
        "PYTHONHASHSEED": "0",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "MPLBACKEND": "Agg",
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


class _PeakMemory:
    """Samples the resident memory of this process's children (the kernel) while a block runs."""

    def __enter__(self) -> "_PeakMemory":
        import psutil

        self.peak_mb = 0.0
        self._gone = psutil.NoSuchProcess
        self._own = psutil.Process()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            try:
                children = self._own.children(recursive=True)
            except OSError:
                continue  # too many open files for a look at /proc; the next one may succeed
            self.peak_mb = max(self.peak_mb, sum(map(self._resident, children)) / 2**20)

    def _resident(self, child: Any) -> int:
        try:
            held: int = child.memory_info().rss
        except (self._gone, OSError):
            return 0  # it ended between the listing and the look
        return held

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
