"""Bring a notebook that was edited in JupyterLab back to its source in notebooks/src.

The workbench goes first: `make lab` serves the copies there. What JupyterLab adds by itself (folding,
ids, outputs) stays behind; what the build adds (the tag of folded cells) does too.
"""

import nbformat

from k2repro.errors import K2ReproError
from k2repro.notebook.normalise import HIDDEN_TAG
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
    """Write a reader's NN_name.ipynb to notebooks/src/NN_name.py; returns what was done, in words.

    A cell that papermill injected is left out. Raises K2ReproError when the notebook does not exist.
    """
    import jupytext

    source = find_source(places, name)
    candidates = [folder / f"{source.stem}.ipynb" for folder in (places.workbench, places.notebooks)]
    found = [path for path in candidates if path.is_file()]
    if not found:
        raise K2ReproError(f"{source.stem}.ipynb does not exist; run `make lab` or `make notebooks` first")
    path = found[0]
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if INJECTED not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != HIDDEN_TAG]
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
    notebook.metadata = nbformat.from_dict(HEADER)
    text = jupytext.writes(notebook, fmt="py:percent")
    kept = [
        line for line in text.splitlines() if "jupytext_version" not in line and "format_version" not in line
    ]
    write_text(source, "\n".join(kept) + "\n")
    return (
        f"notebooks/src/{source.name} now says what {path.parent.name}/{path.name} says; "
        f"`make notebooks NB={source.stem[:2]}` builds it"
    )
