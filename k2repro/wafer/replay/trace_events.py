"""The events of a trace file, checked one by one and put together to requests.

The same builder serves the reader and the writer, so a trace that was written can be read. The
events and their keys are documented in `trace_file.py`.
"""

from dataclasses import dataclass, field
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.wafer.replay.trace import ROLES, STOP_REASONS, Phase, Request, Runs, Stream, Trace

FORMAT = "k2repro-trace"
VERSION = 1
Event = dict[str, Any]

# event -> {key: type}; a trailing "?" marks a key that may be left out.
_KEYS: dict[str, dict[str, type]] = {
    "trace": {"format": str, "version": int, "source?": str, "notes?": dict},
    "request": {"request": str, "question?": str},
    "call": {
        "request": str,
        "phase": str,
        "role": str,
        "prompt_tokens": int,
        "output_tokens": int,
        "stop?": str,
    },
    "fan_out": {"request": str, "phase": str, "samples": int, "draft_tokens?": int},
    "sample": {"request": str, "phase": str, "sample": int, "prompt_tokens": int},
    "steps": {"request": str, "phase": str, "sample": int, "accepted": list, "growth?": list},
    "stop": {"request": str, "phase": str, "sample": int, "reason": str},
    "end": {"requests": int},
}
# A sequence longer than this is a broken counter, not an answer.
_MOST_STEPS = 10_000_000


def header_event(source: str, notes: dict[str, str]) -> Event:
    """The first line of a trace."""
    return {"event": "trace", "format": FORMAT, "version": VERSION, "source": source, "notes": notes}


def check_event(event: object) -> Event:
    """The event itself when its name, keys and types are right; K2ReproError naming the rule."""
    if not isinstance(event, dict):
        raise K2ReproError(f"a line is one JSON object, this one is a {type(event).__name__}")
    name = event.get("event")
    if not isinstance(name, str) or name not in _KEYS:
        raise unknown("event", name, _KEYS)
    allowed = {key.removesuffix("?"): kind for key, kind in _KEYS[name].items()}
    for key in event:
        if key != "event" and key not in allowed:
            raise unknown(f"key of event {name!r}", key, allowed)
    for key in (key for key in _KEYS[name] if not key.endswith("?")):
        if key not in event:
            raise K2ReproError(f"event {name!r} lacks {key!r}")
    for key, kind in allowed.items():
        # True is an int to Python, and never a number of tokens.
        if key in event and (not isinstance(event[key], kind) or isinstance(event[key], bool)):
            raise K2ReproError(
                f"event {name!r}: {key} = {event[key]!r} must be "
                f"{'an' if kind is int else 'a'} {kind.__name__}"
            )
    return event


def read_runs(name: str, value: list[Any]) -> Runs:
    """Run lengths [[number, times], ...] as a tuple; K2ReproError for anything else."""
    runs = []
    for pair in value:
        if (
            not isinstance(pair, list | tuple)
            or len(pair) != 2
            or any(type(number) is not int for number in pair)
        ):
            raise K2ReproError(
                f"{name} holds {pair!r}; it is a list of pairs of whole numbers [number, times]"
            )
        if pair[1] < 1:
            raise K2ReproError(f"{name} holds {list(pair)!r}: a run is at least one step long")
        runs.append((pair[0], pair[1]))
    return tuple(runs)


@dataclass
class _OpenStream:
    """A sequence that is being written; `stop` is empty until it ends."""

    prompt_tokens: int
    accepted: list[tuple[int, int]] = field(default_factory=list)
    growth: list[tuple[int, int]] = field(default_factory=list)
    own_growth: bool = False
    steps: int = 0
    stop: str = ""

    def close(self) -> Stream:
        growth = tuple(self.growth) if self.own_growth else None
        return Stream(self.prompt_tokens, tuple(self.accepted), self.stop, growth)


