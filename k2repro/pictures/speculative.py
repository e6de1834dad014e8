"""Figures of notebook 06: one response cycle by cycle, tokens a pass, kinds of token, spread, speed."""

from collections.abc import Mapping, Sequence
from typing import Any

from k2repro.evaluate.intervals import Interval
from k2repro.lab.speculative_rows import (
    GAMMA,
    extremes,
    modelled_speed,
    spread,
    spread_interval,
    tokens_a_pass,
)
from k2repro.notebook.palette import DASHES, MARKERS, PALETTE
from k2repro.notebook.slider import with_slider
from k2repro.pictures.style import HATCHES, Picture
from k2repro.speculative.prediction import expected_tokens

ORIGINS = ("accepted", "corrected", "added")


def cycles_picture(tokens: Sequence[str], origin: Sequence[str]) -> Picture:
    """A response, a cycle more at each place of the slider: whose token each is."""
    import plotly.graph_objects as go

    ends = [at + 1 for at, source in enumerate(origin) if source != "accepted"]
    if not ends or ends[-1] != len(origin):
        ends.append(len(origin))

    def traces(end: int) -> list[Any]:
        found = []
        for number, source in enumerate(ORIGINS):
            places = [at for at in range(end) if origin[at] == source]
            found.append(
                go.Bar(
                    x=[at + 1 for at in places],
                    y=[number + 1 for _ in places],
                    # Without a width plotly makes the bars of rare kinds as wide as their distance.
                    width=0.8,
                    hovertext=[tokens[at] for at in places],
                    name=source,
                    marker={"color": PALETTE[number], "pattern": {"shape": HATCHES[number]}},
                )
            )
        return found

    labels = [str(at + 1) for at in range(len(ends))]
    figure = with_slider([traces(end) for end in ends], labels, "after cycle ", "", play=True)
    figure.update_xaxes(title="token of the response", range=[0, len(origin) + 1])
    figure.update_yaxes(
        tickvals=[1, 2, 3], ticktext=["accepted draft", "target's own", "target's extra"], range=[0, 3.2]
    )
    figure.update_layout(title="One response: whose token is it?", barmode="overlay", bargap=0.1, height=360)
    records = [
        {"token": at + 1, "text": tokens[at], "how it came": source} for at, source in enumerate(origin)
    ]
    return figure, records


def tokens_picture(gammas: Mapping[str, Mapping[str, Any]]) -> Picture:
    """Tokens a pass over the number of guesses, each draft a line, and what independence would give."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    for at, (name, found) in enumerate(gammas.items()):
        x = sorted(int(gamma) for gamma in found)
        seen = [tokens_a_pass(found[str(gamma)]) for gamma in x]
        told = [expected_tokens(found[str(gamma)]["acceptance"], gamma) for gamma in x]
        line = {"color": PALETTE[at], "dash": DASHES[at % len(DASHES)]}
        figure.add_scatter(x=x, y=seen, name=name, line=line, marker={"symbol": MARKERS[at], "size": 9})
        records += [
            {"draft": name, "gamma": g, "tokens a pass": round(s, 2), "were guesses independent": round(t, 2)}
            for g, s, t in zip(x, seen, told, strict=True)
        ]
    figure.update_xaxes(title="guesses a cycle (gamma)")
    figure.update_yaxes(title="tokens a pass of the target", rangemode="tozero")
    figure.update_layout(title="More guesses, more tokens a pass, if the draft is good", height=420)
    return figure, records


def kinds_picture(kinds: Mapping[str, Mapping[str, Sequence[int]]]) -> Picture:
    """Share of the guesses that stay, by the kind of the token that comes; a draft a group of bars."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    for at, (name, found) in enumerate(kinds.items()):
        shares = {kind: stay / (stay + go_) for kind, (stay, go_) in found.items()}
        pattern = {"color": PALETTE[at], "pattern": {"shape": HATCHES[at]}}
        figure.add_bar(x=list(shares), y=list(shares.values()), name=name, marker=pattern)
        records += [
            {"draft": name, "token": kind, "accepted": round(share, 3), "of": sum(found[kind])}
            for kind, share in shares.items()
        ]
    figure.update_xaxes(title="kind of token")
    figure.update_yaxes(title="share of guesses accepted", range=[0, 1])
    figure.update_layout(title="Which tokens are hard to guess", barmode="group", height=400)
    return figure, records


