"""A small executed notebook with one figure of each kind, so that the browser tests always have a subject."""

from pathlib import Path

import nbformat
import plotly.graph_objects as go

from k2repro.notebook.show import bundles
from k2repro.tables import Table

RECORDS = [{"tier": "tier 1", "solved": 9}, {"tier": "tier 2", "solved": 4}]


def figures() -> list[tuple[go.Figure, str]]:
    """Figures with their descriptions; the last one moves."""
    bars = go.Figure(go.Bar(x=["tier 1", "tier 2"], y=[9, 4])).update_layout(title="Solved problems")
    cells = go.Figure(go.Heatmap(z=[[1, 2], [3, 4]], texttemplate="%{z}"))
    frames = [go.Frame(name=str(k), data=[go.Scatter(y=[k, 2 * k])]) for k in (1, 2, 3)]
    steps = [
        {
            "label": f.name,
            "method": "animate",
            "args": [[f.name], {"mode": "immediate", "frame": {"duration": 0}}],
        }
        for f in frames
    ]
    moving = go.Figure(frames[0].data, frames=frames)
    moving.update_layout(sliders=[{"steps": steps, "pad": {"t": 50}}])
    return [
        (bars, "Two bars: the first tier stands twice as high as the second."),
        (cells, "Four cells that darken from the lower left to the upper right."),
        (moving, "A rising line whose slope grows as the slider moves to the right."),
    ]


def write_specimen(path: Path) -> Path:
    """Write the notebook with its outputs, as a build would."""
    cells = [nbformat.v4.new_markdown_cell("# Specimen\n\n## Figures and a table")]
    for number, (fig, alt) in enumerate(figures(), start=1):
        outputs = [nbformat.v4.new_output("display_data", data=data) for data in bundles(fig, alt, RECORDS)]
        cells.append(
            nbformat.v4.new_code_cell(
                "show(fig, alt=alt, table=records)", outputs=outputs, execution_count=number
            )
        )
    table = {
        "text/html": Table.of_records(RECORDS, ["tier", "solved"], "Solved problems by tier").as_html(),
        "text/plain": Table.of_records(RECORDS, ["tier", "solved"], "Solved problems by tier").as_text(),
    }
    output = nbformat.v4.new_output("display_data", data=table)
    cells.append(nbformat.v4.new_code_cell("show_table(records)", outputs=[output], execution_count=9))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path
