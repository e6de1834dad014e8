"""The static figures of an executed notebook, for the report."""

import base64
import re
from pathlib import Path

import nbformat

PLOTLY_MIME = "application/vnd.plotly.v1+json"


def notebook_figures(path: Path) -> list[str]:
    """The <figure> elements that `show` left in a built notebook, each with its alt text as caption."""
    elements = []
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if PLOTLY_MIME in data:
                caption = data["text/plain"].replace("&", "&amp;").replace("<", "&lt;")
                body = data["text/html"].replace("</figure>", f"<figcaption>{caption}</figcaption></figure>")
                elements.append(body)
    return elements


def built_pictures(folder: Path) -> dict[str, bytes]:
    """File name -> SVG for every figure of the built notebooks, numbered in reading order."""
    pictures = {}
    for path in sorted(folder.glob("*.ipynb")):
        for number, element in enumerate(notebook_figures(path), start=1):
            [encoded] = re.findall(r"data:image/svg\+xml;base64,([^\"']+)", element)
            pictures[f"{path.stem}-{number:02d}.svg"] = base64.b64decode(encoded)
    return pictures
