"""The trace file: one JSON object per line, in the order in which things happened. Version 1.

    {"event": "trace", "format": "k2repro-trace", "version": 1, "source": "...", "notes": {}}
    {"event": "request", "request": "r1", "question": "aime24-07"}
    {"event": "call", "request": "r1", "phase": "plan", "role": "planner",
     "prompt_tokens": 310, "output_tokens": 420, "stop": "eos"}
    {"event": "fan_out", "request": "r1", "phase": "solve", "samples": 3, "draft_tokens": 4}
    {"event": "sample", "request": "r1", "phase": "solve", "sample": 0, "prompt_tokens": 760}
    {"event": "steps", "request": "r1", "phase": "solve", "sample": 0, "accepted": [[1, 900], [3, 2]]}
    {"event": "stop", "request": "r1", "phase": "solve", "sample": 0, "reason": "stop_string"}
    {"event": "call", "request": "r1", "phase": "judge-1", "role": "judge",
     "prompt_tokens": 1900, "output_tokens": 60, "stop": "eos"}
    {"event": "end", "requests": 1}

- `call`: one planner or judge call. Calls of one request with the same `phase` ran together.
- `fan_out`: the solver's samples, started together. `draft_tokens` (optional, 0) is the number of
  tokens that a draft proposes per step.
- `steps`: run lengths [tokens emitted by a step, number of such steps]; any number of lines per
  sample, in order; samples interleave as they ran. `growth` (optional) holds run lengths of context
  growth where it is not the emitted tokens: inserted text adds, a cut cache is negative.
- `stop`: why the sample ended (`trace.STOP_REASONS`). Every sample has one.
- `end`: the last line. A file without it was cut off; `partial=True` reads the requests that are
  complete.

Requests do not interleave: one ends where the next begins. Unknown keys are refused: a misspelt key
would otherwise be lost without a word.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.results.atomic import write_text
from k2repro.wafer.replay.trace import Phase, Trace
from k2repro.wafer.replay.trace_events import Event, TraceBuilder, header_event


def parse_trace(lines: Iterable[str], *, name: str = "trace", partial: bool = False) -> Trace:
    """A trace from the lines of a file.

    Raises K2ReproError naming the line and the rule it breaks. With `partial`, a last line that was
    cut off in the middle is dropped.
    """
    builder = TraceBuilder()
    number = 0
    pending: tuple[int, str] | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if pending is not None:
            _add(builder, *pending, name)
        pending = (number, line)
    if pending is not None and not (partial and _is_cut(pending[1])):
        _add(builder, *pending, name)
    try:
        return builder.finish(partial=partial)
    except K2ReproError as error:
        raise K2ReproError(f"{name}, line {number}: {error}") from None


def _is_cut(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


def _add(builder: TraceBuilder, number: int, line: str, name: str) -> None:
    try:
        builder.add(json.loads(line))
    except K2ReproError as error:
        raise K2ReproError(f"{name}, line {number}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise K2ReproError(
            f"{name}, line {number}: not JSON ({error}); a trace has one JSON object per line"
        ) from None


def read_trace(path: str | Path, *, partial: bool = False) -> Trace:
    """Read a trace file; K2ReproError when it is absent, not text, or breaks a rule (line named)."""
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise K2ReproError(f"trace file {str(path)!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise K2ReproError(f"trace file {str(path)!r} is not UTF-8 text; a trace is a JSONL file") from None
    return parse_trace(text.splitlines(), name=Path(path).name, partial=partial)


def trace_events(trace: Trace) -> Iterator[Event]:
    """The events of a trace, in file order; reading them gives the same trace."""
    yield header_event(trace.source, trace.notes)
    for request in trace.requests:
        yield {"event": "request", "request": request.id, "question": request.question}
        for phase in request.phases:
            yield from _phase_events(request.id, phase)
    yield {"event": "end", "requests": len(trace.requests)}


def _phase_events(request: str, phase: Phase) -> Iterator[Event]:
    where: Event = {"request": request, "phase": phase.name}
    if phase.role != "solver":
        for stream in phase.streams:
            yield {
                "event": "call",
                **where,
                "role": phase.role,
                "prompt_tokens": stream.prompt_tokens,
                "output_tokens": stream.output_tokens,
                "stop": stream.stop,
            }
        return
    yield {"event": "fan_out", **where, "samples": len(phase.streams), "draft_tokens": phase.draft_tokens}
    for index, stream in enumerate(phase.streams):
        yield {"event": "sample", **where, "sample": index, "prompt_tokens": stream.prompt_tokens}
        steps: Event = {
            "event": "steps",
            **where,
            "sample": index,
            "accepted": [list(run) for run in stream.accepted],
        }
        if stream.growth is not None:
            steps["growth"] = [list(run) for run in stream.growth]
        yield steps
        yield {"event": "stop", **where, "sample": index, "reason": stream.stop}


def write_trace(trace: Trace, path: str | Path) -> Path:
    """Write a trace, whole or not at all."""
    lines = [json.dumps(event, ensure_ascii=False) for event in trace_events(trace)]
    return write_text(Path(path), "\n".join(lines) + "\n")
