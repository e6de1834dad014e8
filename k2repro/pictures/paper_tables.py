"""Figures of notebook 08: each returns the plotly figure and the records that it shows."""

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from k2repro.notebook.palette import (
    BLUE,
    BROWN,
    DASHES,
    GREEN,
    GREY,
    INK,
    MARKERS,
    PALETTE,
    PURPLE,
    SKY,
    VERMILLION,
)
from k2repro.paper.facts import FactBook
from k2repro.paper.figures import PLATEAUS, SATURATION, FigureSeries, figure_series
from k2repro.paper.loading import load_facts
from k2repro.paper.noise import noise_of
from k2repro.paper.outcome import VERDICTS
from k2repro.paper.quantity import Operand
from k2repro.paper.recompute import MATHS, operand
from k2repro.paper.tables import table
from k2repro.results import Row

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Picture = tuple["Figure", list[dict[str, Any]]]
ABLATION = "table2_test_time_ablation"
K2_THINK = "K2-Think"
SIDE_BY_SIDE = 0.2
RUNS = {
    "RL from SFT (K2-Think)": "RL from SFT (K2-Think)",
    "16K->32K": "RL from SFT, 16K tokens and then 32K",
}
VERDICT_LOOKS = {
    "recomputed": (GREEN, ""),
    "consistent as printed": (SKY, "."),
    "derived": (BROWN, "+"),
    "reproduced at mini scale": (BLUE, "/"),
    "direction only": (PURPLE, "\\"),
    "contradicted": (VERMILLION, "x"),
    "unresolved": (GREY, "-"),
    "not testable here": (INK, "|"),
}


def ablation_picture(book: FactBook | None = None) -> Picture:
    """Table 2 as differences against the checkpoint; whiskers: two standard errors of each."""
    import plotly.graph_objects as go

    book = book or load_facts()
    figure = go.Figure()
    records: list[dict[str, Any]] = []
    start, *others = table(2, book).rows

    def cell_of(name: str, row: str) -> Operand:
        here = f"{ABLATION}/{row}"
        return f"{here}/{name}" if name in MATHS else {"of": "micro_average", "row": here}

    cells = {name: partial(cell_of, name) for name in (*MATHS, "micro-average")}
    for place, row in enumerate(others):
        found = [
            {
                "system": row,
                "benchmark": name,
                "change (points)": round(
                    operand(book, cell(row)).value - operand(book, cell(start)).value, 2
                ),
                "two standard errors": round(noise_of(book, cell(row), cell(start)) or 0.0, 2),
            }
            for name, cell in cells.items()
        ]
        figure.add_scatter(
            name=row,
            x=[at + (place - 1) * SIDE_BY_SIDE for at in range(len(found))],
            y=[record["change (points)"] for record in found],
            mode="markers",
            marker={"color": PALETTE[place], "symbol": MARKERS[place], "size": 11},
            error_y={"type": "data", "array": [record["two standard errors"] for record in found]},
        )
        records += found
    figure.update_xaxes(
        tickvals=list(range(len(cells))), ticktext=list(cells), range=[-0.5, len(cells) - 0.5]
    )
    figure.update_yaxes(title="points against the checkpoint", zeroline=True)
    figure.update_layout(
        title="What planning and best-of-3 add (Table 2)", height=460, legend={"orientation": "h", "y": -0.18}
    )
    return figure, records


def scatter_picture(book: FactBook | None = None) -> Picture:
    """Figure 1: maths composite against parameters, read off the picture."""
    import plotly.graph_objects as go

    [series] = figure_series(1, book)
    figure = go.Figure()
    for own in (False, True):
        points = [point for point in series.points if (point.label == K2_THINK) == own]
        figure.add_scatter(
            x=[p.x for p in points],
            y=[p.y for p in points],
            mode="markers+text",
            text=[p.label for p in points],
            textposition="top center",
            name=K2_THINK if own else "others",
            cliponaxis=False,
            marker={
                "size": 14 if own else 10,
                "color": VERMILLION if own else BLUE,
                "symbol": MARKERS[2] if own else MARKERS[0],
            },
            error_y={"type": "constant", "value": 1.5, "color": GREY, "thickness": 1, "width": 3},
        )
    figure.update_xaxes(
        title="total parameters (billion, log scale; proprietary sizes are guesses)", type="log"
    )
    figure.update_yaxes(title="maths composite (%)")
    figure.update_layout(title="Score against size (Figure 1, digitised)", showlegend=False, height=460)
    return figure, [{"model": p.label, "parameters (billion)": p.x, "composite": p.y} for p in series.points]


