"""Solvers drawn at random whose likelihood and judge know something: rows of 04 and 05 are read from them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from k2repro.lab import candidates, planner
from k2repro.lab.marks import OWN, SEARCH, Marks
from k2repro.lab.planner import Written
from k2repro.lab.solvers import Gates
from k2repro.lab.test_time import SolverResults
from k2repro.mini.benchmarks import LEVELS, MATHS
from k2repro.mini.plans import EARLY, WORKABLE


def drawn(seed: int, kind: str, split: str, rng: np.random.Generator, problems: int = 30) -> list[Marks]:
    """Marks of a solver whose likelihood and judge know something, each with errors of its own."""
    found = []
    for level in LEVELS:
        for index in range(problems):
            count = 8 if kind == SEARCH else 4
            right = (rng.random(count) < 0.7).astype(int)
            noise = rng.normal(0, 2, (3, count))
            found.append(
                Marks(
                    f"variables/{split}/{level}/0/{index}",
                    level,
                    split,
                    kind,
                    of=tuple(range(count)),
                    right=tuple(map(int, right)),
                    tokens=tuple(map(int, rng.integers(100, 200 if kind == SEARCH else 140, count))),
                    answer=tuple(0 if r else int(rng.integers(1, 4)) for r in right),
                    own=tuple(np.round(-5 + 3 * right + noise[0], 2)),
                    certainty=tuple(np.round(noise[1], 2)),
                    judge=tuple(np.round(-5 + 3 * right + noise[2], 2)),
                    foreign=tuple(np.round(noise[2], 2)),
                    shuffled=tuple(np.round(noise[1], 2)) if seed == 0 and kind == SEARCH else (),
                    agrees=tuple(map(int, right)) if kind == SEARCH else (),
                )
            )
    return found


def written(tier: str, index: int = 0) -> Written:
    """A plan that works."""
    return Written(f"id/{tier}/{index}", tier, 0, WORKABLE, EARLY, " plan a", 0, 20, 10)


def solver_results(folder: Path) -> SolverResults:
    """Three solvers, thirty problems of each level."""
    rng = np.random.default_rng(0)
    return SolverResults(
        Gates((0, 1, 2), {seed: dict.fromkeys(LEVELS, 0.9) for seed in range(3)}),
        {
            seed: [
                each
                for split in ("validation", "test")
                for kind in (SEARCH, OWN, *(candidates.EXHIBITS if split == "test" else ()))
                for each in drawn(seed, kind, split, rng)
            ]
            for seed in range(3)
        },
        {
            "validation": [written(tier) for tier in MATHS for _ in range(4)],
            "test": [written(tier) for tier in MATHS for _ in range(4)],
            "levels": [
                replace(written(level), id=f"variables/test/{level}/0/{index}")
                for level in LEVELS
                for index in range(30)
            ],
            planner.SHORT: [
                replace(written(level), id=f"variables/test/{level}/0/{index}")
                for level in LEVELS
                for index in range(30)
            ],
        },
        folder,
        folder,
    )
