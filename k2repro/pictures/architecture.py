"""Figures of notebook 01, each built from the accounting functions; plotly is imported when one is drawn.

Every function returns the figure and the records that it shows, in the two arguments that `show` wants.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k2repro.architecture.accounting import count_parameters, decode_flops, kv_cache_bytes
from k2repro.architecture.config import ModelConfig
from k2repro.architecture.memory import PRECISIONS, devices_needed, weight_bytes
from k2repro.notebook.palette import BLUE, GREY, VERMILLION
from k2repro.notebook.slider import with_slider
from k2repro.pictures.style import Picture, Records

if TYPE_CHECKING:
    from k2repro.architecture.journey import JourneyStop
    from k2repro.wafer import Device

GIGABYTE = 1e9
CLOCKS_A_ROW = 16
HAND = 0.4
# Component of `count_parameters` -> group a reader can hold in mind, and its own name.
IN_WORDS = {
    "embedding": ("embedding and head", "embedding"),
    "head": ("embedding and head", "head"),
    "attention_query": ("attention", "attention: queries"),
    "attention_key": ("attention", "attention: keys"),
    "attention_value": ("attention", "attention: values"),
    "attention_output": ("attention", "attention: output"),
    "mlp_gate": ("feed-forward", "feed-forward: gate"),
    "mlp_up": ("feed-forward", "feed-forward: up"),
    "mlp_down": ("feed-forward", "feed-forward: down"),
    "norms": ("norms", "norms"),
}
GROUPS = {name: group for name, (group, _) in IN_WORDS.items()}


def journey_picture(steps: Sequence["JourneyStop"]) -> Picture:
    """Width of the vector after each step of one token's journey, from top to bottom."""
    import plotly.graph_objects as go

    stops = [step for step in steps if not step.module.startswith("(")]
    records: Records = [
        {"step": step.module, "what happens": step.meaning, "width": step.shape[-1]} for step in stops
    ]
    groups = [_stream_part(step.module) for step in stops]
    figure = go.Figure()
    for part, shape in (("residual stream", ""), ("attention", "/"), ("feed-forward", "\\"), ("head", "x")):
        chosen = [record for record, group in zip(records, groups, strict=True) if group == part]
        figure.add_bar(
            y=[record["step"] for record in chosen],
            x=[record["width"] for record in chosen],
            text=[f"{record['width']:,}" for record in chosen],
            textposition="outside",
            orientation="h",
            name=part,
            marker={"pattern": {"shape": shape}},
        )
    order = [record["step"] for record in records]
    figure.update_yaxes(categoryorder="array", categoryarray=order[::-1])
    widest = max(record["width"] for record in records)
    figure.update_xaxes(title="values in the token's vector", range=[0, 1.12 * widest])
    figure.update_layout(
        title="One token on its way through K2-Think",
        barmode="overlay",
        height=470,
        legend={"y": 0.98, "x": 0.7},
    )
    return figure, records


def parameters_picture(config: ModelConfig) -> Picture:
    """Parameters of each component, largest first, with its share."""
    import plotly.graph_objects as go

    count = count_parameters(config)
    ordered = sorted(count.by_component.items(), key=lambda item: -item[1])
    records: Records = [
        {"component": IN_WORDS[name][1], "parameters": n, "share": n / count.total} for name, n in ordered
    ]
    figure = go.Figure(
        go.Bar(
            y=[record["component"] for record in records],
            x=[record["parameters"] / GIGABYTE for record in records],
            text=[f"{_billions(record['parameters'])}, {record['share']:.1%}" for record in records],
            textposition="outside",
            orientation="h",
        )
    )
    figure.update_yaxes(autorange="reversed")
    largest = records[0]["parameters"] / GIGABYTE
    figure.update_xaxes(title="parameters (billions)", range=[0, 1.35 * largest])
    figure.update_layout(title="Where the parameters sit", showlegend=False)
    return figure, records


def composition_picture(names: Sequence[str]) -> Picture:
    """Share of embedding, attention and feed-forward in each preset, as stacked bars."""
    import plotly.graph_objects as go

    records: Records = []
    for name in names:
        count = count_parameters(ModelConfig.preset(name))
        shares = dict.fromkeys(GROUPS.values(), 0.0)
        for component, value in count.by_component.items():
            shares[GROUPS[component]] += value / count.total
        records.append({"model": name, "parameters": count.total, **shares})
    figure = go.Figure()
    for group, pattern in (("feed-forward", "\\"), ("attention", "/"), ("embedding and head", "")):
        figure.add_bar(
            x=[record["model"] for record in records],
            y=[100 * record[group] for record in records],
            text=[f"{record[group]:.0%}" for record in records],
            name=group,
            marker={"pattern": {"shape": pattern}},
        )
    figure.update_yaxes(title="share of all parameters (%)", range=[0, 100])
    figure.update_layout(
        title="The smallest model spends most on its vocabulary",
        barmode="stack",
        legend={"orientation": "h", "y": 1.12},
    )
    return figure, records


