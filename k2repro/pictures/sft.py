"""Figures of notebook 02: packing, losses, training curves, pass@k, the contrast, mistakes.

Every function returns the figure and the records that it shows, in the two arguments that `show` wants.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from k2repro.evaluate.effects import Effect, Numbers, right_among, table_of
from k2repro.lab.pools import KINDS
from k2repro.lab.sft import Curves, SftResults
from k2repro.lab.sft_recipe import BASE, DIRECT, SFT
from k2repro.lab.sft_rows import MEAN, ROW_NAMES, groups, mistake_row, probe_table
from k2repro.lessons.specimens import texts_of
from k2repro.mini import mistakes
from k2repro.mini.benchmarks import BENCHMARKS
from k2repro.notebook.palette import DASHES, MARKERS
from k2repro.pictures.marks import bounds, mistake_mark
from k2repro.pictures.style import BELOW, HATCHES, Picture, Records
from k2repro.results.rows import Row
from k2repro.training.packing import Batch

if TYPE_CHECKING:
    pass

Found = Mapping[str, Effect | Row]  # what has a value and an interval
SMOOTHED = 20
SHORT = {"sft": "SFT", "base": "base"}


def packing_picture(batch: Batch) -> Picture:
    """The texts of one batch in their rows: what is given, what is learned, what stays empty."""
    import plotly.graph_objects as go

    length = batch.tokens.shape[1]
    records: Records = [
        {"row": row + 1, "text": at, "from token": start, "learned from": learned, "to token": end}
        for at, (row, start, learned, end) in enumerate(texts_of(batch), 1)
    ]
    figure = go.Figure()
    for name, first, last, hatch in (
        ("prompt: read only", "from token", "learned from", "/"),
        ("response: learned", "learned from", "to token", ""),
    ):
        figure.add_bar(
            y=[f"row {record['row']}" for record in records],
            base=[record[first] for record in records],
            x=[record[last] - record[first] for record in records],
            orientation="h",
            name=name,
            marker={"pattern": {"shape": hatch}},
        )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="position in the row (tokens)", range=[0, length])
    figure.update_layout(
        title="One batch: several texts in each row",
        barmode="overlay",
        legend={"orientation": "h", "y": 1.12},
        height=360,
    )
    return figure, records


def loss_picture(histories: Mapping[int, Mapping[str, Mapping[str, Sequence[float]]]], title: str) -> Picture:
    """Loss along the stages of one list of runs, each seed a line, a mean over some steps."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    for at, (seed, stages) in enumerate(histories.items()):
        x: list[float] = []
        y: list[float] = []
        tokens = 0.0
        for stage, history in _in_order(stages):
            size = min(SMOOTHED, len(history["loss"]))
            for end in range(size, len(history["loss"]) + 1, size):
                tokens += sum(history["tokens"][end - size : end])
                x.append(tokens / 1e6)
                y.append(sum(history["loss"][end - size : end]) / size)
            records.append(
                {
                    "seed": seed,
                    "stage": stage,
                    "steps": len(history["loss"]),
                    "million tokens so far": x[-1],
                    "loss at its end": y[-1],
                }
            )
        figure.add_scatter(x=x, y=y, mode="lines", name=f"seed {seed}", line={"dash": DASHES[at % 5]})
    figure.update_xaxes(title="tokens trained (million)")
    figure.update_yaxes(title="loss on the response (nats, log scale)", type="log")
    figure.update_layout(title=title, height=440, legend=BELOW)
    return figure, records


