"""The static figures of an executed notebook, for the report."""

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
