"""Make two runs of one notebook equal byte for byte: strip what varies, derive what is random.

Measured facts behind each rule: papermill gives its injected cell a random id and adds timings and
empty tags to every cell; a widget view without its state shows an error when opened.
"""

import hashlib
import re
from typing import Any

import nbformat

from k2repro.notebook.folding import is_plumbing

VOLATILE = re.compile(r"/(?:home|root|tmp|Users|work|var)/[^\s\"'<]+|\bat 0x[0-9a-f]+")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# The name that Jupyter Book and MyST know.
HIDDEN_TAG = "hide-input"
PLOTLY = "application/vnd.plotly.v1+json"
KERNEL_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


def normalise(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with everything removed that two equal runs may differ in (changed in place)."""
    kept = notebook.metadata.get("k2repro")
    notebook.metadata = nbformat.from_dict(KERNEL_METADATA | ({"k2repro": kept} if kept else {}))
    notebook.nbformat_minor = 5
    for position, cell in enumerate(notebook.cells):
        digest = hashlib.sha256(f"{position}\0{cell.source}".encode()).hexdigest()
        cell["id"] = digest[:8]
        cell.metadata = nbformat.from_dict(_kept_cell_metadata(cell))
        if cell.cell_type == "code":
            cell["outputs"] = [_normalise_output(output) for output in _merge_streams(cell.outputs)]
    return notebook


def _kept_cell_metadata(cell: Any) -> dict[str, Any]:
    """Tags, and whether the code is folded: JupyterLab reads the field, Jupyter Book and MyST the tag."""
    tags = [tag for tag in cell.metadata.get("tags", []) if tag != HIDDEN_TAG]
    if cell.cell_type == "code" and is_plumbing(cell.source, tags):
        return {"jupyter": {"source_hidden": True}, "tags": [*tags, HIDDEN_TAG]}
    return {"tags": tags} if tags else {}


def _merge_streams(outputs: list[Any]) -> list[Any]:
    """Join neighbouring pieces of one stream: where the kernel cuts them depends on timing."""
    merged: list[Any] = []
    for output in outputs:
        before = merged[-1] if merged else None
        if before and output.output_type == before.output_type == "stream" and output.name == before.name:
            before.text += output.text
        else:
            merged.append(output)
    return merged


def _normalise_output(output: Any) -> Any:
    data = output.get("data", {})
    data.pop(WIDGET_VIEW, None)
    if PLOTLY in data:
        # JupyterLab's renderer adds it while it draws, and then shows it in place of the live figure.
        data.pop("image/png", None)
    if "metadata" in output:
        output["metadata"] = {}
    for kind, value in data.items():
        if isinstance(value, str):
            data[kind] = VOLATILE.sub("<…>", value)
    if isinstance(output.get("text"), str):
        output["text"] = VOLATILE.sub("<…>", output["text"])
    return output


def as_bytes(notebook: nbformat.NotebookNode) -> bytes:
    """The one spelling of a notebook on disk."""
    return (nbformat.writes(notebook, version=4) + "\n").encode()