def _in_order(stages: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Stages in the order of the recipe; files keep their names in alphabetical order."""
    names = [stage.name for stage in (*BASE, *SFT, *DIRECT)]
    return [(name, stages[name]) for name in names if name in stages]


def curve_picture(curves: Curves, direct: Curves) -> Picture:
    """pass@1 on the probe along the training: each tier, the mean of the maths tiers, and the contrast."""
    import plotly.graph_objects as go

    shares = [point.share for point in next(iter(curves.values()))]
    records: Records = []
    for share in shares:
        means = {
            name: float(probe_table(curves, share, tiers).mean.mean()) for name, tiers in groups().items()
        }
        means["direct, mean"] = float(probe_table(direct, share).mean.mean())
        records.append({"share of training": share, **means})
    figure = go.Figure()
    for at, name in enumerate([*groups(), "direct, mean"]):
        figure.add_scatter(
            x=[100 * share for share in shares],
            y=[100 * record[name] for record in records],
            name=name,
            mode="lines+markers",
            line={"dash": DASHES[at % 5], "width": 4 if name == MEAN else 2},
            marker={"symbol": MARKERS[at % 5]},
        )
    figure.update_xaxes(title="share of the training (%)")
    figure.update_yaxes(title="pass@1 on the probe (%)", range=[0, 102])
    figure.update_layout(title="mini-K2 along its fine-tuning", height=480)
    return figure, records


def pass_at_k_picture(found: Found, ks: Sequence[int], shown: Sequence[str] = ("tier-1", MEAN)) -> Picture:
    """pass@k of base and SFT with intervals, on a log axis of k."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    for at, (name, group) in enumerate((name, group) for group in shown for name in ("sft", "base")):
        rows = [found[f"sft.pass_at_k.{name}.{group}.k{k}"] for k in ks]
        figure.add_scatter(
            x=list(ks),
            y=[100 * row.value for row in rows],
            error_y=_errors(rows),
            mode="lines+markers",
            name=f"{SHORT[name]}, {group}",
            line={"dash": DASHES[at % 5]},
            marker={"symbol": MARKERS[at % 5]},
        )
        records += [
            {
                "model": SHORT[name],
                "problems": group,
                "k": k,
                "pass@k": row.value,
                "low": bounds(row)[0],
                "high": bounds(row)[1],
                "n": row.n,
            }
            for k, row in zip(ks, rows, strict=True)
        ]
    figure.update_xaxes(
        title="k, samples for each problem (log scale)",
        type="log",
        tickvals=list(ks),
        ticktext=[str(k) for k in ks],
    )
    figure.update_yaxes(title="problems with a right sample among k (%)", range=[0, 104])
    figure.update_layout(title="pass@k of mini-K2 before and after fine-tuning", height=440)
    return figure, records


def contrast_picture(found: Found) -> Picture:
    """pass@1 of base, direct answers and SFT on each benchmark, with intervals."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    titles = {"base": "base", "direct": "direct answers", "sft": "SFT with reasoning"}
    for hatch, (name, title) in zip(HATCHES, titles.items(), strict=False):
        rows = [found[f"sft.pass_at_1.{ROW_NAMES[name]}.{tier}"] for tier in BENCHMARKS]
        figure.add_bar(
            x=list(BENCHMARKS),
            y=[100 * row.value for row in rows],
            name=title,
            error_y=_errors(rows),
            text=[f"{100 * row.value:.0f}" for row in rows],
            textposition="outside",
            marker={"pattern": {"shape": hatch}},
        )
        records += [
            {
                "model": title,
                "benchmark": tier,
                "pass@1": row.value,
                "low": bounds(row)[0],
                "high": bounds(row)[1],
                "n": row.n,
            }
            for tier, row in zip(BENCHMARKS, rows, strict=True)
        ]
    figure.update_yaxes(title="pass@1 (%)", range=[0, 112])
    figure.update_layout(
        title="The same model, with and without reasoning", legend={"orientation": "h", "y": 1.12}
    )
    return figure, records


def _errors(rows: Sequence[Effect | Row]) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [100 * (bounds(row)[1] - row.value) for row in rows],
        "arrayminus": [100 * (row.value - bounds(row)[0]) for row in rows],
    }


def mistakes_picture(found: Found) -> Picture:
    """The first mistake of SFT's responses: stacked shares of all responses, by benchmark."""
    import plotly.graph_objects as go

    kinds = [kind for kind in KINDS if kind != mistakes.RIGHT]
    records: Records = [
        {"benchmark": tier, **{kind: _share(found, tier, kind) for kind in kinds}} for tier in BENCHMARKS
    ]
    figure = go.Figure()
    for kind in kinds:
        figure.add_bar(
            y=list(BENCHMARKS),
            x=[100 * (record[kind] or 0.0) for record in records],
            orientation="h",
            name=kind,
            marker=mistake_mark(kind),
        )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title="share of all responses (%)", rangemode="tozero")
    figure.update_layout(
        title="Where the remaining errors begin", barmode="stack", height=400, legend={"traceorder": "normal"}
    )
    return figure, records


def _share(found: Found, tier: str, kind: str) -> float | None:
    row = found.get(mistake_row(tier, kind))
    return None if row is None else row.value


def seed_records(results: SftResults) -> Records:
    """pass@1 of SFT for each seed alone, then all together."""
    tables = {
        group: table_of(results.scores["sft"], right_among(1), tiers=tiers)
        for group, tiers in groups().items()
    }
    alone = [
        {"seed": str(seed), **{group: _shown(table.by_seed[seed]) for group, table in tables.items()}}
        for seed in results.seeds
    ]
    return [*alone, {"seed": "all", **{group: _shown(table.mean) for group, table in tables.items()}}]


def _shown(values: Numbers) -> float:
    return round(float(values.mean()), 3)
