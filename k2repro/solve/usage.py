"""What a solution cost: every call with its role, and the sums by role."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from k2repro.engine.backend import Completion


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
