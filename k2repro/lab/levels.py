"""What a model of the steady recipe solves on the four levels, with and without a plan.

weights -> levels

Three searches and one pass along the program's plan for each problem: enough for pass@1 of both, and for the
best of three. Validation chooses and gates; the test problems are others than those of the first
recipe, and are looked at once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from k2repro.architecture import Qwen2
from k2repro.engine import NUMERICS as ENGINE
from k2repro.evaluate import POOLS
from k2repro.evaluate.effects import SeedTable
from k2repro.evaluate.pool import Pool
from k2repro.lab.lines import read_lines, write_lines
from k2repro.lab.made import Made, Making
from k2repro.lab.pools import Asked
from k2repro.mini import GRADER, TEXTS, variables
from k2repro.mini.benchmarks import LEVELS, MAX_NEW_TOKENS_LEVELS, benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.mini.mistakes import classify
from k2repro.mini.problem import Problem

FILE = "levels.jsonl.gz"
# The test problems before it were asked: of the first recipe, and of earlier forms of the steady one.
FIRST = 3000
SAMPLES = 3
SEARCH, PLANNED = "search", "planned"


@dataclass(frozen=True)
class LevelOutcome:
    """One problem. search, planned: right (1) or wrong (0), sample by sample.

    tokens, kinds: length and first mistake of each search; empty where only right and wrong shipped.
    """

    id: str
    level: str
    search: tuple[int, ...]
    planned: tuple[int, ...]
    tokens: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()


BySeed = Mapping[int, Sequence[LevelOutcome]]


def level_problems(split: str, count: int) -> list[Problem]:
    """The first `count` problems of each level that models of this recipe are asked."""
    return [
        each for level in LEVELS for each in benchmark_problems(level, split, count, start=first_of(split))
    ]


def level_ids(split: str, count: int) -> list[tuple[str, str]]:
    """Id and level of each of `level_problems`, in their order, without drawing one."""
    first = first_of(split)
    return [
        (f"{variables.FAMILY}/{split}/{level}/0/{at}", level)
        for level in LEVELS
        for at in range(first, first + count)
    ]


def first_of(split: str) -> int:
    """The item of a split that comes first."""
    return FIRST if split == "test" else 0


def levels(weights: Made, split: str, problems: int) -> Made:
    """What the model of `weights` solves of the first `problems` of each level."""
    params = {
        "split": split,
        "problems": problems,
        "first": first_of(split),
        "samples": SAMPLES,
        "max_new_tokens": MAX_NEW_TOKENS_LEVELS,
    }
    return Made(
        "levels",
        f"{weights.name}-{split}",
        weights.seed,
        partial(_ask, split, problems, weights.seed),
        params,
        (ENGINE, POOLS, TEXTS, GRADER),
        {"model": weights},
    )


def _ask(split: str, count: int, seed: int, making: Making) -> None:
    model = load_checkpoint(making.needs["model"])
    problems = level_problems(split, count)
    asked = Asked(model, seed, making.work, making.report, max_new_tokens=MAX_NEW_TOKENS_LEVELS, planned=True)
    plain = [replace(each, plan="") for each in problems]
    pool = asked.pool([(plain, SAMPLES), (with_marked_plans(problems), 1)], {})
    write_lines(making.folder / FILE, _outcomes(problems, pool))


def asked_once(model: Qwen2, split: str, count: int, seed: int) -> list[int]:
    """Right (1) or wrong (0) on each of the first `count` problems of each level, one search each."""
    plain = [replace(each, plan="") for each in level_problems(split, count)]
    asked = Asked(model, seed, max_new_tokens=MAX_NEW_TOKENS_LEVELS)
    return [int(each.generations[0].right) for each in asked.pool([(plain, 1)], {}).attempts]


def with_marked_plans(problems: Iterable[Problem]) -> list[Problem]:
    """Problems that carry the program's plan, each with a stream of random numbers of its own."""
    return [replace(each, id=f"{each.id}#{PLANNED}", plan=variables.marked(each.plan)) for each in problems]


def _outcomes(problems: Sequence[Problem], pool: Pool) -> list[LevelOutcome]:
    asked = {each.id: each.generations for each in pool.attempts}
    right = {id: tuple(int(one.right) for one in found) for id, found in asked.items()}
    return [
        LevelOutcome(
            each.id,
            each.tier,
            right[each.id],
            right[f"{each.id}#{PLANNED}"],
            tuple(one.tokens for one in asked[each.id]),
            tuple(classify(each, one.text) for one in asked[each.id]),
        )
        for each in problems
    ]


def read_levels(folder: Path) -> list[LevelOutcome]:
    """What a model solved, problem by problem. Raises K2ReproError for a file that is cut short."""
    return read_lines(folder / FILE, LevelOutcome)


# ---- tables ---------------------------------------------------------------------------------------


def level_table(by_seed: BySeed, way: str, levels: Sequence[str] = LEVELS) -> SeedTable:
    """Share of right responses to each problem, for each seed; way: SEARCH or PLANNED.

    Problems stand as the first seed has them. Raises K2ReproError where seeds were asked different ones.
    """
    tables = {seed: _one_seed(outcomes, way, levels) for seed, outcomes in by_seed.items()}
    ids = next(iter(tables.values())).ids
    return SeedTable(ids, {seed: table.aligned(ids).by_seed[0] for seed, table in tables.items()})


def _one_seed(outcomes: Sequence[LevelOutcome], way: str, levels: Sequence[str]) -> SeedTable:
    asked = [each for each in outcomes if each.level in levels]
    means = np.array([float(np.mean(getattr(each, way))) for each in asked])
    return SeedTable(tuple(each.id for each in asked), {0: means})