def wavelengths_picture(configs: Mapping[str, ModelConfig]) -> Picture:
    """Tokens for a full turn of each rotary pair, for up to three configs, on a log axis."""
    import plotly.graph_objects as go

    from k2repro.architecture.rotary import rope_frequencies

    first = next(iter(configs.values()))
    records: Records = [{"pair": pair} for pair in range(first.head_dim // 2)]
    figure = go.Figure()
    for (name, config), dash in zip(configs.items(), ("solid", "dash", "dot"), strict=False):
        waves = (2 * math.pi / rope_frequencies(config)[0]).tolist()
        for record, wave in zip(records, waves, strict=True):
            record[name] = wave
        figure.add_scatter(x=list(range(len(waves))), y=waves, name=name, mode="lines", line={"dash": dash})
    length = first.max_position_embeddings
    figure.add_scatter(
        x=[0, len(records) - 1],
        y=[length] * 2,
        name=f"context of {length:,} tokens",
        mode="lines",
        line={"width": 1},
    )
    figure.update_xaxes(title="pair of dimensions within a head")
    figure.update_yaxes(type="log", title="tokens for one full turn (log scale)")
    figure.update_layout(title="Each pair of dimensions is a clock of its own", legend={"x": 0.02, "y": 0.98})
    return figure, records


def clocks_picture(config: ModelConfig, positions: Sequence[int]) -> Picture:
    """Every rotary pair of a head as a clock; a slider moves the position, and each hand turns at its pace.

    Angle of pair i at position p: p * theta_i, with theta_i of `rope_frequencies` (RoFormer, equation 15).
    """
    from k2repro.architecture.rotary import rope_frequencies

    turns = (rope_frequencies(config)[0] / (2 * math.pi)).tolist()
    centres = [(pair % CLOCKS_A_ROW, -(pair // CLOCKS_A_ROW)) for pair in range(len(turns))]
    states, records = [], []
    for position in positions:
        done = [position * turn for turn in turns]
        states.append(_clocks(centres, done))
        records.append(
            {
                "position": position,
                "turns of the fastest pair": round(done[0], 2),
                "turns of the slowest pair": round(done[-1], 4),
                "pairs past one full turn": sum(turn >= 1 for turn in done),
            }
        )
    labels = [f"{position:,}" for position in positions]
    figure = with_slider(states, labels, "position of the token: ")
    rows = -centres[-1][1] + 1
    figure.update_xaxes(visible=False, range=[-0.7, CLOCKS_A_ROW - 0.3])
    figure.update_yaxes(visible=False, range=[-rows + 0.4, 0.6])
    figure.update_layout(
        title=f"{len(turns)} clocks: the first turns fastest, the last hardly moves",
        height=150 + 56 * rows,
        legend={"orientation": "h", "y": 1.06},
    )
    return figure, records


def _clocks(centres: Sequence[tuple[int, int]], done: Sequence[float]) -> list[Any]:
    """Two groups of hands, by whether the pair has come round; None lifts the pen between two hands."""
    traces = []
    for name, width, past in (
        ("has come round at least once", 1.5, True),
        ("still in its first turn", 4, False),
    ):
        x: list[float | None] = []
        y: list[float | None] = []
        for (column, row), turn in zip(centres, done, strict=True):
            if (turn >= 1) == past:
                angle = 2 * math.pi * turn
                x += [column, column + HAND * math.sin(angle), None]
                y += [row, row + HAND * math.cos(angle), None]
        line = {"width": width, "color": VERMILLION if past else BLUE}
        traces.append({"type": "scatter", "x": x, "y": y, "mode": "lines", "name": name, "line": line})
    middles = {"x": [c for c, _ in centres], "y": [r for _, r in centres], "mode": "markers"}
    look = {"size": 34, "symbol": "circle-open", "color": GREY, "line": {"width": 1}}
    return [*traces, {"type": "scatter", **middles, "marker": look, "showlegend": False, "hoverinfo": "skip"}]


def sharing_picture(config: ModelConfig, contexts: Sequence[int]) -> Picture:
    """KV cache of one sequence by number of KV heads; a slider chooses the context length."""
    import plotly.graph_objects as go

    heads = [n for n in range(1, config.num_attention_heads + 1) if config.num_attention_heads % n == 0]
    records: Records = []
    for context in contexts:
        for count in heads:
            size = kv_cache_bytes(replace(config, num_key_value_heads=count), context)
            records.append({"context": context, "KV heads": count, "GB": size / GIGABYTE})

    def bars(context: int) -> Any:
        chosen = [record for record in records if record["context"] == context]
        return go.Bar(
            x=[str(record["KV heads"]) for record in chosen],
            y=[record["GB"] for record in chosen],
            text=[f"{record['GB']:.3g}" for record in chosen],
            textposition="outside",
            marker={"pattern": {"shape": ["x" if n == config.num_key_value_heads else "" for n in heads]}},
        )

    labels = [f"{context:,}" for context in contexts]
    figure = with_slider([[bars(context)] for context in contexts], labels, "context: ", " tokens")
    figure.update_xaxes(
        title=f"KV heads shared by {config.num_attention_heads} query heads (hatched: this model)",
        type="category",
    )
    most = max(record["GB"] for record in records)
    figure.update_yaxes(title="KV cache of one sequence (GB)", range=[0, 1.12 * most])
    figure.update_layout(title="What grouped-query attention saves", showlegend=False)
    return figure, records


def context_picture(config: ModelConfig, contexts: Sequence[int]) -> Picture:
    """Two shares of one decoding step that grow with the context: FLOPs of attention, bytes of the cache."""
    import plotly.graph_objects as go

    weights = 2 * count_parameters(config).read_per_token
    records: Records = []
    for context in contexts:
        cache = kv_cache_bytes(config, context)
        records.append(
            {
                "context": context,
                "KV cache (GB)": cache / GIGABYTE,
                "attention FLOPs (%)": 100 * decode_flops(config, context).attention_share,
                "cache bytes read (%)": 100 * cache / (cache + weights),
            }
        )
    figure = go.Figure()
    looks = (("attention FLOPs (%)", "solid", "circle"), ("cache bytes read (%)", "dash", "square"))
    for key, dash, symbol in looks:
        figure.add_scatter(
            x=list(contexts),
            y=[record[key] for record in records],
            name=key.removesuffix(" (%)"),
            mode="lines+markers",
            line={"dash": dash},
            marker={"symbol": symbol},
        )
    figure.update_xaxes(type="log", title="tokens of context (log scale)")
    figure.update_yaxes(title="share of one decoding step (%)", rangemode="tozero")
    figure.update_layout(title="What a long context costs", legend={"x": 0.02, "y": 0.98})
    return figure, records


def fit_picture(
    config: ModelConfig, devices: Mapping[str, "Device"], contexts: Sequence[int], batch_size: int = 1
) -> Picture:
    """Devices needed for weights and cache, device against precision; a slider chooses the context."""
    import plotly.graph_objects as go

    precisions = list(PRECISIONS)
    records: Records = []
    for context in contexts:
        cache = kv_cache_bytes(config, context, batch_size)
        for name, device in devices.items():
            counts = {
                precision: devices_needed(
                    weight_bytes(config, precision) + cache, device.capacity_gb * GIGABYTE
                )
                for precision in precisions
            }
            records.append({"context": context, "device": name, "GB": device.capacity_gb, **counts})

    def cells(context: int) -> Any:
        chosen = [record for record in records if record["context"] == context]
        counts = [[record[precision] for precision in precisions] for record in chosen]
        return go.Heatmap(
            x=precisions,
            y=[f"{record['device']} ({record['GB']:g} GB)" for record in chosen],
            z=[[min(count, 4) for count in row] for row in counts],
            text=[[f"{count}" for count in row] for row in counts],
            texttemplate="%{text}",
            zmin=1,
            zmax=4,
            showscale=False,
            xgap=2,
            ygap=2,
        )

    labels = [f"{context:,}" for context in contexts]
    figure = with_slider([[cells(context)] for context in contexts], labels, "context: ", " tokens")
    figure.update_xaxes(title="precision of the weights (KV cache: 16 bit)")
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(title="How many devices hold weights and cache", height=560)
    return figure, records


def _billions(number: int) -> str:
    """Billions where that says something, else the number itself."""
    return f"{number / GIGABYTE:.2f} billion" if number >= GIGABYTE / 100 else f"{number:,}"


def _stream_part(module: str) -> str:
    if module.startswith("self_attn"):
        return "attention"
    if module.startswith("mlp"):
        return "feed-forward"
    return "head" if module == "lm_head" else "residual stream"
