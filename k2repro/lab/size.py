"""What size is worth: one answer of a model of four times the parameters, beside a small one that plans.

training "large-sft" -> weights -> levels on test

Table 1 of the paper sets a 32B model beside models many times its size. Here both are trained by the same
recipe on texts of the same streams: the large one fine-tuned, the small one with all that K2-Think adds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from k2repro.architecture import ModelConfig, count_parameters, forward_flops
from k2repro.evaluate.effects import SeedTable
from k2repro.lab import levels, sft
from k2repro.lab.best_of_n_rows import SINGLE, Found, accuracy, by_level, gap, level, ratio
from k2repro.lab.campaign import Watch, carry_out
from k2repro.lab.effect_rows import add_effects
from k2repro.lab.levels import SEARCH, LevelOutcome, level_table
from k2repro.lab.made import Made
from k2repro.lab.marks import OWN
from k2repro.lab.marks import SEARCH as SEARCHED
from k2repro.lab.planning_rows import best_choice, mixed
from k2repro.lab.progress import live
from k2repro.lab.scale import Scale
from k2repro.lab.selections import PAIR
from k2repro.lab.sft_recipe import LARGE, MODEL
from k2repro.lab.test_time import SolverResults
from k2repro.mini.benchmarks import LEVELS
from k2repro.results import ArtifactStore, RowBook
from k2repro.results.provenance import made_on

NAME = "large-sft"


@dataclass(frozen=True)
class SizeResults:
    """Of the large model, by seed: outcomes on test, and the tokens that it was trained on.

    small_tokens: the same of the small model. machine: that made them.
    """

    outcomes: Mapping[int, Sequence[LevelOutcome]]
    tokens: Mapping[int, int]
    small_tokens: Mapping[int, int]
    machine: Mapping[str, str] = field(default_factory=dict)


def tested(seed: int, scale: Scale) -> Made:
    """What the large model solves on the test problems of planning and best-of-N."""
    return levels.levels(sft.weights(NAME, seed, scale), "test", scale.asked)


def _histories(prefix: str, seed: int, scale: Scale) -> list[Made]:
    return [sft.history(f"{prefix}-{part}", seed, scale) for part in ("base", "sft")]


def carry_out_size(
    scale: Scale, store: ArtifactStore, *, workers: int = 2, progress: Watch = live
) -> SizeResults:
    """Make what is missing, mark what ships, and read it. Raises whatever stops a job."""
    seeds = range(scale.large_seeds)
    histories = {
        (prefix, seed): _histories(prefix, seed, scale) for prefix in ("large", "steady") for seed in seeds
    }
    wanted = [
        *(tested(seed, scale) for seed in seeds),
        *(made for group in histories.values() for made in group),
    ]
    folders = carry_out(wanted, store, workers=workers, progress=progress)
    tokens = {
        key: sum(
            sum(stage["tokens"]) for made in group for stage in sft.read_history(folders[made.key]).values()
        )
        for key, group in histories.items()
    }
    return SizeResults(
        {seed: levels.read_levels(folders[tested(seed, scale).key]) for seed in seeds},
        {seed: tokens["large", seed] for seed in seeds},
        {seed: tokens["steady", seed] for seed in seeds},
        made_on(folders.values()),
    )


# ---- rows -----------------------------------------------------------------------------------------


def add_rows(rows: RowBook, large: SizeResults, small: SolverResults) -> Found:
    """The large model's levels; the small one with one answer, and with a plan and best-of-3, against them.

    A level has the same problems on both sides. Seeds number other trainings, so seed 0 of one side is
    no pair of seed 0 of the other; intervals resample both all the same.
    """
    found: Found = {}
    select = best_choice(small)
    own, searches = by_level(small.of("test", OWN)), by_level(small.of("test", SEARCHED))
    for name in (*LEVELS, "mean"):
        names = (name,) if name in LEVELS else LEVELS
        table = level_table(large.outcomes, SEARCH, names)
        single = accuracy(searches[name], SINGLE, 1)
        together = mixed(searches[name], own[name], select)
        found |= level(f"best_of_n.size.large.{name}", table)
        found |= gap(f"best_of_n.size.single_minus_large.{name}", *_common(single, table))
        found |= gap(f"best_of_n.size.plan_bo3_minus_large.{name}", *_common(together, table))
    found |= _flops(large, small)
    add_effects(rows, found, lambda row: "ratio" if row.endswith("ratio") else "fraction")
    count = {name: count_parameters(shape).total for name, shape in (("large", LARGE), ("small", MODEL))}
    rows.add("best_of_n.size.parameter_ratio", count["large"] / count["small"], unit="ratio", scale="exact")
    return found


def _common(first: SeedTable, second: SeedTable) -> tuple[SeedTable, SeedTable]:
    """Both sides cut down to the seeds that both have."""
    seeds = [seed for seed in first.by_seed if seed in second.by_seed]
    return tuple(  # type: ignore[return-value]
        SeedTable(table.ids, {seed: table.by_seed[seed] for seed in seeds}) for table in (first, second)
    )


def _flops(large: SizeResults, small: SolverResults) -> Found:
    """Arithmetic of two searches and a planned pass of the small model, over one answer of the large one."""
    searched, planned = small.of("test", SEARCHED), small.of("test", OWN)
    ids = tuple(each.id for each in next(iter(searched.values())))
    spent = SeedTable(
        ids,
        {
            seed: np.array(
                [
                    PAIR * _of_tokens(MODEL, one.column("tokens")) + _of_tokens(MODEL, along.column("tokens"))
                    for one, along in zip(searched[seed], planned[seed], strict=True)
                ]
            )
            for seed in searched
        },
    )
    alone = SeedTable(
        tuple(each.id for each in next(iter(large.outcomes.values()))),
        {
            seed: np.array([_of_tokens(LARGE, each.search_tokens) for each in outcomes])
            for seed, outcomes in large.outcomes.items()
        },
    )
    return ratio("best_of_n.size.flops_ratio", *_common(spent, alone))


def _of_tokens(shape: ModelConfig, lengths: Sequence[float]) -> float:
    """Mean FLOPs of responses of these lengths, token by token, the question left out (it is the same)."""
    mean = max(1, round(float(np.mean(lengths))))
    return float(forward_flops(shape, mean, attention="causal").total)