def curves_picture(metric: str, book: FactBook | None = None) -> Picture:
    """Figure 4: the digitised curves of one metric with start, peak and last point marked."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    chosen = _distinct([s for s in figure_series(4, book) if s.name.endswith(f", {metric}")])
    for place, series in enumerate(chosen):
        short = series.name.split(": ", 1)[1].removesuffix(f", {metric}")
        label = RUNS.get(short, short)
        colour = PALETTE[place]
        figure.add_scatter(
            x=series.xs,
            y=[100 * y for y in series.ys],
            mode="lines",
            name=label,
            line={"color": colour, "dash": DASHES[place], "width": 2},
        )
        marked = [series.start, series.peak, series.last]
        figure.add_scatter(
            x=[p.x for p in marked],
            y=[100 * p.y for p in marked],
            mode="markers+text",
            showlegend=False,
            name=label,
            text=[f"{100 * p.y:.1f}" for p in marked],
            textposition="top center",
            marker={"color": colour, "size": 9, "symbol": MARKERS[place]},
        )
        records += [
            {"run": label, "point": name, "step": p.x, "score": round(100 * p.y, 2)}
            for name, p in zip(("start", "peak", "last"), marked, strict=True)
        ]
    figure.update_xaxes(title="gradient update steps")
    figure.update_yaxes(title=f"{metric} at training time (%)")
    figure.update_layout(
        title=f"Reinforcement learning, {metric} (Figure 4, digitised)",
        height=430,
        legend={"orientation": "h", "y": -0.22},
    )
    return figure, records


def _distinct(series: list[FigureSeries]) -> list[FigureSeries]:
    """The run from the SFT checkpoint stands in two panels; the longer reading is kept."""
    kept: dict[str, FigureSeries] = {}
    for one in series:
        run = "from SFT" if "K2-Think" in one.name else one.name.split(": ", 1)[1]
        if run not in kept or len(one.points) > len(kept[run].points):
            kept[run] = one
    return list(kept.values())


def verdicts_picture(matrix: Mapping[str, Mapping[str, int]]) -> Picture:
    """Claims by source, stacked by verdict: who said what, and what became of it.

    matrix   source -> verdict -> number of claims, as `claims_by_source` gives it
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    sources = list(matrix)[::-1]
    verdicts = [verdict for verdict in VERDICTS if any(matrix[source][verdict] for source in sources)]
    for verdict in verdicts:
        colour, hatch = VERDICT_LOOKS[verdict]
        counts = [matrix[source][verdict] for source in sources]
        figure.add_bar(
            name=verdict,
            x=counts,
            y=sources,
            orientation="h",
            text=[str(count) if count else "" for count in counts],
            textposition="inside",
            insidetextanchor="middle",
            marker={"color": colour, "pattern": {"shape": hatch}},
        )
    figure.update_xaxes(title="claims")
    figure.update_layout(
        title="Who said it, and what became of it",
        barmode="stack",
        height=400,
        legend={"orientation": "h", "y": -0.22, "traceorder": "normal"},
    )
    records = [{"source": source, **{v: matrix[source][v] for v in verdicts}} for source in matrix]
    return figure, records


