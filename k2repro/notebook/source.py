"""Notebook sources: notebooks/src/NN_name.py (py:percent), what people edit and review."""

from pathlib import Path
from typing import Any

import nbformat

from k2repro.errors import unknown
from k2repro.notebook.parameters import declared
from k2repro.results.places import Places
from k2repro.results.rowbook import reads_rows

PARAMETERS_TAG = "parameters"


def source_names(places: Places) -> list[str]:
    """Names of all notebook sources in the order in which they run.

    Notebooks that read the rows of others come after all that do not.
    """
    paths = sorted(places.sources.glob("[0-9][0-9]_*.py"), key=lambda path: (reads_rows(path), path.name))
    return [path.stem for path in paths]


def find_source(places: Places, name: str) -> Path:
    """The source of a notebook given by number, name or path: "01", "01_architecture", "x/01_a.ipynb".

    Raises K2ReproError with the names that exist.
    """
    stem = Path(name).stem
    matches = [known for known in source_names(places) if known == stem or known.split("_")[0] == stem]
    if len(matches) != 1:
        raise unknown("notebook", name, source_names(places))
    return places.sources / f"{matches[0]}.py"


def read_source(path: Path) -> nbformat.NotebookNode:
    """The notebook without outputs that a source stands for."""
    import jupytext  # a second to load

    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata.pop("jupytext", None)
    return notebook


def declared_parameters(path: Path) -> dict[str, Any]:
    """Names and default values in the cell tagged `parameters`; see `parameters.declared` for the rules."""
    return {name: parameter.default for name, parameter in declared(path).items()}
