"""Planning and best-of-N on mini-K2: several solvers, the same hard problems, one pool of candidates each.

RL from SFT -> candidates -> readings -> marks (ships)
SFT of the next seed -> judge (that of the first solver ships)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from k2repro.lab import candidates, judge, planner, solvers
from k2repro.lab.campaign import Watch, carry_out
from k2repro.lab.made import Made
from k2repro.lab.marks import OWN, SEARCH, Marks, marks, read_marks
from k2repro.lab.progress import live
from k2repro.lab.scale import Scale
from k2repro.mini.benchmarks import LEVELS, MATHS
from k2repro.results import ArtifactStore
from k2repro.results.provenance import made_on

WRITTEN = ("validation", "test", "levels", planner.SHORT)


def everything(scale: Scale, seeds: Sequence[int]) -> list[Made]:
    """All that notebooks 04 and 05 read, besides the gates. seeds: those that passed."""
    return [
        *(marks(seed, seeds, scale) for seed in seeds),
        *(written(part, scale) for part in WRITTEN),
        first_judge(scale, seeds),
        replace(candidates.solver(seeds[0], scale), ships=True),
    ]


def first_judge(scale: Scale, seeds: Sequence[int]) -> Made:
    """The judge of the first solver, whose weights ship."""
    return judge.judge(seeds[0], solvers.next_of(seeds[0], seeds), scale, ships=True)


def written(part: str, scale: Scale) -> Made:
    """What the planner writes. "validation": on the tiers, where it has to pass; "test": there, how good it
    is; "levels": what solvers were given, and `planner.SHORT`: by the control; of test problems too."""
    if part in ("levels", planner.SHORT):
        name = planner.LONG if part == "levels" else planner.SHORT
        return candidates.plans("test", scale.asked, scale, name)
    count = scale.asked if part == "test" else scale.chosen
    return planner.written(0, scale, tiers=MATHS, split=part, problems=count)


@dataclass(frozen=True)
class SolverResults:
    """What was made.

    gates    which seeds count as solvers
    marks    of all candidates, by solver seed
    written  by the planner and its control, see `written`
    solver   folder of the weights of the first solver; judge: of its judge
    machine  that made them, see `made_on`
    """

    gates: solvers.Gates
    marks: Mapping[int, Sequence[Marks]]
    written: Mapping[str, Sequence[planner.Written]]
    solver: Path
    judge: Path
    machine: Mapping[str, str] = field(default_factory=dict)

    @property
    def plans_tried(self) -> tuple[str, ...]:
        """Kinds of plans that were given on test problems."""
        found = (each.kind for each in next(iter(self.marks.values())) if each.split == "test")
        return tuple(kind for kind in dict.fromkeys(found) if kind != SEARCH)

    @property
    def plan(self) -> str:
        """Whose plan stands for the paper's: the planner's if it passed its gate, else the solver's own."""
        shares = planner.workable_share(self.written["validation"])
        return "planner" if planner.is_obtained(shares) else OWN

    def of(self, split: str, kind: str) -> dict[int, list[Marks]]:
        """Marks of one split and kind, by solver seed; problems stand in one order."""
        return {
            seed: sorted((each for each in found if (each.split, each.kind) == (split, kind)), key=_place)
            for seed, found in self.marks.items()
        }


def _place(marks: Marks) -> tuple[int, int]:
    """Level by level, and there in the order of the benchmark."""
    return LEVELS.index(marks.tier), int(marks.id.rpartition("/")[2])


def carry_out_test_time(
    scale: Scale, store: ArtifactStore, *, workers: int = 2, progress: Watch = live
) -> SolverResults:
    """Make what is missing, mark what ships, and read it. Raises whatever stops a job."""
    gates, seen = solvers.passing(scale, store, workers=workers, progress=progress)
    seeds = gates.passed
    folders = carry_out(everything(scale, seeds), store, workers=workers, progress=progress)
    return SolverResults(
        gates=gates,
        marks={seed: read_marks(folders[marks(seed, seeds, scale).key]) for seed in seeds},
        written={part: planner.read_plans(folders[written(part, scale).key]) for part in WRITTEN},
        solver=folders[candidates.solver(seeds[0], scale).key],
        judge=folders[first_judge(scale, seeds).key],
        machine=made_on([*folders.values(), *seen]),
    )
