"""Bring a notebook that was edited in JupyterLab back to its source in notebooks/src."""

import nbformat

from k2repro.errors import K2ReproError
from k2repro.notebook.source import find_source
from k2repro.results.atomic import write_text
from k2repro.results.places import Places

INJECTED = "injected-parameters"
HEADER = {
    "jupytext": {
        "cell_metadata_filter": "tags,-all",
        "text_representation": {"extension": ".py", "format_name": "percent"},
    },
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
}


def sync(places: Places, name: str) -> str:
    """Write notebooks/NN_name.ipynb to notebooks/src/NN_name.py; returns what was done, in words.

    Papermill's injected cell is left out. Raises K2ReproError when the notebook does not exist.
    """
    import jupytext

    source = find_source(places, name)
    path = places.notebooks / f"{source.stem}.ipynb"
    if not path.is_file():
        raise K2ReproError(f"notebooks/{path.name} does not exist; run `make notebooks` first")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if INJECTED not in cell.metadata.get("tags", [])]
    notebook.metadata = nbformat.from_dict(HEADER)
    text = jupytext.writes(notebook, fmt="py:percent")
    kept = [
        line for line in text.splitlines() if "jupytext_version" not in line and "format_version" not in line
    ]
    write_text(source, "\n".join(kept) + "\n")
    return f"notebooks/src/{source.name} now says what notebooks/{path.name} says; run `make notebooks`"
