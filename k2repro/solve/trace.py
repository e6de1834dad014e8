"""What a solution cost, as a trace that the emulator replays on any device (`k2repro replay`)."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from k2repro.engine.backend import Completion
from k2repro.solve.procedure import Solution
from k2repro.solve.usage import Call
from k2repro.wafer.replay.trace_writer import TraceWriter

# A replayer needs at least one emitted token; a call that failed before its first has none.
STOPS = {"stop": "stop_string", "length": "length", "error": "error", "timeout": "timeout"}


def write_trace(path: str | Path, solutions: Sequence[Solution], *, source: str) -> Path:
    """Write the calls of some solutions, phase by phase, and return the path.

    source: where the numbers come from. The requests are named question-1, question-2 ...
    Calls that emitted no token are left out. Servers that do not count prompts leave 0 there.
    """
    path = Path(path)
    with TraceWriter(path, source=source) as trace:
        for number, solution in enumerate(solutions, 1):
            trace.request(f"question-{number}", question=solution.question)
            for (phase, role), calls in groupby(solution.calls, key=lambda call: (call.phase, call.role)):
                _write(trace, phase, role, [call for call in calls if call.completion.count > 0])
    return path


def _write(trace: TraceWriter, phase: str, role: str, calls: Sequence[Call]) -> None:
    if role != "solver":
        for call in calls:
            trace.call(
                phase,
                role,
                prompt_tokens=call.completion.prompt_tokens or 0,
                output_tokens=call.completion.count,
                stop=_stop(call.completion),
            )
        return
    if not calls:
        return
    fan = trace.fan_out(phase, samples=len(calls))
    for sample, call in enumerate(calls):
        fan.start(sample, prompt_tokens=call.completion.prompt_tokens or 0)
        for _ in range(call.completion.count):
            fan.step(sample)
        fan.stop(sample, _stop(call.completion))


def _stop(completion: Completion) -> str:
    return STOPS[completion.finish]
