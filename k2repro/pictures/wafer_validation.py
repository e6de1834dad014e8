"""Figures that hold the emulator against measured rates; plotly is imported when one is drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from k2repro.notebook.palette import MARKERS
from k2repro.pictures.style import Picture, Records
from k2repro.wafer.calibration.rates import Rate
from k2repro.wafer.calibration.score import Score

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# (row id, predicted, measured, half-width of the interval), as in a `ScoreReport`.
Point = tuple[str, float, float, float]


def validation_picture(rows: Sequence[Rate], points: Sequence[Point]) -> Picture:
    """Predicted against measured, one mark per point that names its row; hover for the row."""
    import plotly.graph_objects as go

    by_id, figure = {row.id: row for row in rows}, go.Figure()
    sources = list(dict.fromkeys(by_id[point[0]].source for point in points))
    records: Records = []
    for index, source in enumerate(sources):
        chosen = [point for point in points if by_id[point[0]].source == source]
        predicted, measured = (np.array([point[i] for point in chosen]) for i in (1, 2))
        figure.add_scatter(
            x=measured,
            y=predicted,
            mode="markers",
            name=source,
            marker={
                # More sources than signs: every second time round a sign is hollow; colours differ besides.
                "symbol": MARKERS[index % len(MARKERS)] + ("", "-open")[index // len(MARKERS) % 2],
                "size": 7,
                "opacity": 0.7,
            },
            text=[_describe(by_id[point[0]]) for point in chosen],
            hovertemplate="%{text}<br>measured %{x:.4g}, predicted %{y:.4g} tok/s<extra></extra>",
        )
        error = np.abs(predicted / measured - 1)
        records.append(
            {
                "source": source,
                "rows": len(chosen),
                "median error (%)": round(100 * float(np.median(error)), 1),
                "within 20 % (%)": round(100 * float(np.mean(error <= 0.2)), 1),
            }
        )
    _add_diagonal(figure, [point[2] for point in points])
    figure.update_xaxes(type="log", title="measured tokens per second")
    figure.update_yaxes(type="log", title="predicted without its source")
    figure.update_layout(
        title="Every measured rate, predicted by a fit that never saw its source", height=620
    )
    return figure, records


def _describe(row: Rate) -> str:
    count = f"{row.n_devices} x " if row.n_devices > 1 else ""
    return f"{row.model} {row.precision.name}, batch {row.batch:g}, {count}{row.hardware}"


def _add_diagonal(figure: "Figure", rates: Sequence[float]) -> None:
    ends = [min(rates) * 0.8, max(rates) * 1.25]
    for factor, dash, name in (
        (1.0, "solid", "equal"),
        (1.2, "dot", "20 % above"),
        (0.8, "dot", "20 % below"),
    ):
        figure.add_scatter(
            x=ends,
            y=[end * factor for end in ends],
            mode="lines",
            name=name,
            hoverinfo="skip",
            showlegend=factor == 1.0,
            line={"dash": dash, "width": 1.5, "color": "#6B7280"},
        )


def methods_picture(scores: Sequence[Score]) -> Picture:
    """Median error of several methods on the same rows, as bars."""
    import plotly.graph_objects as go

    records = score_records(scores)
    names = [score.name for score in scores]
    figure = go.Figure(
        go.Bar(
            y=names,
            x=[100 * score.median_error for score in scores],
            orientation="h",
            text=[f"{100 * score.median_error:.1f} %" for score in scores],
            textposition="outside",
        )
    )
    figure.update_xaxes(title="median absolute error (%)", range=[0, 145])
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(title="Error on the same measured rates", height=380, showlegend=False)
    return figure, records


def score_records(scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Scores as a table, in per cent."""
    return [
        {
            "method": score.name,
            "rows": score.rows,
            "median error (%)": round(100 * score.median_error, 1),
            "90th percentile (%)": round(100 * score.ninetieth_error, 1),
            "within 20 % (%)": round(100 * score.within_20_percent, 1),
            "inside 80 % interval (%)": None if score.coverage is None else round(100 * score.coverage, 1),
        }
        for score in scores
    ]


def drift_picture(groups: dict[str, tuple[np.ndarray, np.ndarray]]) -> Picture:
    """Predicted over measured of several groups of rows, as medians with the middle eighty per cent.

    groups: name -> (predicted, measured), both shape (n,).
    """
    import plotly.graph_objects as go

    records: Records = [
        {"rows": name} | _ratio_record(predicted / measured) for name, (predicted, measured) in groups.items()
    ]
    middles = [record["median ratio"] for record in records]
    figure = go.Figure(
        go.Scatter(
            x=middles,
            y=[record["rows"] for record in records],
            mode="markers",
            marker={"size": 11},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [r["highest tenth above"] - r["median ratio"] for r in records],
                "arrayminus": [r["median ratio"] - r["lowest tenth below"] for r in records],
            },
        )
    )
    names = [record["rows"] for record in records]
    figure.add_scatter(
        x=[1, 1],
        y=[names[0], names[-1]],
        mode="lines",
        name="equal",
        line={"dash": "dot", "color": "#6B7280"},
    )
    figure.update_xaxes(type="log", title="predicted over measured", tickvals=[0.8, 0.9, 1, 1.1, 1.2])
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(
        title="What a fit of the past says about machines of 2026", height=380, showlegend=False
    )
    return figure, records


def _ratio_record(ratio: np.ndarray) -> dict[str, Any]:
    """Median and middle eighty per cent of predicted over measured, shape (n,)."""
    low, middle, high = np.quantile(ratio, [0.1, 0.5, 0.9])
    return {
        "n": len(ratio),
        "median ratio": round(float(middle), 3),
        "lowest tenth below": round(float(low), 3),
        "highest tenth above": round(float(high), 3),
        "median error (%)": round(100 * float(np.median(np.abs(ratio - 1))), 1),
    }
