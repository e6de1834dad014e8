"""How a model is asked: the published protocol as the default, and every deviation by name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from k2repro.engine.backend import Sampling
from k2repro.engine.server import Endpoint
from k2repro.errors import K2ReproError
from k2repro.solve.procedure import SOLVER, SolveSettings

# The paper's: 16 runs of each problem (paper/data/eval_protocol.csv).
PUBLISHED_RUNS = 16
PUBLISHED_N = 3
ARMS = ("search", "planned")


@dataclass(frozen=True)
class Protocol:
    """What is done for each problem.

    runs: independent repetitions. n: samples that best-of-N chooses from; 1 for none. plan: also ask with a
    plan. select: who chooses. solver, planner, judge: how each is sampled. seed: of everything.
    """

    runs: int = PUBLISHED_RUNS
    n: int = PUBLISHED_N
    plan: bool = True
    select: str = "knock-out"
    solver: Sampling = SOLVER
    planner: Sampling = Sampling(2048)
    judge: Sampling = Sampling(2048)
    system: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.runs < 1:
            raise K2ReproError(f"--runs {self.runs}: must be at least 1")
        self.settings("search")

    @property
    def arms(self) -> tuple[str, ...]:
        """Pools that are sampled: without a plan, and with one."""
        return ARMS if self.plan else ARMS[:1]

    def settings(self, arm: str) -> SolveSettings:
        """The procedure of one arm; all of its samples have a plan, or none."""
        planned = self.n if arm == "planned" else 0
        return SolveSettings(self.n, planned, self.select, self.solver, self.planner, self.judge)

    @property
    def deviations(self) -> list[str]:
        """Where this is not the published protocol."""
        published = Protocol()
        changed = [
            ("runs", self.runs, published.runs),
            ("samples", self.n, published.n),
            ("max tokens", self.solver.max_new_tokens, published.solver.max_new_tokens),
            ("temperature", self.solver.temperature, published.solver.temperature),
            ("top-p", self.solver.top_p, published.solver.top_p),
            ("stop", list(self.solver.stop), list(published.solver.stop)),
            ("selector", self.select, published.select),
        ]
        return [f"{name} {here!r} (published {there!r})" for name, here, there in changed if here != there]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Protocol":
        """The protocol of a run from what its journal was opened with."""
        values = {each.name: record[each.name] for each in fields(cls)}
        for role in ("solver", "planner", "judge"):
            values[role] = Sampling(**{**record[role], "stop": tuple(record[role]["stop"])})
        return cls(**values)

    def record(self, endpoints: Mapping[str, Endpoint], benchmark: str, digest: str) -> dict[str, Any]:
        """What the journal is opened with: anything in it that changes makes another run."""
        served = {
            role: {"url": each.url, "model": each.model, "revision": each.revision, "extra": dict(each.extra)}
            for role, each in endpoints.items()
        }
        return {**asdict(self), "endpoints": served, "benchmark": benchmark, "problems": digest}
