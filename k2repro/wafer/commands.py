"""What `k2repro emulate`, `k2repro replay` and `k2repro race` print: text for people, JSON for programs."""

import json
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError
from k2repro.wafer.model.answers import Prediction
from k2repro.wafer.model.cost import cost_per_million_tokens
from k2repro.wafer.model.prediction import Config, predict
from k2repro.wafer.model.shapes import ModelShape, find_shape
from k2repro.wafer.replay.live import Clock, Lane, Sleep, draw_frame, lane_at_rate, run_race
from k2repro.wafer.replay.replayer import Servers, replay
from k2repro.wafer.replay.step_times import Server
from k2repro.wafer.replay.timeline import Interval, Timeline
from k2repro.wafer.replay.trace_file import read_trace

_BAR = 32
# Up one line and to its first column, clearing it: a race redraws itself in place.
_REDRAW = "\x1b[1A\x1b[2K"


def find_config(model: str) -> Config:
    """A model by name, or from a config.json or checkpoint folder when such a path exists."""
    if Path(model).exists():
        from k2repro.architecture import ModelConfig

        return ModelShape.from_config(ModelConfig.from_file(model), name=Path(model).stem)
    return find_shape(model)


def emulate(
    model: str,
    device: str,
    *,
    precision: str = "bf16",
    batch: int = 1,
    context: int = 1024,
    devices: int = 1,
    engine: str | None = None,
    as_json: bool = False,
) -> str:
    """One prediction as text or JSON.

    Raises K2ReproError as `predict` does; a model that does not fit says by how much, and how many
    devices it needs.
    """
    found = predict(
        find_config(model),
        device,
        precision=precision,
        batch_size=batch,
        context_length=context,
        devices=devices,
        engine=engine,
    )
    if as_json:
        return (
            json.dumps(
                _plain({**asdict(found), "aggregate_tokens_per_second": found.aggregate_tokens_per_second}),
                indent=1,
            )
            + "\n"
        )
    return _describe(found)


def _describe(found: Prediction) -> str:
    each = " per sequence" if found.batch_size > 1 else ""
    lines = [
        f"{found.model} on {found.devices} x {found.device}, {found.precision}, batch "
        f"{found.batch_size}, {found.context_length:g} tokens of context ({found.engine})",
        "",
        f"  {_number(found.tokens_per_second)} tok/s{each}, 80 % interval "
        f"{_number(found.low)} .. {_number(found.high)}",
    ]
    if found.batch_size > 1:
        lines.append(f"  {_number(found.aggregate_tokens_per_second)} tok/s of the whole batch")
    lines += [
        f"  roofline {_number(found.roofline_tokens_per_second)} tok/s: "
        f"{100 * found.tokens_per_second / found.roofline_tokens_per_second:.2g} % of it",
        "",
        f"  one step takes {_seconds(found.step_seconds)}; it waits for {found.bound}:",
    ]
    lines += _bars(found.breakdown)
    lines += ["", f"  fits; at least {found.devices_needed} x {found.device} needed"]
    joules = found.joules_per_token
    if joules is not None:
        energy = cost_per_million_tokens(found).kilowatt_hours or 0.0
        lines.append(
            f"  at most {_number(joules)} J per token, {_number(energy)} kWh per million "
            "tokens (full board power)"
        )
    return "\n".join(lines) + "\n"


