"""Replay a decode trace on any device: `replay(trace, server)` -> `Timeline`.

Every step of every phase gets the time that `predict` gives for its live batch and its context, so
a batch that thins out speeds up, a growing context slows down, and a step that accepted three draft
tokens costs one pass. The samples of a fan-out run as one batch unless they are told to take turns.
Phases wait for each other, as the procedure does: no plan before its topics, no judge before both
answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from k2repro.errors import K2ReproError, unknown
from k2repro.wafer.model.parameters import FloatArray
from k2repro.wafer.model.speculation import Speculation
from k2repro.wafer.replay.step_times import Server
from k2repro.wafer.replay.timeline import PhaseTiming, Timeline
from k2repro.wafer.replay.trace import Phase, Stream, Trace, decode_runs

POLICIES = ("batch", "sequential")


@dataclass(frozen=True)
class Servers:
    """Who runs what. planner: None uses the solver's; judge: None uses the planner's.

    The paper does not say which models planned and judged; the released code uses one for both.
    """

    solver: Server
    planner: Server | None = None
    judge: Server | None = None

    def of_role(self, role: str) -> Server:
        """The server of a planner, solver or judge phase."""
        planner = self.planner or self.solver
        return {"solver": self.solver, "planner": planner, "judge": self.judge or planner}[role]


def replay(trace: Trace, servers: Servers | Server, *, policy: str = "batch", copies: int = 1) -> Timeline:
    """The timeline of a trace on one server, or with one server per role.

    policy: "batch" runs the streams of a phase together, "sequential" one after the other.
    copies: how many users ask the same at the same moment; all run in one batch, tokens count all.

    Raises K2ReproError: an unknown policy, copies < 1, and whatever `predict` refuses: a model,
    device or precision that does not exist, weights and caches that do not fit.
    """
    if policy not in POLICIES:
        raise unknown("policy", policy, POLICIES)
    if copies < 1:
        raise K2ReproError(f"copies = {copies!r} must be at least 1")
    who = Servers(servers) if isinstance(servers, Server) else servers
    phases: list[PhaseTiming] = []
    start = 0.0
    for request in trace.requests:
        for phase in request.phases:
            timing = _replay_phase(request.id, phase, who.of_role(phase.role), start, policy, copies)
            phases.append(timing)
            start = timing.end
    return Timeline(tuple(phases))


@dataclass(frozen=True)
class _Batch:
    """Streams that decode in step: what each step finds and emits, all shape (steps,)."""

    live: FloatArray
    context: FloatArray
    tokens: FloatArray


def _gather(streams: Sequence[Stream]) -> _Batch:
    """Step i of the batch is step i of every stream that still runs."""
    steps = max(stream.steps for stream in streams)
    live, context, tokens = (np.zeros(steps) for _ in range(3))
    for stream in streams:
        live[: stream.steps] += 1
        tokens[: stream.steps] += decode_runs(stream.accepted)
        # A step attends to what was there before it and to the token that it reads.
        before = np.concatenate(([stream.prompt_tokens], stream.context_after()[:-1]))
        context[: stream.steps] += before[: stream.steps]
    return _Batch(live, context / live, tokens)


def _replay_phase(
    request: str, phase: Phase, server: Server, start: float, policy: str, copies: int
) -> PhaseTiming:
    streams = phase.streams
    if any(stream.steps == 0 for stream in streams):
        raise K2ReproError(
            f"request {request!r}, phase {phase.name!r}: a sample without a decode "
            "step has no time; leave it out of the trace"
        )
    groups = [streams] if policy == "batch" else [(stream,) for stream in streams]
    batches = [_gather(group) for group in groups]
    clock, waits, ends = start, np.zeros(3), []
    for group, batch in zip(groups, batches, strict=True):
        prompt = float(np.mean([stream.prompt_tokens for stream in group]))
        prefilled = server.prefill(prompt, len(group) * copies)
        _require_fit(server, batch, copies)
        seconds = server.step_seconds(batch.live * copies, batch.context, phase.draft_tokens)
        waits += (prefilled.seconds, prefilled.low, prefilled.high)
        ends.append(clock + prefilled.seconds + np.cumsum(seconds))
        clock = float(ends[-1][-1])
    low, high = _relative_interval(server, batches[0], copies, phase.draft_tokens)
    watts = server.watts
    return PhaseTiming(
        request,
        phase.name,
        phase.role,
        server.describe(),
        start,
        float(waits[0]),
        clock - start - float(waits[0]),
        len(streams) * copies,
        sum(len(part) for part in ends),
        phase.output_tokens * copies,
        low,
        high,
        (float(waits[1]), float(waits[2])),
        None if watts is None else watts * (clock - start),
        np.concatenate(ends),
        np.concatenate([batch.tokens * copies for batch in batches]),
    )


def _require_fit(server: Server, batch: _Batch, copies: int) -> None:
    """K2ReproError when the fullest moment of the batch does not fit the memory."""
    fullest = int(np.argmax(batch.live * batch.context))
    server.predict(batch.live[fullest] * copies, float(batch.context[fullest]))


def _relative_interval(server: Server, batch: _Batch, copies: int, draft_tokens: int) -> tuple[float, float]:
    """(low, high) of the decode rate over the rate, in the middle of the phase."""
    middle = len(batch.live) // 2
    # Acceptance does not matter here: it moves the rate and its ends alike.
    draft = Speculation(1.0, draft_tokens, server.draft_cost_ratio) if draft_tokens else None
    found = server.predict(batch.live[middle] * copies, float(batch.context[middle]), draft, check_fit=False)
    return found.low / found.tokens_per_second, found.high / found.tokens_per_second


@dataclass(frozen=True)
class Throughput:
    """One point of throughput against batch: `copies` users with the same trace at once."""

    copies: int
    tokens_per_second: float
    latency_seconds: float
    joules_per_token: float | None


def throughput_curve(trace: Trace, servers: Servers | Server, copies: Sequence[int]) -> list[Throughput]:
    """Tokens per second of all users, and what each waits, for growing numbers of users.

    Stops before the first number that does not fit; raises K2ReproError when not even the first
    does.
    """
    points: list[Throughput] = []
    for count in copies:
        try:
            timeline = replay(trace, servers, copies=count)
        except K2ReproError:
            if not points:
                raise
            break
        joules = timeline.joules
        points.append(
            Throughput(
                count,
                timeline.tokens / timeline.seconds,
                timeline.seconds,
                None if joules is None else joules / timeline.tokens,
            )
        )
    return points
