"""Writing a trace while an engine runs: one cheap call per step, lines in batches.

    with TraceWriter(path, source="mini-K2, temperature 1") as trace:
        trace.request("r1", question="variables-0007")
        trace.call("plan", "planner", prompt_tokens=310, output_tokens=42)
        fan = trace.fan_out("solve", samples=3)
        for sample in range(3):
            fan.start(sample, prompt_tokens=350)
        while running:
            fan.step(sample, accepted=1)
        fan.stop(sample, "eos")

Lines go to `path` + ".partial", renamed when the block ends without an error. A run that is killed
leaves the partial file: `read_trace(..., partial=True)` reads its complete requests.
"""

import json
from pathlib import Path
from types import TracebackType
from typing import TextIO

from k2repro.errors import K2ReproError
from k2repro.wafer.replay.trace_events import Event, TraceBuilder, extend_runs, header_event

# Steps of one sample that are kept in memory before they become a line.
_STEPS_PER_LINE = 4096


class FanOutWriter:
    """The samples of one fan-out; made by `TraceWriter.fan_out`."""

    def __init__(self, writer: "TraceWriter", where: Event) -> None:
        self._writer, self._where = writer, where
        self._accepted: dict[int, list[tuple[int, int]]] = {}
        self._growth: dict[int, list[tuple[int, int]]] = {}
        self._waiting: dict[int, int] = {}

    def start(self, sample: int, *, prompt_tokens: int) -> None:
        """A sample begins with a prompt of that many tokens."""
        self._writer.write(
            {"event": "sample", **self._where, "sample": sample, "prompt_tokens": prompt_tokens}
        )
        self._accepted[sample], self._growth[sample] = [], []
        self._waiting[sample] = 0

    def step(self, sample: int, accepted: int = 1, growth: int | None = None) -> None:
        """One decode step of a sample emitted `accepted` tokens.

        growth: tokens by which the context grew, where it is not `accepted`.
        """
        if sample not in self._waiting:
            raise K2ReproError(f"sample {sample} has not started or has stopped")
        extend_runs(self._accepted[sample], ((accepted, 1),))
        extend_runs(self._growth[sample], ((accepted if growth is None else growth, 1),))
        self._waiting[sample] += 1
        if self._waiting[sample] >= _STEPS_PER_LINE:
            self._flush(sample)

    def stop(self, sample: int, reason: str) -> None:
        """The sample ended; reason is one of `trace.STOP_REASONS`."""
        self._flush(sample)
        self._writer.write({"event": "stop", **self._where, "sample": sample, "reason": reason})
        del self._waiting[sample]

    def _flush(self, sample: int) -> None:
        if not self._waiting.get(sample):
            return
        event: Event = {"event": "steps", **self._where, "sample": sample, "accepted": self._accepted[sample]}
        if self._growth[sample] != self._accepted[sample]:
            event["growth"] = self._growth[sample]
        self._writer.write(event)
        self._accepted[sample], self._growth[sample] = [], []
        self._waiting[sample] = 0


class TraceWriter:
    """Writes a trace file event by event; every event is checked as the reader checks it."""

    def __init__(self, path: str | Path, *, source: str = "", notes: dict[str, str] | None = None) -> None:
        self._path = Path(path)
        self._partial = self._path.with_name(self._path.name + ".partial")
        self._header = header_event(source, notes or {})
        self._builder = TraceBuilder()
        self._file: TextIO | None = None
        self._request = ""
        self._requests = 0

    def __enter__(self) -> "TraceWriter":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._partial.open("w", encoding="utf-8")
        self.write(self._header)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        try:
            if kind is None:
                self.write({"event": "end", "requests": self._requests})
        finally:
            self._file.close()
            self._file = None
        if kind is None:
            self._partial.replace(self._path)

    def write(self, event: Event) -> None:
        """Check one event and write its line; K2ReproError names the broken rule."""
        if self._file is None:
            raise K2ReproError("the trace is not open; use it as `with TraceWriter(...) as trace:`")
        self._builder.add(event)
        self._file.write(json.dumps(event, ensure_ascii=False) + "\n")
        self._file.flush()

    def request(self, name: str, *, question: str = "") -> None:
        """A new request; the one before it must be complete."""
        self.write({"event": "request", "request": name, "question": question})
        self._request = name
        self._requests += 1

    def call(
        self, phase: str, role: str, *, prompt_tokens: int, output_tokens: int, stop: str = "eos"
    ) -> None:
        """One planner or judge call that has ended."""
        self.write(
            {
                "event": "call",
                "request": self._request,
                "phase": phase,
                "role": role,
                "prompt_tokens": prompt_tokens,
                "output_tokens": output_tokens,
                "stop": stop,
            }
        )

    def fan_out(self, phase: str, *, samples: int, draft_tokens: int = 0) -> FanOutWriter:
        """A fan-out of samples begins."""
        self.write(
            {
                "event": "fan_out",
                "request": self._request,
                "phase": phase,
                "samples": samples,
                "draft_tokens": draft_tokens,
            }
        )
        return FanOutWriter(self, {"request": self._request, "phase": phase})
