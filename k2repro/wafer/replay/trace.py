"""Decode traces: what a sampling run did, step by step, so that it can be replayed on any device.

A trace knows tokens, not seconds. It carries the whole K2-Think procedure (a planner that writes
topics and plans, a fan-out of samples, a judge that compares them) and any part of it: a plain
sampling run is a request with a fan-out of one. `trace_file.py` documents and reads the file,
`trace_writer.py` writes it from a running engine, `replayer.py` replays it.

Not in the paper, which reports times of one deployment and publishes no trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from k2repro.errors import K2ReproError, unknown

IntArray = NDArray[np.int64]
# Runs of equal numbers: ((value, how often), ...).
Runs = tuple[tuple[int, int], ...]

ROLES = ("planner", "solver", "judge")
# eos: end of sequence; stop_string: a marker such as </answer>; length: token limit; budget: a
# reasoning budget; timeout, cancelled, error: the run gave up.
STOP_REASONS = ("eos", "stop_string", "length", "budget", "timeout", "cancelled", "error")


def decode_runs(runs: Runs) -> IntArray:
    """The sequence that runs stand for: ((1, 2), (3, 1)) -> [1, 1, 3]."""
    if not runs:
        return np.zeros(0, dtype=np.int64)
    values, counts = np.array(runs, dtype=np.int64).T
    return np.repeat(values, counts)


@dataclass(frozen=True)
class Stream:
    """One sequence: a prompt and the decode steps after it.

    accepted: tokens that each step emitted, run-length encoded (1 without speculation; accepted
    draft tokens + 1 with it). growth: tokens by which each step lengthened the context; None when
    it is the accepted tokens, which it is unless text is inserted or a cache is cut.
    """

    prompt_tokens: int
    accepted: Runs
    stop: str = "eos"
    growth: Runs | None = None

    def __post_init__(self) -> None:
        if self.prompt_tokens < 0:
            raise K2ReproError(f"prompt_tokens = {self.prompt_tokens} must not be negative")
        if self.stop not in STOP_REASONS:
            raise unknown("stop reason", self.stop, STOP_REASONS)
        for tokens, times in self.accepted:
            if tokens < 1 or times < 1:
                raise K2ReproError(
                    f"a step of {tokens} tokens, {times} times: a step emits at least one token "
                    "(accepted draft tokens + 1), at least once"
                )
        if self.growth is not None and self._count(self.growth) != self.steps:
            raise K2ReproError(
                f"{self._count(self.growth)} steps of context growth beside "
                f"{self.steps} decode steps; each step has one of each"
            )
        if self.growth is not None and self.context_after().min(initial=1) < 1:
            raise K2ReproError("the context shrinks below one token; a cut cannot remove more than there is")

    @staticmethod
    def _count(runs: Runs) -> int:
        return sum(times for _, times in runs)

    @property
    def steps(self) -> int:
        """Decode steps."""
        return self._count(self.accepted)

    @property
    def output_tokens(self) -> int:
        """Emitted tokens."""
        return sum(tokens * times for tokens, times in self.accepted)

    def context_after(self) -> IntArray:
        """Tokens of context after each step, shape (steps,)."""
        growth = decode_runs(self.accepted if self.growth is None else self.growth)
        return self.prompt_tokens + np.cumsum(growth)


@dataclass(frozen=True)
class Phase:
    """Streams that run at the same time on the same model: planner calls, a fan-out, a judge call.

    name: "topics", "plan", "solve", "judge-1", ... draft_tokens: proposed per step, 0 without
    speculation; no step can emit more than draft_tokens + 1.
    """

    name: str
    role: str
    streams: tuple[Stream, ...]
    draft_tokens: int = 0

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise unknown("role", self.role, ROLES)
        if not self.streams:
            raise K2ReproError(f"phase {self.name!r} has no sequence; a fan-out has at least one")
        if self.draft_tokens < 0:
            raise K2ReproError(f"draft_tokens = {self.draft_tokens} must not be negative")
        most = max((tokens for stream in self.streams for tokens, _ in stream.accepted), default=1)
        if most > self.draft_tokens + 1:
            raise K2ReproError(
                f"phase {self.name!r}: a step emitted {most} tokens with {self.draft_tokens} draft "
                "tokens; at most draft_tokens + 1 can be accepted"
            )

    @property
    def output_tokens(self) -> int:
        """Emitted tokens of all streams."""
        return sum(stream.output_tokens for stream in self.streams)


@dataclass(frozen=True)
class Request:
    """One question and all phases that answer it, in order."""

    id: str
    question: str
    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        if not self.phases:
            raise K2ReproError(f"request {self.id!r} has no phase: nothing was generated for it")


@dataclass(frozen=True)
class Trace:
    """Requests in the order in which they ran; `source` says where the numbers come from."""

    requests: tuple[Request, ...]
    source: str = ""
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.requests:
            raise K2ReproError("a trace holds at least one request; this one holds none")
        ids = [request.id for request in self.requests]
        if len(set(ids)) != len(ids):
            repeated = next(name for name in ids if ids.count(name) > 1)
            raise K2ReproError(f"request id {repeated!r} occurs twice; ids are unique in a trace")

    @property
    def output_tokens(self) -> int:
        """Emitted tokens of all requests."""
        return sum(phase.output_tokens for request in self.requests for phase in request.phases)


def plain_stream(prompt_tokens: int, output_tokens: int, stop: str = "eos") -> Stream:
    """A sequence without speculation: one token per step."""
    if output_tokens < 1:
        raise K2ReproError(f"output_tokens = {output_tokens} must be at least 1")
    return Stream(prompt_tokens, ((1, output_tokens),), stop)


@dataclass(frozen=True)
class CallLengths:
    """Tokens of one call: of its prompt and of its output."""

    prompt_tokens: int
    output_tokens: int


def k2_think_answer_trace(
    *,
    samples: Sequence[CallLengths],
    topics: CallLengths | None,
    plan: CallLengths | None,
    judge: CallLengths | None,
) -> Trace:
    """One answer of the whole procedure, from lengths.

    As in the released code (MBZUAI-IFM/K2-Think-Inference, main.py): every sample asks the
    planner for topics and for a plan of its own, the solver answers, and the best so far is
    compared with the next, so N samples cost N topic calls, N plan calls, N solver calls and
    N - 1 judge calls. There every sample runs through its stages by itself; here a stage starts
    when the one before it has ended for all samples.

    samples: prompt and output of each solver call. topics, plan, judge: lengths of one such call,
    None to leave the stage out. One token a step: lengths do not say what a draft would have got through.
    """
    if not samples:
        raise K2ReproError("samples is empty; an answer needs at least one solver call")
    phases = [
        Phase(name, "planner", tuple(plain_stream(call.prompt_tokens, call.output_tokens) for _ in samples))
        for name, call in (("topics", topics), ("plan", plan))
        if call is not None
    ]
    solved = tuple(plain_stream(call.prompt_tokens, call.output_tokens, "stop_string") for call in samples)
    phases.append(Phase("solve", "solver", solved))
    if judge is not None:
        phases += [
            Phase(f"judge-{index}", "judge", (plain_stream(judge.prompt_tokens, judge.output_tokens),))
            for index in range(1, len(samples))
        ]
    return Trace((Request("k2-think", "", tuple(phases)),), "published lengths")