@dataclass
class _OpenPhase:
    """A phase that is being written. `samples` is 0 for calls, which bring their own number."""

    role: str
    samples: int
    draft_tokens: int
    streams: dict[int, _OpenStream] = field(default_factory=dict)

    def unfinished(self) -> list[int]:
        count = self.samples or len(self.streams)
        return [i for i in range(count) if i not in self.streams or not self.streams[i].stop]


class TraceBuilder:
    """Takes events in order and gives a `Trace`; every `add` raises K2ReproError on a broken rule."""

    def __init__(self) -> None:
        self._header: Event | None = None
        self._requests: dict[str, Request] = {}
        self._open = ""
        self._question = ""
        self._phases: dict[str, _OpenPhase] = {}
        self._ended = False

    def add(self, event: object) -> None:
        """Take the next event."""
        checked = check_event(event)
        name = checked["event"]
        if self._ended:
            raise K2ReproError(f"event {name!r} after the end; `end` is the last line")
        if (self._header is None) != (name == "trace"):
            raise K2ReproError(f"the first line, and only the first, is the event 'trace'; this is {name!r}")
        handler = {
            "trace": self._trace,
            "request": self._request,
            "call": self._call,
            "fan_out": self._fan_out,
            "sample": self._sample,
            "steps": self._steps,
            "stop": self._stop,
            "end": self._end,
        }[name]
        if name not in ("trace", "request", "end") and checked["request"] != self._open:
            raise K2ReproError(
                f"event {name!r} belongs to request {checked['request']!r}, but the "
                f"open request is {self._open or None!r}; requests do not interleave"
            )
        handler(checked)

    def finish(self, *, partial: bool = False) -> Trace:
        """The trace; K2ReproError when it was cut off, unless partial and a request is complete."""
        if not self._ended and not partial:
            raise K2ReproError(
                "the file ends without the event 'end': the run was stopped; read it "
                "with partial=True (--partial) to use the complete requests"
            )
        if not self._ended and self._open and self._is_complete():
            self._close_request()
        header = self._header or {}
        return Trace(
            tuple(self._requests.values()),
            header.get("source", ""),
            {str(key): str(value) for key, value in header.get("notes", {}).items()},
        )

    def _trace(self, event: Event) -> None:
        if event["format"] != FORMAT or event["version"] != VERSION:
            raise K2ReproError(
                f"format {event['format']!r} version {event['version']} is not "
                f"{FORMAT!r} version {VERSION}, the one this program reads"
            )
        self._header = event

    def _request(self, event: Event) -> None:
        if self._open:
            self._close_request()
        if event["request"] in self._requests or not event["request"]:
            raise K2ReproError(f"request id {event['request']!r} is empty or occurs twice")
        self._open, self._question = event["request"], event.get("question", "")

    def _call(self, event: Event) -> None:
        if event["role"] not in ROLES:
            raise unknown("role", event["role"], ROLES)
        phase = self._phases.setdefault(event["phase"], _OpenPhase(event["role"], 0, 0))
        if phase.samples or phase.role != event["role"]:
            raise K2ReproError(
                f"phase {event['phase']!r} mixes a fan-out or two roles; give the call a phase of its own"
            )
        self._check_stop(event.get("stop", "eos"))
        if event["output_tokens"] < 1:
            raise K2ReproError(f"output_tokens = {event['output_tokens']} must be at least 1")
        stream = _OpenStream(
            event["prompt_tokens"], [(1, event["output_tokens"])], stop=event.get("stop", "eos")
        )
        phase.streams[len(phase.streams)] = stream

    def _fan_out(self, event: Event) -> None:
        if event["phase"] in self._phases:
            raise K2ReproError(f"phase {event['phase']!r} was already opened in this request")
        if event["samples"] < 1:
            raise K2ReproError(f"samples = {event['samples']} must be at least 1")
        self._phases[event["phase"]] = _OpenPhase("solver", event["samples"], event.get("draft_tokens", 0))

    def _sample(self, event: Event) -> None:
        phase = self._fan(event)
        if not 0 <= event["sample"] < phase.samples:
            raise K2ReproError(
                f"sample {event['sample']} is outside 0 .. {phase.samples - 1}, the "
                f"fan-out of phase {event['phase']!r}"
            )
        if event["sample"] in phase.streams:
            raise K2ReproError(f"sample {event['sample']} of phase {event['phase']!r} starts twice")
        phase.streams[event["sample"]] = _OpenStream(event["prompt_tokens"])

    def _steps(self, event: Event) -> None:
        stream = self._running(event)
        accepted = read_runs("accepted", event["accepted"])
        growth = read_runs("growth", event["growth"]) if "growth" in event else accepted
        steps = sum(times for _, times in accepted)
        if steps != sum(times for _, times in growth):
            raise K2ReproError(
                f"{steps} steps of accepted tokens and another number of growth; each step has one of each"
            )
        if min((tokens for tokens, _ in accepted), default=1) < 1:
            raise K2ReproError("a step emits at least one token (accepted draft tokens + 1)")
        most = self._fan(event).draft_tokens + 1
        if max((tokens for tokens, _ in accepted), default=1) > most:
            raise K2ReproError(
                f"a step emitted more than {most} tokens, which draft_tokens = "
                f"{most - 1} of phase {event['phase']!r} does not allow"
            )
        stream.steps += steps
        if stream.steps > _MOST_STEPS:
            raise K2ReproError(
                f"sample {event['sample']} has {stream.steps} steps; more than "
                f"{_MOST_STEPS} is taken for a broken counter"
            )
        stream.own_growth |= "growth" in event
        extend_runs(stream.accepted, accepted)
        extend_runs(stream.growth, growth)

    def _stop(self, event: Event) -> None:
        self._check_stop(event["reason"])
        stream = self._running(event)
        stream.stop = event["reason"]
        # Checked here and not at the end of the request, so that the line can be named.
        stream.close()

    def _end(self, event: Event) -> None:
        if self._open:
            self._close_request()
        if event["requests"] != len(self._requests):
            raise K2ReproError(
                f"`end` counts {event['requests']} requests, the file holds "
                f"{len(self._requests)}; lines are missing"
            )
        self._ended = True

    def _check_stop(self, reason: str) -> None:
        if reason not in STOP_REASONS:
            raise unknown("stop reason", reason, STOP_REASONS)

    def _fan(self, event: Event) -> _OpenPhase:
        phase = self._phases.get(event["phase"])
        if phase is None or not phase.samples:
            raise K2ReproError(f"phase {event['phase']!r} has no fan_out before this line")
        return phase

    def _running(self, event: Event) -> _OpenStream:
        stream = self._fan(event).streams.get(event["sample"])
        if stream is None or stream.stop:
            state = "has not started" if stream is None else f"has stopped ({stream.stop})"
            raise K2ReproError(f"sample {event['sample']} of phase {event['phase']!r} {state}")
        return stream

    def _is_complete(self) -> bool:
        return bool(self._phases) and not any(p.unfinished() for p in self._phases.values())

    def _close_request(self) -> None:
        for name, phase in self._phases.items():
            if phase.unfinished():
                raise K2ReproError(
                    f"request {self._open!r}, phase {name!r}: sample(s) "
                    f"{phase.unfinished()} did not stop before the request ended"
                )
        phases = tuple(
            Phase(
                name,
                phase.role,
                tuple(phase.streams[i].close() for i in sorted(phase.streams)),
                phase.draft_tokens,
            )
            for name, phase in self._phases.items()
        )
        self._requests[self._open] = Request(self._open, self._question, phases)
        self._open, self._phases = "", {}


def extend_runs(runs: list[tuple[int, int]], more: Runs) -> None:
    """Append run lengths in place, merging equal neighbours."""
    for number, times in more:
        if runs and runs[-1][0] == number:
            runs[-1] = (number, runs[-1][1] + times)
        else:
            runs.append((number, times))
