"""Which seeds make a solver: those whose model learned to search.

search on validation -> gate (ships)

Some seeds never learn it: they solve a tenth of what the others do, and every statement about choosing among
answers would be about them. So a seed has to pass a gate on validation problems, declared here. Those that
fail are named with their score, and the next seed is trained in their place.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k2repro.errors import K2ReproError
from k2repro.lab import candidates
from k2repro.lab.asking import read_askings
from k2repro.lab.campaign import Watch, carry_out
from k2repro.lab.made import Made, Making
from k2repro.lab.progress import live
from k2repro.lab.scale import Scale
from k2repro.mini import GRADER
from k2repro.mini.benchmarks import LEVELS
from k2repro.results import ArtifactStore
from k2repro.results.atomic import canonical_json, write_text

FILE = "gate.json"
# Seeds that are tried for each one that is wanted, at most.
MOST_TRIED = 2


@dataclass(frozen=True)
class Gates:
    """Seeds in the order in which they were tried. scores: share solved on validation, [seed][level]."""

    passed: tuple[int, ...]
    scores: dict[int, dict[str, float]]

    @property
    def failed(self) -> tuple[int, ...]:
        return tuple(seed for seed in self.scores if seed not in self.passed)


def gate(seed: int, scale: Scale) -> Made:
    """What a seed's model solves on validation, by level."""
    needs = {"search": candidates.search(seed, "validation", scale)}
    return Made("gate", candidates.SOLVER, seed, _measure, numerics=(GRADER,), needs=needs, ships=True)


def _measure(making: Making) -> None:
    shares: dict[str, list[float]] = {level: [] for level in LEVELS}
    for each in read_askings(making.needs["search"]):
        shares[each.tier].append(sum(each.right) / len(each.right))
    found = {level: sum(values) / len(values) for level, values in shares.items()}
    write_text(making.folder / FILE, canonical_json(found) + "\n")


def read_gate(folder: Path) -> dict[str, float]:
    """Share solved on validation, by level."""
    found: dict[str, float] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    return found


def passing(
    scale: Scale, store: ArtifactStore, *, workers: int = 2, progress: Watch = live
) -> tuple[Gates, list[Path]]:
    """The first seeds that pass, as many as the scale wants, and the folders of all gates that were tried.

    Raises K2ReproError, with every score, when MOST_TRIED times as many seeds do not bring enough.
    """
    scores: dict[int, dict[str, float]] = {}
    folders: list[Path] = []
    while True:
        passed = [seed for seed, found in scores.items() if found[LEVELS[0]] >= scale.gate]
        wanted = scale.solver_seeds - len(passed)
        if wanted == 0:
            return Gates(tuple(passed), scores), folders
        if len(scores) >= MOST_TRIED * scale.solver_seeds:
            raise K2ReproError(_too_few(scale, scores))
        seeds = scale.steady(len(scores) + wanted)[len(scores) :]
        made = {seed: gate(seed, scale) for seed in seeds}
        found = carry_out(list(made.values()), store, workers=workers, progress=progress)
        for seed, each in made.items():
            scores[seed] = read_gate(found[each.key])
            folders.append(found[each.key])


def _too_few(scale: Scale, scores: dict[int, dict[str, float]]) -> str:
    told = ", ".join(f"seed {seed}: {found[LEVELS[0]]:.0%}" for seed, found in scores.items())
    return (
        f"fewer than {scale.solver_seeds} of {len(scores)} seeds solve {scale.gate:.0%} of {LEVELS[0]} on "
        f"validation ({told}). Usual cause: a recipe whose skills do not stand before it goes on"
    )


def next_of(seed: int, passed: Sequence[int]) -> int:
    """The solver after this one; the first after the last. Its SFT model is where this one's judge begins."""
    return passed[(list(passed).index(seed) + 1) % len(passed)]
