"""Figures of notebook 07, each built from predictions; plotly is imported when one is drawn.

Every function returns the figure and the records that it shows, in the two arguments that `show`
wants.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.notebook.palette import DASHES, MARKERS
from k2repro.notebook.slider import with_slider
from k2repro.pictures.style import HATCHES, Picture, Records
from k2repro.wafer.calibration.rates import Rate
from k2repro.wafer.model.answers import Prediction
from k2repro.wafer.model.breakdown import CAUSES
from k2repro.wafer.model.device_names import find_device
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.mesh import best_cores_per_layer, layer_seconds, load_mesh_parameters, place
from k2repro.wafer.model.names import Config, find_shape
from k2repro.wafer.model.prediction import sweep
from k2repro.wafer.model.shapes import ModelShape
from k2repro.wafer.model.speculation import needed_acceptance


def roofline_picture(devices: Sequence[Device], shape: ModelShape, batches: Sequence[int]) -> Picture:
    """Attainable arithmetic against arithmetic per byte, one roof per device (log-log).

    The dots are the model's decode steps at some batch sizes with a short context, 16 bit.
    """
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    grid = np.logspace(-1, 5, 31)
    for index, device in enumerate(devices):
        peak = device.peak_bf16_flops
        if peak is None:
            raise K2ReproError(f"{device.name} has no published peak; a roof needs one")
        roof = np.minimum(grid * device.bandwidth_gbs * 1e9, peak) / 1e12
        figure.add_scatter(
            x=grid, y=roof, mode="lines", name=device.name, line={"dash": DASHES[index % len(DASHES)]}
        )
        for batch in batches:
            intensity = float(batch)  # 2 FLOP per weight and sequence, 2 bytes per weight
            tera = min(intensity * device.bandwidth_gbs * 1e9, peak) / 1e12
            records.append(
                {
                    "device": device.name,
                    "batch": batch,
                    "FLOP per byte": intensity,
                    "attainable TFLOP/s": tera,
                    "tokens/s at the roof": tera * 1e12 / (2 * shape.decode_parameters),
                }
            )
    figure.add_scatter(
        x=[record["FLOP per byte"] for record in records],
        y=[record["attainable TFLOP/s"] for record in records],
        mode="markers",
        name="decode steps",
        marker={"symbol": "diamond", "size": 9},
        text=[f"{record['device']}, batch {record['batch']}" for record in records],
        hovertemplate="%{text}<br>%{y:.3g} TFLOP/s<extra></extra>",
    )
    figure.update_xaxes(type="log", title="FLOP per byte read")
    figure.update_yaxes(type="log", title="attainable TFLOP/s")
    figure.update_layout(title=f"Roofs of devices, and where {shape.name} decodes", height=480)
    return figure, records


def ladder_picture(rungs: Mapping[str, float]) -> Picture:
    """Ratios from the article's bandwidths down to predicted rates, as bars on a log axis."""
    import plotly.graph_objects as go

    records: Records = [{"wafer against H100": name, "times": value} for name, value in rungs.items()]
    figure = go.Figure(
        go.Bar(
            y=list(rungs),
            x=list(rungs.values()),
            orientation="h",
            text=[f"{value:,.0f} times" if value >= 10 else f"{value:.1f} times" for value in rungs.values()],
            textposition="outside",
        )
    )
    figure.update_xaxes(type="log", title="times faster", range=[0, math.log10(max(rungs.values())) + 0.7])
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(title="From a ratio of bandwidths to a ratio of rates", height=440, showlegend=False)
    return figure, records


def _curve(shape: ModelShape, sides: np.ndarray, context: float) -> np.ndarray:
    parameters = load_mesh_parameters()
    return np.array(
        [
            1.0
            / (
                shape.layers
                * sum(layer_seconds(place(shape, side**2, context_length=context), parameters).values())
            )
            for side in sides
        ]
    )


