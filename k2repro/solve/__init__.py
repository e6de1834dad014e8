"""The whole K2-Think procedure: plan, sample N, judge; the same on mini-K2 and on any endpoint.

`procedure` is the procedure; `dialects` say how a question is put to a model and how its answer is read,
in chat (`ChatDialect`) and in the language of mini-K2 (`k2repro.solve.mini`); `trace` writes what the
emulator replays.
"""

from k2repro.solve.dialects import ChatDialect, Dialect, read_answer
from k2repro.solve.procedure import Solution, SolveSettings, solve
from k2repro.solve.roles import Roles
from k2repro.solve.trace import write_trace
from k2repro.solve.usage import Call, Usage

__all__ = [
    "Call",
    "ChatDialect",
    "Dialect",
    "Roles",
    "SolveSettings",
    "Solution",
    "Usage",
    "read_answer",
    "solve",
    "write_trace",
]
