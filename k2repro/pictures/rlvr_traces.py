"""One problem along a run, line by line: the figure behind the slider of notebook 03."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.lab.rlvr import Log
from k2repro.mini.benchmarks import benchmark_problems
from k2repro.mini.mistakes import RIGHT, diagnose
from k2repro.mini.problem import Problem
from k2repro.mini.rendering import response_lines
from k2repro.notebook.palette import BLUE, GREY, VERMILLION
from k2repro.notebook.slider import with_slider
from k2repro.pictures.style import Picture

GOOD, FIRST_MISTAKE, AFTER = "right so far", "first mistake", "after a mistake"
# Sign and colour of each state of a line.
SIGNS = {GOOD: ("circle", BLUE), FIRST_MISTAKE: ("x", VERMILLION), AFTER: ("circle-open", GREY)}
WIDEST = 92
NOTHING = "(an empty response)"


@dataclass(frozen=True)
class Line:
    """One line of a rendered response and its state, a key of SIGNS."""

    text: str
    state: str


def turned_right(log: Log, tiers: Sequence[str]) -> Problem:
    """The first problem with kept texts that was wrong at the start and right at the end of a run.

    tiers: in the order of search. Without one (nothing was learned), the first problem of all.
    """
    first, last = log.points[0], log.points[-1]
    kept = [problem for tier in tiers for problem in _kept(log, tier)]
    if not kept:
        raise K2ReproError(f"the run {log.run.name!r} kept no text of {', '.join(tiers)}")
    for problem, at in kept:
        if first.right[problem.tier][at] == "0" and last.right[problem.tier][at] == "1":
            return problem
    return kept[0][0]


def _kept(log: Log, tier: str) -> list[tuple[Problem, int]]:
    """Problems of a tier whose responses were kept, with their places in the probe."""
    asked = benchmark_problems(tier, "validation", len(log.points[0].right[tier]))
    return [(problem, at) for at, problem in enumerate(asked) if problem.id in log.points[0].texts]


def marked_lines(problem: Problem, response: str) -> list[Line]:
    """The lines of a response as sentences, each with its state.

    >>> marked_lines(problem, "<think></think><answer> m=3</answer>")[-1].state  # doctest: +SKIP
    'first mistake'
    """
    lines = response_lines(response) or [NOTHING]
    found = diagnose(problem, response)
    if found.kind == RIGHT:
        return [Line(text, GOOD) for text in lines]
    before = response_lines(response[: found.at])
    good = 0
    while good < min(len(lines), len(before)) and lines[good] == before[good]:
        good += 1
    good = min(good, len(lines) - 1)
    states = [GOOD] * good + [FIRST_MISTAKE] + [AFTER] * (len(lines) - good - 1)
    return [Line(text, state) for text, state in zip(lines, states, strict=True)]


def steps_picture(log: Log, problem: Problem) -> Picture:
    """The response to one problem at every point of a run; a slider moves along the steps."""
    responses = [(point.step, point.texts[problem.id]) for point in log.points]
    marked = [marked_lines(problem, response) for _, response in responses]
    longest = max(len(lines) for lines in marked)
    figure = with_slider(
        [_state(lines) for lines in marked], [str(step) for step, _ in responses], "after steps: "
    )
    figure.update_xaxes(visible=False, range=[-0.2, 10])
    figure.update_yaxes(title="line of the response", range=[longest + 0.7, 0.3], dtick=1)
    figure.update_layout(
        title="One problem along the run", height=230 + 22 * longest, legend={"orientation": "h", "y": 1.02}
    )
    records = [
        {
            "after steps": step,
            "lines": len(lines),
            "verdict": diagnose(problem, response).kind,
            "last line": lines[-1].text,
        }
        for (step, response), lines in zip(responses, marked, strict=True)
    ]
    return figure, records


def _state(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """A trace for each kind of line, so that the legend explains the signs.

    A kind without a line keeps an empty mark: plotly drops the legend of a trace that has none.
    """
    traces = []
    for kind, (symbol, colour) in SIGNS.items():
        chosen: list[tuple[int | None, Line]] = [
            (at, line) for at, line in enumerate(lines, 1) if line.state == kind
        ] or [(None, Line("", kind))]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "name": kind,
                "x": [0] * len(chosen),
                "y": [at for at, _ in chosen],
                "text": [f"  {_short(line.text)}" for _, line in chosen],
                "textposition": "middle right",
                "marker": {"symbol": symbol, "color": colour, "size": 9},
            }
        )
    return traces


def _short(text: str) -> str:
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"
