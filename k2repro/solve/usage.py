"""What a solution cost: every call with its role, and the sums by role."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from k2repro.engine.backend import Backend, Completion, Request
from k2repro.planning import Ask


@dataclass(frozen=True)
class Call:
    """One sample of one request. phase: "topics", "plan", "search", "planned", "judge-1" ..."""

    phase: str
    role: str
    completion: Completion


@dataclass(frozen=True)
class Usage:
    """What one role cost. seconds: spent waiting for it, calls that ran side by side counted each."""

    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    seconds: float = field(default=0.0, compare=False)


def usage_of(calls: Sequence[Call]) -> dict[str, Usage]:
    """Calls, tokens and seconds by role."""
    totals: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0, 0.0])
    for call in calls:
        total = totals[call.role]
        total[0] += 1
        total[1] += call.completion.prompt_tokens or 0
        total[2] += call.completion.count
        total[3] += call.completion.seconds
    return {
        role: Usage(int(calls), int(prompt), int(output), seconds)
        for role, (calls, prompt, output, seconds) in sorted(totals.items())
    }


class Recorder:
    """Asks backends and keeps every call; `label` names the question in the journal."""

    def __init__(self, label: str = "") -> None:
        self.calls: list[Call] = []
        self._label = label
        self._judged = 0

    def ask(self, backend: Backend) -> Ask:
        """`backend.complete` that records; the label of a request is its phase."""

        def asked(requests: Sequence[Request]) -> list[list[Completion]]:
            found = backend.complete(
                [replace(each, label=f"{self._label}/{each.label}") for each in requests]
            )
            self._judged += bool(requests) and requests[0].role == "judge"
            for request, completions in zip(requests, found, strict=True):
                phase = f"judge-{self._judged}" if request.role == "judge" else request.label
                self.calls += [Call(phase, request.role, each) for each in completions]
            return found

        return asked