def _bars(parts: dict[str, float]) -> list[str]:
    """Seconds by cause as bars; parts below a thousandth are left out."""
    total = sum(parts.values())
    shown = {name: seconds for name, seconds in parts.items() if seconds > total / 1000}
    width = max(len(name) for name in shown)
    return [
        f"    {name.replace('_', ' '):<{width}}  {'#' * round(_BAR * seconds / total):<{_BAR}} "
        f"{_seconds(seconds):>9}  {100 * seconds / total:4.1f} %"
        for name, seconds in sorted(shown.items(), key=lambda part: -part[1])
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:,.4g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def _plain(value: Any) -> Any:
    """JSON has neither infinity nor nan: such a number becomes null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value


def replay_file(
    path: str | Path,
    *,
    model: str,
    device: str,
    precision: str = "bf16",
    devices: int = 1,
    engine: str | None = None,
    planner_model: str | None = None,
    planner_device: str | None = None,
    planner_devices: int = 1,
    draft_model: str | None = None,
    draft_cost_ratio: float = 0.0,
    policy: str = "batch",
    copies: int = 1,
    partial: bool = False,
    as_json: bool = False,
) -> str:
    """A trace file on a device, as text or JSON.

    planner_*: where planner and judge run; without them, on the solver's server. A draft costs
    what its model costs, or draft_cost_ratio target steps per proposed token. Raises K2ReproError
    for an unreadable trace (line and rule named) and for whatever `predict` refuses.
    """
    trace = read_trace(path, partial=partial)
    solver = Server(
        find_config(model),
        device,
        precision,
        devices,
        engine,
        None if draft_model is None else find_config(draft_model),
        draft_cost_ratio,
    )
    planner = None
    if planner_model or planner_device:
        planner = Server(
            find_config(planner_model or model), planner_device or device, precision, planner_devices, engine
        )
    timeline = replay(trace, Servers(solver, planner), policy=policy, copies=copies)
    return _timeline_json(timeline) if as_json else _timeline_text(timeline, Path(path).name)


def _timeline_json(timeline: Timeline) -> str:
    phases = [
        {key: value for key, value in asdict(phase).items() if key not in ("step_ends", "step_tokens")}
        for phase in timeline.phases
    ]
    return (
        json.dumps(
            _plain(
                {
                    "seconds": timeline.seconds,
                    "tokens": timeline.tokens,
                    "joules": timeline.joules,
                    "latency": asdict(timeline.latency()),
                    "time_to_first_token": asdict(timeline.time_to_first_token()),
                    "breakdown": timeline.breakdown(),
                    "phases": phases,
                }
            ),
            indent=1,
        )
        + "\n"
    )


def _timeline_text(timeline: Timeline, name: str) -> str:
    count = len(timeline.requests())
    lines = [f"{name}: {count} request{'s' * (count > 1)}, {timeline.tokens:,} tokens", ""]
    lines += [f"  {server}" for server in dict.fromkeys(p.server for p in timeline.phases)]
    lines += [
        "",
        f"  latency             {_interval(timeline.latency())}",
        f"  first solver token  {_interval(timeline.time_to_first_token())}",
        f"  all tokens          {_number(timeline.tokens / timeline.seconds)} tok/s",
    ]
    if timeline.joules is not None:
        lines.append(
            f"  energy, at most     {_number(timeline.joules / 3.6e3)} Wh "
            "(full board power of the phase that runs)"
        )
    return "\n".join([*lines, "", *_bars(timeline.breakdown())]) + "\n"


def _interval(value: Interval) -> str:
    return f"{_seconds(value.value)} (80 % interval {_seconds(value.low)} .. {_seconds(value.high)})"


def parse_lane(text: str, tokens: int) -> Lane:
    """A lane from "200" (tokens per second) or "MODEL@DEVICE", "MODEL@DEVICExN" (predicted)."""
    try:
        return lane_at_rate(f"{float(text):g} tok/s", float(text), tokens)
    except ValueError as error:
        if isinstance(error, K2ReproError):
            raise
    match = re.fullmatch(r"(.+)@(.+?)(?:x(\d+))?", text)
    if match is None:
        raise K2ReproError(
            f"lane {text!r} is neither a rate such as 200 nor MODEL@DEVICExN such as k2-think@WSE-3x3"
        )
    model, device, devices = match[1], match[2], int(match[3] or 1)
    found = predict(find_config(model), device, devices=devices, context_length=tokens / 2)
    return lane_at_rate(f"{text} ({_number(found.tokens_per_second)} tok/s)", found.tokens_per_second, tokens)


def race(
    lanes: Sequence[str],
    *,
    tokens: int = 2000,
    seconds: float = 20.0,
    write: Callable[[str], object],
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
) -> str:
    """Run a race in a terminal through `write`; returns the last picture.

    lanes: as for `parse_lane`; the usual ones are 20, 200 and 2000 tokens per second.
    """
    runners = [parse_lane(text, tokens) for text in lanes]
    picture = ""
    for frame in run_race(runners, seconds=seconds, clock=clock, sleep=sleep):
        if picture:
            write(_REDRAW * (picture.count("\n") + 1))
        picture = draw_frame(runners, frame)
        write(picture + "\n")
    return picture