def figure_2_picture(rows: Mapping[str, Row], book: FactBook | None = None) -> Picture:
    """Figure 2 as far as it is known: mini-K2's curves on two tiers, and the published plateaus as levels.

    Without rows of the curve (another notebook makes them) the levels stand alone.
    """
    import plotly.graph_objects as go

    book = book or load_facts()
    figure = go.Figure()
    records: list[dict[str, Any]] = []
    for place, (tier, key) in enumerate(PLATEAUS.items()):
        benchmark = key.rsplit("/", 1)[1].removesuffix(" plateau")
        colour, level = PALETTE[place], book.number(key)
        found = _by_number(rows, rf"sft\.curve\.{tier}\.after-(\d+)")
        curve = _percent_curve(found)
        figure.add_scatter(
            **{**curve, "x": [thousandth / 10 for thousandth in found]},
            name=f"mini-K2, {tier}, measured",
            mode="lines+markers",
            line={"dash": DASHES[place], "color": colour},
            marker={"symbol": MARKERS[place], "color": colour},
        )
        figure.add_scatter(
            x=[0, 100],
            y=[level, level],
            name=f"K2-Think, {benchmark}: published plateau",
            mode="lines",
            line={"dash": "dot" if place else "dashdot", "color": GREY, "width": 2},
        )
        records += [
            {"curve": f"mini-K2, {tier}", "share of training (%)": at / 10, "pass@1 (%)": round(value, 1)}
            for at, value in zip(found, curve["y"], strict=True)
        ]
        records.append(
            {"curve": f"published, {benchmark}", "share of training (%)": None, "pass@1 (%)": level}
        )
    figure.update_xaxes(title="share of the fine-tuning (%)")
    figure.update_yaxes(title="pass@1 (%)", range=[0, 102])
    figure.update_layout(
        title="pass@1 along fine-tuning (Figure 2): levels published, curves from mini-K2",
        height=460,
        legend={"orientation": "h", "y": -0.22},
    )
    return figure, records


def figure_3_picture(rows: Mapping[str, Row], book: FactBook | None = None) -> Picture:
    """Figure 3's question on mini-K2: pass@k of base and SFT, with the published level of AIME 2024."""
    import plotly.graph_objects as go

    book = book or load_facts()
    figure = go.Figure()
    records: list[dict[str, Any]] = []
    for place, (model, label) in enumerate((("sft", "SFT"), ("base", "base"))):
        found = _by_number(rows, rf"sft\.pass_at_k\.{model}\.tier-1\.k(\d+)")
        figure.add_scatter(
            **_percent_curve(found),
            name=f"mini-K2, {label}, easiest tier",
            mode="lines+markers",
            line={"dash": DASHES[place], "color": PALETTE[place]},
            marker={"symbol": MARKERS[place], "color": PALETTE[place]},
        )
        records += [
            {"model": model, "k": k, "pass@k (%)": round(100 * float(row.value), 1)}
            for k, row in found.items()
        ]
    level = book.number(SATURATION)
    ks = sorted({record["k"] for record in records}) or [1]
    figure.add_scatter(
        x=[ks[0], ks[-1]],
        y=[level, level],
        name="published: where K2-Think's SFT settles on AIME 2024",
        mode="lines",
        line={"dash": "dot", "color": GREY},
    )
    records.append({"model": "published level, AIME 2024", "k": None, "pass@k (%)": level})
    figure.update_xaxes(title="samples k (log scale)", type="log", tickvals=ks)
    figure.update_yaxes(title="pass@k (%)", range=[0, 102])
    figure.update_layout(
        title="pass@k before and after fine-tuning (Figure 3): level published, curves from mini-K2",
        height=440,
        legend={"orientation": "h", "y": -0.22},
    )
    return figure, records


def _by_number(rows: Mapping[str, Row], pattern: str) -> dict[int, Row]:
    """Rows whose whole id fits a pattern, by the number in its group, ascending."""
    found = {
        int(match[1]): row for name, row in rows.items() if (match := re.fullmatch(pattern, name)) is not None
    }
    return dict(sorted(found.items()))


def _percent_curve(found: Mapping[int, Row]) -> dict[str, Any]:
    """x, y and error bars in per cent; a row without an interval gets bars of no length."""
    values = [100 * float(row.value) for row in found.values()]
    intervals = [row.interval or (row.value, row.value) for row in found.values()]
    return {
        "x": list(found),
        "y": values,
        "error_y": {
            "type": "data",
            "array": [100 * high - v for v, (_, high) in zip(values, intervals, strict=True)],
            "arrayminus": [v - 100 * low for v, (low, _) in zip(values, intervals, strict=True)],
        },
    }
