"""What `k2repro emulate`, `k2repro replay` and `k2repro race` print: text for people, JSON for programs."""

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.wafer.calibration.render import json_text
from k2repro.wafer.model.answers import Prediction
from k2repro.wafer.model.cost import Cost, cost_per_million_tokens
from k2repro.wafer.model.device_file import ask_device
from k2repro.wafer.model.devices import Device
from k2repro.wafer.model.names import find_config
from k2repro.wafer.model.prediction import predict
from k2repro.wafer.model.speculation import Speculation
from k2repro.wafer.replay.live import Clock, Lane, Sleep, draw_frame, lane_at_rate, run_race
from k2repro.wafer.replay.replayer import Servers, replay
from k2repro.wafer.replay.step_times import Server
from k2repro.wafer.replay.timeline import Interval, Timeline
from k2repro.wafer.replay.trace_file import read_trace

_BAR = 32
# The time of every token is kept; more than these nobody watches.
LONGEST_RACE = 10_000_000
# Up one line and to its first column, clearing it: a race redraws itself in place.
_REDRAW = "\x1b[1A\x1b[2K"


@dataclass(frozen=True)
class Hardware:
    """What `--device` and its neighbours say. own: quantities with units, None where not given.

    devices None: as many as the device's name says ("8xH100"), or one.
    """

    device: str
    precision: str = "bf16"
    devices: int | None = None
    engine: str | None = None
    layer_split: bool = False
    kv_bits: float = 16.0
    own: Mapping[str, str | None] = field(default_factory=dict)

    def resolve(self) -> tuple[Device, int]:
        """The device and how many of it; K2ReproError when the name and --devices contradict."""
        count, device = ask_device(self.device, self.own)
        if self.devices is not None and count not in (1, self.devices):
            raise K2ReproError(
                f"{self.device!r} names {count} devices and --devices {self.devices}; give one"
            )
        return device, count if self.devices is None else self.devices


def read_tokens(text: str) -> int:
    """A number of tokens: 32000, 32k (32,768) or 1m; K2ReproError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([km]?)", text.strip().lower().replace(",", ""))
    count = float(found[1]) * {"": 1, "k": 1024, "m": 1024**2}[found[2]] if found else 0.0
    if count < 1:
        raise K2ReproError(f"{text!r} is no number of tokens; write 32000, 32k or 1m")
    return round(count)


def read_draft(text: str) -> Speculation:
    """A draft from "4:0.8" (tokens a pass, acceptance) or "4:0.8:0.05" (and cost of a draft step)."""
    parts = text.split(":")
    try:
        tokens, acceptance = int(parts[0]), float(parts[1])
        cost = float(parts[2]) if len(parts) == 3 else 0.0
    except (ValueError, IndexError):
        raise K2ReproError(
            f"draft {text!r} is not understood; write TOKENS:ACCEPTANCE or TOKENS:ACCEPTANCE:COST, "
            "for example 4:0.8:0.05"
        ) from None
    return Speculation(acceptance, tokens, cost)


def emulate(
    model: str,
    hardware: Hardware,
    *,
    batch: int = 1,
    context: int = 1024,
    draft: Speculation | None = None,
    price: float | None = None,
    as_json: bool = False,
) -> str:
    """One prediction as text or JSON. price: money per device and hour.

    Raises K2ReproError as `predict` does; a model that does not fit says by how much, and how many
    devices it needs.
    """
    device, devices = hardware.resolve()
    found = predict(
        find_config(model),
        device,
        precision=hardware.precision,
        batch_size=batch,
        context_length=context,
        devices=devices,
        engine=hardware.engine,
        layer_split=hardware.layer_split,
        kv_bytes_per_value=hardware.kv_bits / 8,
        speculation=draft,
    )
    cost = cost_per_million_tokens(found, price_per_device_hour=price)
    if not as_json:
        return _describe(found, cost)
    fields = {**asdict(found), "aggregate_tokens_per_second": found.aggregate_tokens_per_second}
    if price is not None:
        fields["price_per_million_tokens"] = cost.price
    return json_text(fields)


def _describe(found: Prediction, cost: Cost) -> str:
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
        lines.append(
            f"  at most {_number(joules)} J per token, {_number(cost.kilowatt_hours or 0.0)} kWh per million "
            "tokens (full power)"
        )
    if cost.price is not None:
        lines.append(f"  {cost.price:,.2f} per million tokens at the price given")
    if math.isfinite(found.simple_tokens_per_second):
        simple = _number(found.simple_tokens_per_second)
        lines.append(f"  one share of bandwidth, fitted for this kind of software, would say {simple} tok/s")
    lines += [f"  note: {note}" for note in found.notes]
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


def replay_file(
    path: str | Path,
    *,
    model: str,
    hardware: Hardware,
    planner_model: str | None = None,
    planner_device: str | None = None,
    planner_devices: int | None = None,
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
    device, devices = hardware.resolve()
    draft = None if draft_model is None else find_config(draft_model)
    solver = Server(
        find_config(model), device, hardware.precision, devices, hardware.engine, draft, draft_cost_ratio
    )
    planner = None
    if planner_model or planner_device:
        where = replace(hardware, device=planner_device, own={}) if planner_device else hardware
        device, devices = replace(where, devices=planner_devices).resolve()
        planner = Server(
            find_config(planner_model or model), device, hardware.precision, devices, hardware.engine
        )
    timeline = replay(trace, Servers(solver, planner), policy=policy, copies=copies)
    return _timeline_json(timeline) if as_json else _timeline_text(timeline, Path(path).name)


def _timeline_json(timeline: Timeline) -> str:
    phases = [
        {key: value for key, value in asdict(phase).items() if key not in ("step_ends", "step_tokens")}
        for phase in timeline.phases
    ]
    return json_text(
        {
            "seconds": timeline.seconds,
            "tokens": timeline.tokens,
            "joules": timeline.joules,
            "latency": asdict(timeline.latency()),
            "time_to_first_token": asdict(timeline.time_to_first_token()),
            "breakdown": timeline.breakdown(),
            "phases": phases,
        }
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
    terminal: bool = True,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
) -> str:
    """Run a race in a terminal through `write`; returns the last picture.

    lanes: as for `parse_lane`; the usual ones are 20, 200 and 2000 tokens per second.
    terminal: False writes the last picture only, without control codes.
    Raises K2ReproError for a lane that is none, and for a number of tokens outside 1 .. LONGEST_RACE.
    """
    if not 1 <= tokens <= LONGEST_RACE:
        raise K2ReproError(f"{tokens:,} tokens: a race is run over 1 to {LONGEST_RACE:,}")
    runners = [parse_lane(text, tokens) for text in lanes]
    picture = ""
    for frame in run_race(runners, seconds=seconds, clock=clock, sleep=sleep):
        if picture and terminal:
            write(_REDRAW * (picture.count("\n") + 1))
        picture = draw_frame(runners, frame)
        if terminal:
            write(picture + "\n")
    if not terminal:
        write(picture + "\n")
    return picture