def spread_picture(gammas: Mapping[str, Mapping[str, Any]], stated: float) -> Picture:
    """Spread over prompts against the number of guesses; `stated`: the article's share, a line."""
    import plotly.graph_objects as go

    figure, records, highest = go.Figure(), [], stated
    for at, (name, found) in enumerate(gammas.items()):
        x = sorted(int(gamma) for gamma in found)
        y = [spread(found[str(gamma)]) for gamma in x]
        within = [spread_interval(found[str(gamma)]) for gamma in x]
        highest = max(highest, *y, *(one.high for one in within))
        figure.add_scatter(
            x=x,
            y=y,
            name=name,
            line={"color": PALETTE[at], "dash": DASHES[at % len(DASHES)]},
            marker={"symbol": MARKERS[at], "size": 9},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, one.high - value) for one, value in zip(within, y, strict=True)],
                "arrayminus": [max(0.0, value - one.low) for one, value in zip(within, y, strict=True)],
            },
        )
        records += [
            _spread_record(name, gamma, value, one, extremes(found[str(gamma)]))
            for gamma, value, one in zip(x, y, within, strict=True)
        ]
    figure.add_hline(y=stated, line={"dash": "dot"}, annotation_text="the article")
    figure.update_xaxes(title="guesses a cycle (gamma)")
    # Plotly fits an axis to its traces, so a line beyond them would stand outside the plot, or nowhere.
    figure.update_yaxes(title="standard deviation / mean, over prompts", range=[0, 1.1 * highest])
    figure.update_layout(title="How much the speed varies with the prompt", height=400)
    return figure, records


def _spread_record(
    name: str, gamma: int, value: float, within: Interval, ends: tuple[float, float]
) -> dict[str, object]:
    return {
        "draft": name,
        "gamma": gamma,
        "spread": round(value, 3),
        "95 % interval": f"{within.low:.3f} to {within.high:.3f}",
        "slowest and fastest prompt": f"{ends[0]:+.0%} and {ends[1]:+.0%}",
    }


def sizes_picture(gammas: Mapping[str, Any], draft: int, targets: Mapping[str, int]) -> Picture:
    """Modelled speed of one draft over the number of guesses, for targets of several sizes."""
    import plotly.graph_objects as go

    figure, records = go.Figure(), []
    for at, (name, size) in enumerate(targets.items()):
        x = sorted(int(gamma) for gamma in gammas)
        y = [modelled_speed(tokens_a_pass(gammas[str(gamma)]), gamma, draft / size) for gamma in x]
        line = {"color": PALETTE[at], "dash": DASHES[at]}
        figure.add_scatter(x=x, y=y, name=name, line=line, marker={"symbol": MARKERS[at], "size": 9})
        records += [{"target": name, "gamma": g, "speed": round(s, 2)} for g, s in zip(x, y, strict=True)]
    figure.add_hline(y=1.0, line={"dash": "dot"}, annotation_text="no draft")
    figure.update_xaxes(title="guesses a cycle (gamma)")
    figure.update_yaxes(title="modelled speed (1: no draft)", rangemode="tozero")
    figure.update_layout(title="The same draft for targets of three sizes", height=400)
    return figure, records


def rule_records(rules: Mapping[str, Any]) -> list[dict[str, object]]:
    """Tokens a pass and acceptance of each rule at each temperature."""
    found = []
    for name, counts in rules.items():
        rule, temperature = name.split()
        found.append(
            {
                "temperature": float(temperature),
                "rule": rule,
                "accepted": round(counts["acceptance"], 3),
                "tokens a pass": round(tokens_a_pass(counts), 2),
            }
        )
    return found


def length_records(gammas: Mapping[str, Any]) -> list[dict[str, object]]:
    """How many passes kept 0, 1, 2 ... guesses of each draft."""
    return [
        {"draft": name, **{str(at): count for at, count in enumerate(found[str(GAMMA)]["lengths"])}}
        for name, found in gammas.items()
    ]
