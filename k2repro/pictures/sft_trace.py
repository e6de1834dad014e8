"""One response, token by token: a slider writes it, and shows what each new token looks at.

The states are computed before and stand in the figure, so the slider needs no kernel.
"""

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from k2repro.lessons.specimens import Specimen
from k2repro.mini import tokenizer
from k2repro.mini.rendering import response_lines
from k2repro.notebook.palette import GREY, INK
from k2repro.pictures.style import Picture

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Places = list[tuple[int, int]]  # column and line of each token
STEP = re.compile(r"\d+\. |Answer: ")  # what `response_lines` could read begins like this
TITLE = 76
MARKERS = {tokenizer.TURN_START: "‹turn›", tokenizer.TURN_END: "‹end›"}
COLUMNS = 14
LOOKS = 5
LONGEST = 90
LARGEST_MARK = 46


def trace_picture(specimen: Specimen, attention: np.ndarray) -> Picture:
    """The response of a specimen growing over its prompt.

    attention: [T, T] over prompt and response (see `parity.attention`); the row of the token before says what
    the model looked at when it chose a token. Responses longer than LONGEST tokens are cut there.
    """
    import plotly.graph_objects as go

    prompt = tokenizer.encode(tokenizer.prompt_text(specimen.problem.question))
    tokens = [*prompt, *specimen.tokens[:LONGEST]]
    places, words = _places(len(prompt), len(tokens)), [_word(token) for token in tokens]
    states = range(len(prompt), len(tokens))
    records = [_record(at, len(prompt), tokens, words, attention, specimen) for at in states]
    frames = [
        go.Frame(
            name=str(record["token"]),
            traces=[1, 2, 3],
            layout={"title": {"text": _title(record)}},
            data=_change(at, len(prompt), places, words, attention),
        )
        for at, record in zip(states, records, strict=True)
    ]
    figure = go.Figure(
        data=[
            _text(range(len(prompt)), places, words, "prompt"),
            *_state(len(tokens) - 1, len(prompt), places, words, attention),
        ],
        frames=frames,
    )
    _lay_out(figure, places, [frame.name for frame in frames])
    figure.update_layout(title=_title(records[-1]))
    return figure, records


def _places(prompt: int, total: int) -> Places:
    """Column and line of each token; the response begins on a line of its own."""
    first = -(-prompt // COLUMNS)
    return [
        (at % COLUMNS, at // COLUMNS)
        if at < prompt
        else ((at - prompt) % COLUMNS, first + (at - prompt) // COLUMNS)
        for at in range(total)
    ]


def _state(at: int, prompt: int, places: Places, words: list[str], attention: np.ndarray) -> list[Any]:
    """Response so far, the new token, and the tokens that the model looked at to choose it."""
    import plotly.graph_objects as go

    looks = looked_at(attention, at)
    seen = go.Scatter(
        x=[places[where][0] for where, _ in looks],
        y=[places[where][1] for where, _ in looks],
        mode="markers",
        name="looked at",
        hovertext=[f"{weight:.0%}" for _, weight in looks],
        hoverinfo="text",
        marker={
            "symbol": "square",
            "opacity": 0.35,
            "size": [round(10 + LARGEST_MARK * weight**0.5, 1) for _, weight in looks],
        },
    )
    new = go.Scatter(
        x=[places[at][0]],
        y=[places[at][1]],
        mode="markers",
        name="chosen next",
        marker={"symbol": "circle-open", "size": 34, "line": {"width": 3}},
        hoverinfo="skip",
    )
    return [_text(range(prompt, at + 1), places, words, "response"), seen, new]


def _change(
    at: int, prompt: int, places: Places, words: list[str], attention: np.ndarray
) -> list[dict[str, Any]]:
    """What of `_state` changes with each token; repeating the rest would triple the notebook."""
    written, seen, new = (trace.to_plotly_json() for trace in _state(at, prompt, places, words, attention))
    return [
        {"type": "scatter", "text": written["text"]},
        {
            "type": "scatter",
            "x": seen["x"],
            "y": seen["y"],
            "hovertext": seen["hovertext"],
            "marker": {"size": seen["marker"]["size"]},
        },
        {"type": "scatter", "x": new["x"], "y": new["y"]},
    ]


def looked_at(attention: np.ndarray, at: int) -> list[tuple[int, float]]:
    """The tokens that weighed most when token `at` was chosen, with their weights, heaviest first."""
    weights = attention[at - 1]
    order = np.argsort(-weights[:at], kind="stable")[:LOOKS]
    return [(int(place), float(weights[place])) for place in order]


def _text(which: Sequence[int], places: Places, words: list[str], name: str) -> Any:
    import plotly.graph_objects as go

    return go.Scatter(
        x=[places[at][0] for at in which],
        y=[places[at][1] for at in which],
        text=[words[at] for at in which],
        mode="text",
        name=name,
        textfont={"color": GREY if name == "prompt" else INK, "size": 13},
        showlegend=False,
        hoverinfo="skip",
    )


def _lay_out(figure: "Figure", places: Places, names: list[str]) -> None:
    jump = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    lines = max(line for _, line in places) + 1
    figure.update_xaxes(visible=False, range=[-0.7, COLUMNS - 0.3])
    figure.update_yaxes(visible=False, range=[lines - 0.4, -0.6])
    figure.update_layout(
        height=150 + 34 * lines,
        legend={"orientation": "h", "y": 1.1},
        sliders=[
            {
                "active": len(names) - 1,
                "currentvalue": {"prefix": "token "},
                "pad": {"t": 20},
                "steps": [{"label": name, "method": "animate", "args": [[name], jump]} for name in names],
            }
        ],
    )


def _title(record: dict[str, Any]) -> str:
    """The step of the trace that was finished last, in words."""
    line = str(record["finished step"])
    return f"{line[:TITLE]}…" if len(line) > TITLE else line or "The response begins"


def _record(
    at: int, prompt: int, tokens: Sequence[int], words: list[str], attention: np.ndarray, specimen: Specimen
) -> dict[str, Any]:
    text = tokenizer.decode(tokens[prompt : at + 1])
    # A step that is still being written may read like another one; the whole response knows better.
    pairs = zip(response_lines(text), response_lines(specimen.text), strict=False)
    finished = list(itertools.takewhile(lambda pair: pair[0] == pair[1] and STEP.match(pair[0]), pairs))
    wrong = specimen.diagnosis.at < len(text)
    looks = [f"{words[where]} {weight:.0%}" for where, weight in looked_at(attention, at)]
    return {
        "token": at - prompt + 1,
        "written": words[at],
        "looked at": ", ".join(looks),
        "finished step": finished[-1][0] if finished else "",
        "so far": specimen.diagnosis.kind if wrong else "right",
    }


def _word(token: int) -> str:
    """A token as it is shown: without the space in front, line ends and ChatML's markers named."""
    text = tokenizer.decode([token])
    return MARKERS.get(text, text.replace("\n", "⏎").strip() or "·")