def mesh_picture(rows: Sequence[Rate], models: Sequence[str]) -> Picture:
    """Decode rate against the side of the mesh that works on one layer: model and WSE-2 rows."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    sides = np.logspace(math.log10(60), math.log10(900), 28)
    for index, model in enumerate(models):
        shape, dash = find_shape(model), DASHES[index % len(DASHES)]
        figure.add_scatter(
            x=sides,
            y=_curve(shape, sides, 4096),
            mode="lines",
            name=model,
            line={"dash": dash},
            legendgroup=model,
        )
        points = [
            (float(row.parallelism.split()[1].split("x")[0]), row.tokens_per_second)
            for row in rows
            if row.model == model
        ]
        if points:
            figure.add_scatter(
                x=[x for x, _ in points],
                y=[y for _, y in points],
                mode="markers",
                name=f"{model}, measured",
                legendgroup=model,
                marker={"symbol": MARKERS[index], "size": 11},
            )
        records += _mesh_records(model, shape, points)
    figure.update_xaxes(
        type="log", title="cores along one side of a layer's region", tickvals=[60, 100, 200, 420, 660, 900]
    )
    figure.update_yaxes(title="tokens per second", rangemode="tozero")
    figure.update_layout(title="More cores on a layer: faster at first, then slower", height=460)
    return figure, records


def _mesh_records(model: str, shape: ModelShape, points: Sequence[tuple[float, float]]) -> Records:
    """Measured (side, rate) points beside the curve, and the side at which the curve is highest."""
    best = math.sqrt(best_cores_per_layer(shape, load_mesh_parameters(), context_length=4096))
    wanted = [(model, side, rate) for side, rate in points] + [(f"{model}, best side", best, None)]
    return [
        {
            "model": name,
            "side (cores)": side,
            "measured tokens/s": rate,
            "predicted tokens/s": float(_curve(shape, np.array([side]), 4096)[0]),
        }
        for name, side, rate in wanted
    ]


def _grouped(prediction: Prediction) -> dict[str, float]:
    """Milliseconds by the names of CAUSES."""
    grouped: dict[str, float] = {}
    for cause, seconds in prediction.breakdown.items():
        name = CAUSES[cause].label
        grouped[name] = grouped.get(name, 0.0) + 1e3 * seconds
    return {name: value for name, value in grouped.items() if value > 0}


def breakdown_picture(predictions: Mapping[str, Prediction]) -> Picture:
    """Where one step's time goes, in per cent of the step; the rate stands at the bar's end."""
    import plotly.graph_objects as go

    parts = {label: _grouped(found) for label, found in predictions.items()}
    names = list(dict.fromkeys(name for group in parts.values() for name in group))
    figure, records = go.Figure(), []
    for index, name in enumerate(names):
        shares = [100 * group.get(name, 0.0) / sum(group.values()) for group in parts.values()]
        figure.add_bar(
            y=list(parts),
            x=shares,
            orientation="h",
            name=name,
            marker={"pattern": {"shape": HATCHES[index % len(HATCHES)]}},
            text=[f"{share:.0f}" if share >= 6 else "" for share in shares],
        )
    for label, found in predictions.items():
        figure.add_annotation(
            y=label, x=101, xanchor="left", showarrow=False, text=f"{found.tokens_per_second:,.0f} tok/s"
        )
        records.append(
            {
                "deployment": label,
                "tokens/s": found.tokens_per_second,
                "low": found.low,
                "high": found.high,
                "step (ms)": 1e3 * found.step_seconds,
                "waits for": found.bound,
            }
            | {f"{name} (ms)": parts[label].get(name, 0.0) for name in names}
        )
    figure.update_xaxes(title="share of the step (%)", range=[0, 118], tickvals=[0, 20, 40, 60, 80, 100])
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(
        barmode="stack",
        title="Where the time of one token goes",
        height=480,
        legend={"orientation": "h", "y": -0.22, "traceorder": "normal"},
    )
    return figure, records


def bands_picture(
    predictions: Mapping[str, Prediction], claims: Mapping[str, float], draft_tokens: int
) -> Picture:
    """Predicted rates with 80 % bands beside claimed rates, and what a draft would have to do."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    labels, rates = list(predictions), [p.tokens_per_second for p in predictions.values()]
    figure.add_scatter(
        x=rates,
        y=labels,
        mode="markers",
        name="predicted, no draft",
        marker={"size": 11},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [p.high - p.tokens_per_second for p in predictions.values()],
            "arrayminus": [p.tokens_per_second - p.low for p in predictions.values()],
        },
    )
    for index, (claim, rate) in enumerate(claims.items()):
        figure.add_scatter(
            x=[rate, rate],
            y=[labels[0], labels[-1]],
            mode="lines",
            name=claim,
            line={"dash": DASHES[index + 1]},
        )
        records += [
            {"claim": claim, "deployment": label} | _what_it_takes(rate, found, draft_tokens)
            for label, found in predictions.items()
        ]
    figure.update_xaxes(type="log", title="tokens per second of one sequence")
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(title="What the two published rates ask for", height=460)
    return figure, records


def _what_it_takes(rate: float, found: Prediction, draft_tokens: int) -> dict[str, float | None]:
    """How many times faster the claimed rate is than the predicted one, and the acceptance that asks for."""
    factors = [rate / value for value in (found.high, found.tokens_per_second, found.low)]
    low, middle, high = (_acceptance(factor, draft_tokens) for factor in factors)
    return {
        "needs times": factors[1],
        "at best": factors[0],
        "at worst": factors[2],
        "acceptance": middle,
        "acceptance, low": low,
        "acceptance, high": high,
    }


def _acceptance(factor: float, draft_tokens: int) -> float | None:
    """Acceptance that gives the factor; 0 below one, None where no acceptance can."""
    if factor <= 1:
        return 0.0
    return needed_acceptance(factor, draft_tokens) if factor <= draft_tokens + 1 else None


def contexts_picture(
    model: Config, deployments: Mapping[str, tuple[str, int]], contexts: Sequence[int], batches: Sequence[int]
) -> Picture:
    """Rate against context, one line per deployment; a slider switches the batch."""
    states, records = [], []
    for batch in batches:
        state = []
        for index, (label, (device, devices)) in enumerate(deployments.items()):
            rates = sweep(
                model, device, devices=devices, batch_sizes=batch, context_lengths=np.array(contexts)
            )
            state.append(
                {
                    "x": list(contexts),
                    "y": rates.tolist(),
                    "mode": "lines+markers",
                    "name": label,
                    "line": {"dash": DASHES[index]},
                    "marker": {"symbol": MARKERS[index]},
                }
            )
            records += [
                {
                    "batch": batch,
                    "deployment": label,
                    "context": context,
                    "tokens/s per sequence": rate,
                    "tokens/s of all": batch * rate,
                }
                for context, rate in zip(contexts, rates.tolist(), strict=True)
            ]
        states.append(state)
    figure = with_slider(states, [str(batch) for batch in batches], "batch: ", first=0)
    # One axis for all states: a slider that pushes lines off the plot hides what it is about.
    shown = [record["tokens/s per sequence"] for record in records]
    ends = [math.log10(min(shown) * 0.8), math.log10(max(shown) * 1.25)]
    figure.update_xaxes(type="log", title="context (tokens)")
    figure.update_yaxes(type="log", title="tokens per second of one sequence", range=ends)
    figure.update_layout(title="What context and batch cost", height=520)
    return figure, records


def fan_of_devices(names: Sequence[str]) -> list[Device]:
    """Devices by name, for `roofline_picture`."""
    return [find_device(name) for name in names]
