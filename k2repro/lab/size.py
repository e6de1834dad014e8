"""What size is worth: one answer of a model of four times the parameters, beside a small one that plans.

training "large-base" -> weights -> training "large-sft" -> weights -> levels on test
all seeds -> "size": what ships

Table 1 of the paper sets a 32B model beside models many times its size. Here both are trained by the same
recipe on texts of the same streams: the large one fine-tuned, the small one with all that K2-Think adds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from k2repro.architecture import ModelConfig, count_parameters, forward_flops, kv_cache_bytes
from k2repro.evaluate.effects import SeedTable
from k2repro.lab import levels, sft, steady
from k2repro.lab.best_of_n_rows import FEW, OWN, SINGLE, Found, accuracy, by_level, gap, level, ratio
from k2repro.lab.campaign import Watch, carry_out
from k2repro.lab.effect_rows import add_effects
from k2repro.lab.levels import SAMPLES, level_ids
from k2repro.lab.lines import read_lines, write_lines
from k2repro.lab.made import Made, Making
from k2repro.lab.marks import OWN as OWN_PLAN
from k2repro.lab.marks import SEARCH, Marks
from k2repro.lab.planning_rows import best_choice, mixed
from k2repro.lab.progress import live
from k2repro.lab.scale import Scale
from k2repro.lab.selections import PAIR
from k2repro.lab.sft_recipe import LARGE, MODEL
from k2repro.lab.steady_file import StageLog, bits, from_bits
from k2repro.lab.test_time import SolverResults
from k2repro.mini.benchmarks import LEVELS, MAX_NEW_TOKENS_LEVELS
from k2repro.results import ArtifactStore, RowBook
from k2repro.results.provenance import made_on

PRETRAINED, NAME, FILE = "large-base", "large-sft", "size.jsonl.gz"
MEAN = "mean"
# Bytes of a parameter, and of a key or value: float32.
BYTES = 4


@dataclass(frozen=True)
class LargeSeed:
    """One training of the large model.

    trained  tokens that it was trained on
    search   right (1) or wrong (0), all searches of a test problem together, as hexadecimal digits
    tokens   of the searches of each problem, together
    """

    seed: int
    trained: int
    search: str
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class SizeResults:
    """Of the large model; small_trained: tokens that the small one was trained on, by seed.

    machine: that made them.
    """

    seeds: Sequence[LargeSeed]
    ids: Sequence[tuple[str, str]]
    small_trained: Mapping[int, int]
    machine: Mapping[str, str] = field(default_factory=dict)

    def right(self, names: Sequence[str]) -> SeedTable:
        """Share of right searches of each problem of the levels `names`."""
        size = SAMPLES * len(self.ids)
        found = {each.seed: from_bits(each.search, size, f"large, seed {each.seed}") for each in self.seeds}
        return self._table(names, found)

    def flops(self) -> SeedTable:
        """Arithmetic of one answer to each problem."""
        every = {each.seed: each.tokens for each in self.seeds}
        spent = {s: [_of_tokens(LARGE, total / SAMPLES) for total in found] for s, found in every.items()}
        return self._table(LEVELS, spent)

    def _table(self, names: Sequence[str], by_seed: Mapping[int, Sequence[float]]) -> SeedTable:
        kept = [at for at, (_, name) in enumerate(self.ids) if name in names]
        means = {
            seed: np.array(values, dtype=float).reshape(len(self.ids), -1).mean(axis=1)[kept]
            for seed, values in by_seed.items()
        }
        return SeedTable(tuple(self.ids[at][0] for at in kept), means)


# ---- making ---------------------------------------------------------------------------------------


def measured(scale: Scale) -> Made:
    """All seeds of the large model; ships."""
    needs: dict[str, Made] = {}
    for seed in scale.steady(scale.large_seeds):
        weights = sft.weights(NAME, seed, scale)
        needs[f"test {seed}"] = levels.levels(weights, "test", scale.asked)
        needs |= {f"{name} {seed}": sft.training(name, seed, scale) for name in (PRETRAINED, NAME)}
    return Made("size", NAME, 0, _collect, needs=needs, ships=True)


def _collect(making: Making) -> None:
    found = []
    for role, folder in making.needs.items():
        what, seed = role.split()
        if what != "test":
            continue
        outcomes = levels.read_levels(folder)
        trained = sum(_tokens_of(making, f"{name} {seed}") for name in (PRETRAINED, NAME))
        right = bits([bit for each in outcomes for bit in each.search])
        found.append(LargeSeed(int(seed), trained, right, tuple(sum(each.tokens) for each in outcomes)))
    write_lines(making.folder / FILE, found)


def _tokens_of(making: Making, role: str) -> int:
    return sum(sum(stage["tokens"]) for stage in sft.read_history(making.needs[role]).values())


def carry_out_size(
    scale: Scale, store: ArtifactStore, *, workers: int = 2, progress: Watch = live
) -> SizeResults:
    """Make what is missing, mark what ships, and read it. Raises whatever stops a job."""
    folders = carry_out([measured(scale)], store, workers=workers, progress=progress)
    small = steady.carry_out_steady(scale, store, workers=workers, progress=progress)
    seeds = read_lines(folders[measured(scale).key] / FILE, LargeSeed)
    ids = level_ids("test", scale.asked)
    return SizeResults(seeds, ids, _small_trained(small.stages), made_on(folders.values()))


def _small_trained(logs: Sequence[StageLog]) -> dict[int, int]:
    """Tokens of base and SFT, by seed."""
    found: dict[int, int] = {}
    for log in logs:
        found[log.seed] = found.get(log.seed, 0) + log.tokens
    return found


# ---- rows -----------------------------------------------------------------------------------------


def add_rows(rows: RowBook, large: SizeResults, small: SolverResults) -> Found:
    """The large model's levels; the small one with one answer, and with a plan and best-of-3, against them.

    A level has the same problems on both sides. One seed of both sides names two trainings, which have the
    order of their texts in common; they are paired as two columns of one table.
    """
    found: Found = {}
    select = best_choice(small)
    own, searches = by_level(small.of("test", OWN_PLAN)), by_level(small.of("test", SEARCH))
    for name in (*LEVELS, MEAN):
        table = large.right((name,) if name in LEVELS else LEVELS)
        found |= level(f"best_of_n.size.large.{name}", table)
        for row, other in (
            ("single", accuracy(searches[name], SINGLE, 1)),
            ("plan_bo3", mixed(searches[name], own[name], select)),
        ):
            found |= gap(f"best_of_n.size.{row}_minus_large.{name}", *_shared(other, table))
    n = _affordable(large, searches[MEAN])
    equal = accuracy(searches[MEAN], OWN, n)
    found |= gap("best_of_n.size.equal_flops_minus_large", *_shared(equal, large.right(LEVELS)))
    found |= ratio("best_of_n.size.flops_ratio", *_shared(_flops(small, _readers(select)), large.flops()))
    add_effects(rows, found, lambda row: "ratio" if row.endswith("ratio") else "fraction")
    rows.add(
        "best_of_n.size.equal_flops_n", n, unit="samples", scale="mini", n=len(large.ids), of_models=True
    )
    for row, value in (
        ("parameter_ratio", _parameters(LARGE) / _parameters(MODEL)),
        ("memory_ratio", _memory(_readers(select))),
    ):
        rows.add(f"best_of_n.size.{row}", value, unit="ratio", scale="exact")
    return found


def _shared(first: SeedTable, second: SeedTable) -> tuple[SeedTable, SeedTable]:
    return first.shared_with(second), second.shared_with(first)


def _readers(select: str) -> int:
    """Models that read the candidates besides their own writer: 1 where a judge has a say."""
    return int("judge" in select)


def _flops(small: SolverResults, readers: int) -> SeedTable:
    """Arithmetic of two searches and a planned pass of the small model on each problem, and of their readers.

    To read a token is one pass over it, as to write it.
    """
    searched, planned = small.of("test", SEARCH), small.of("test", OWN_PLAN)
    ids = tuple(each.id for each in next(iter(searched.values())))
    spent = {
        seed: np.array(
            [
                (1 + readers) * (PAIR * _mean_flops(one) + _mean_flops(along))
                for one, along in zip(searched[seed], planned[seed], strict=True)
            ]
        )
        for seed in searched
    }
    return SeedTable(ids, spent)


def _affordable(large: SizeResults, searches: Mapping[int, Sequence[Marks]]) -> int:
    """How many answers of the small model cost at most what one of the large one does, on the seeds of both.

    At least one, and no more than a pool has.
    """
    spent = large.flops()
    asked = [one for seed, found in searches.items() if seed in spent.by_seed for one in found]
    affordable = spent.mean.mean() / np.mean([_mean_flops(one) for one in asked])
    return max(1, min(min(len(one.of) for one in asked), int(affordable)))


def _mean_flops(marks: Marks) -> float:
    return _of_tokens(MODEL, float(np.mean(marks.column("tokens"))))


def _of_tokens(shape: ModelConfig, length: float) -> float:
    """FLOPs of a response of this length; prompts are left out on both sides."""
    return float(forward_flops(shape, max(1, round(length)), attention="causal").total)


def _parameters(shape: ModelConfig) -> int:
    return count_parameters(shape).total


def _memory(readers: int) -> float:
    """Weights (readers' too) and caches of three answers at once, over those of the large model and one."""
    small, large = (
        BYTES * models * _parameters(shape) + kv_cache_bytes(shape, MAX_NEW_TOKENS_LEVELS, answers, BYTES)
        for shape, models, answers in ((MODEL, 1 + readers, FEW), (LARGE, 1, 1))
    )
    return small / large
